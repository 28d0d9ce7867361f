#!/bin/sh
# Writes pruning.md, which is what this prints, and the plots pruning-*.svg beside this script:
# docs/pruning.sh [folder of shared data]. Needs `paring` on the path. Two parts run at a time.
# With names of parts behind the folder it prints only these, one after another.
set -e
data=${1:-../shared/data}
here=$(dirname "$0")
sets=$data/datasets
models=$data/models
pictures="images:$sets/imagenet200,size=176,range=-1..1,stride=2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sweep() { # further arguments; the network is in $model, its data in $calib, $test and $limit
    paring sweep "$model" --recipe "$here/pruning.toml" --calib "$calib" --data "$test" ${limit:+--limit "$limit"} "$@"
    echo
}
table() { # title
    echo
    echo "## $1"
    echo
    echo '```'
    paring eval "$model" --data "$test" ${limit:+--limit "$limit"}
    echo
    for structure in prune.scope=global prune.structure=2:4; do
        aim=prune.sparsity=0.5
        [ $structure = prune.scope=global ] || aim=prune.sparsity=-
        # Magnitude leaves the weights that stay as they are.
        sweep --vary $structure --vary $aim --vary prune.criterion=magnitude --vary "prune.restore={epochs=0}"
        sweep --vary $structure --vary $aim --vary prune.criterion=second-order
    done
    echo '```'
}
recipe() { # name; compresses ResNet-8 by a recipe that ships
    paring compress "$model" --recipe "$1" --calib "$calib" -o "$work/$1" > /dev/null
    bytes=$(wc -c < "$work/$1/model.paring")
    top1=$(paring eval "$work/$1/model.paring" --data "$test" --limit "$limit" | grep '^top-1')
    echo "$1: $bytes bytes, $top1"
}
resnet8() {
    model=$models/keras/ic_resnet8.h5 calib=cifar10:$sets/cifar10:train test=cifar10:$sets/cifar10:test limit=1017
    table ResNet-8
    echo
    echo "Second order with other pictures for calibration:"
    echo
    echo '```'
    for offset in 5000 10000 15000; do
        calib=cifar10:$sets/cifar10:train,offset=$offset
        sweep --vary prune.scope=global
    done
    echo '```'
    echo
    echo "The first three of these, and four of five weights in one stage and in three with a fit after each, on 4,000"
    echo "training pictures that none of them was calibrated with:"
    echo
    echo '```'
    test=cifar10:$sets/cifar10:train,offset=16000 limit=4000
    paring eval "$model" --data "$test" --limit "$limit"
    echo
    for offset in 0 5000 10000; do
        calib=cifar10:$sets/cifar10:train,offset=$offset
        sweep --vary prune.scope=global
    done
    calib=cifar10:$sets/cifar10:train
    sweep --vary prune.scope=global --vary prune.sparsity=0.8 --vary prune.stages=1,3
    echo '```'
}
rate() {
    model=$models/keras/ic_resnet8.h5 calib=cifar10:$sets/cifar10:train test=cifar10:$sets/cifar10:test limit=1017
    cat << 'TEXT'

## Small files

ResNet-8 by the recipes that ship (the container's bytes; accuracy on the 1,017 pictures), and `rate` swept over what a
bit is worth. The points of the front are marked; [the plot](pruning-rate.svg) joins them.

TEXT
    echo '```'
    for name in small compact deep; do
        recipe $name
    done
    paring inspect "$work/deep/model.paring" --constants | grep -i 'kernel\|name'
    echo
    paring sweep "$model" --recipe small --calib "$calib" --data "$test" --limit "$limit" \
        --vary rate.lambda=0.01,0.05,0.2 -o "$work/rate"
    echo '```'
    cp "$work/rate/sweep.svg" "$here/pruning-rate.svg"
}
kws() {
    model=$models/keras/kws_dscnn.h5 calib=kws01:$sets/kws01,stride=2 test=kws01:$sets/kws01 limit=
    table KWS
    echo
    echo "Second order with the other half of the recordings for calibration:"
    echo
    echo '```'
    calib=kws01:$sets/kws01,stride=2,offset=1
    sweep --vary prune.scope=global
    echo '```'
}
lenet5() {
    model=$models/onnx/lenet5.onnx calib=mnist:$sets/mnist:train,range=0..1 test=mnist:$sets/mnist:test,range=0..1
    limit=
    table LeNet-5
}
mcunet() {
    model=$models/onnx/mcunet_320kb_bn.onnx calib=$pictures test=$pictures,offset=1 limit=
    table MCUNet
}
parts="resnet8 kws lenet5 mcunet rate"
run() { # parts, one after another
    for part in "$@"; do
        $part > "$work/$part.md" || echo "$part failed" >&2
    done
}
if [ $# -gt 1 ]; then
    shift
    for part in "$@"; do
        $part
    done
    exit
fi
run resnet8 &
run rate kws lenet5 mcunet
wait
cat << 'TEXT'
# What pruning costs without training

Written by `docs/pruning.sh`: the recipe is [pruning.toml](pruning.toml), half of the weights go, and the tables vary
how. Weights and activations are real numbers, batch norms are folded, depthwise convolutions are left alone. `global`
takes half of the network, where it costs the outputs least; 2:4 keeps two of every four weights. `magnitude` leaves the
survivors as they are; `second-order` fits them to what each dense layer computed, and then all of them together to the
outputs of the dense network (`restore`, eight times through the samples; pictures of three channels are moved by up to two
pixels and mirrored at random each time).

Calibration needs no labels. ResNet-8 sees 4,096 CIFAR-10 training pictures and is counted on the 1,017 test pictures that
exist in their original pixels, where one standard error is 1.0 point; LeNet-5 sees 4,096 MNIST training pictures and is
counted on the 10,000 test pictures; KWS sees every second one of the 1,000 test recordings and is counted on all, since there
are no others; MCUNet sees every second one of 200 ImageNet pictures and is counted on the other hundred.
TEXT
for part in $parts; do
    cat "$work/$part.md"
done
