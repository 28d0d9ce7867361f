#!/bin/sh
# Measures the table of pruning.md: docs/pruning.sh [folder of shared data]. Needs `paring` on the path.
set -e
data=${1:-../shared/data}
here=$(dirname "$0")
table() { # name, model, calibration, labelled data
    echo "== $1"
    paring eval "$2" --data "$4" ${5:+--limit "$5"}
    paring sweep "$2" --recipe "$here/pruning.toml" --calib "$3" --data "$4" ${5:+--limit "$5"} \
        --vary prune.criterion=magnitude,activation,second-order --vary prune.scope=layer,global
    paring sweep "$2" --recipe "$here/pruning.toml" --calib "$3" --data "$4" ${5:+--limit "$5"} \
        --vary prune.sparsity=- --vary prune.structure=2:4 \
        --vary prune.criterion=magnitude,activation,second-order
}
sets=$data/datasets
models=$data/models
table ResNet-8 "$models/keras/ic_resnet8.h5" "cifar10:$sets/cifar10:train" "cifar10:$sets/cifar10:test" 1017
table KWS "$models/keras/kws_dscnn.h5" "kws01:$sets/kws01,stride=2" "kws01:$sets/kws01"
table LeNet-5 "$models/onnx/lenet5.onnx" "mnist:$sets/mnist:train,range=0..1" "mnist:$sets/mnist:test,range=0..1"
# Every second picture calibrates, the others are counted.
pictures="images:$sets/imagenet200,size=176,range=-1..1,stride=2"
table MCUNet "$models/onnx/mcunet_320kb_bn.onnx" "$pictures" "$pictures,offset=1"
