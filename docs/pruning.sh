#!/bin/sh
# Writes pruning.md, which is what this prints: docs/pruning.sh [folder of shared data]. Needs `paring` on the
# path.
set -e
data=${1:-../shared/data}
here=$(dirname "$0")
sets=$data/datasets
models=$data/models
pictures="images:$sets/imagenet200,size=176,range=-1..1,stride=2"
sweep() { # further arguments; the network is in $model, its data in $calib, $test and $limit
    paring sweep "$model" --recipe "$here/pruning.toml" --calib "$calib" --data "$test" ${limit:+--limit "$limit"} "$@"
    echo
}
table() { # title; further settings where the network shares the aim
    echo
    echo "## $1"
    echo
    echo '```'
    paring eval "$model" --data "$test" ${limit:+--limit "$limit"}
    echo
    criteria=prune.criterion=magnitude,second-order
    sweep --vary prune.scope=layer --vary $criteria
    sweep --vary prune.scope=global ${2:+--vary "$2"} --vary $criteria
    sweep --vary prune.sparsity=- --vary prune.structure=2:4 --vary $criteria
    echo '```'
}
cat << 'TEXT'
# What pruning costs without training

Written by `docs/pruning.sh`: the recipe is [pruning.toml](pruning.toml), half of the weights go, and the tables vary
how. Weights and activations are real numbers, batch norms are folded, depthwise convolutions are left alone. `layer`
takes half of each layer; `global` takes half of the network, from each layer what its measured effect on the outputs
allows; 2:4 keeps two of every four weights. `magnitude` leaves the survivors as they are, `second-order` fits them to what
the dense layer computed.

Calibration needs no labels. ResNet-8 sees 1,024 CIFAR-10 training pictures and is counted on the 1,017 test pictures that
exist in their original pixels, where one standard error is 1.0 point; LeNet-5 sees 1,024 MNIST training pictures and is
counted on the 10,000 test pictures; KWS sees every second one of the 1,000 test recordings and is counted on all, since there
are no others; MCUNet sees every second one of 200 ImageNet pictures and is counted on the other hundred.
TEXT
model=$models/keras/ic_resnet8.h5 calib=cifar10:$sets/cifar10:train test=cifar10:$sets/cifar10:test limit=1017
table ResNet-8
echo
echo "The whole network with other calibration pictures (those from the 5,000th and from the 10,000th on):"
echo
echo '```'
for first in 5000 10000; do
    calib=cifar10:$sets/cifar10:train,offset=$first
    sweep --vary prune.scope=global
done
echo '```'
model=$models/keras/kws_dscnn.h5 calib=kws01:$sets/kws01,stride=2 test=kws01:$sets/kws01 limit=
table KWS
model=$models/onnx/lenet5.onnx calib=mnist:$sets/mnist:train,range=0..1 test=mnist:$sets/mnist:test,range=0..1
table LeNet-5
model=$models/onnx/mcunet_320kb_bn.onnx calib=$pictures test=$pictures,offset=1
table MCUNet prune.probes=8
