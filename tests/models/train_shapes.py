"""Trains the demo network on the shapes data set and writes it as ONNX.

    cargo run --release -p paring-data --example dump_shapes -- shapes.npz
    pip install jax numpy onnx onnxruntime
    python tests/models/train_shapes.py shapes.npz -o tests/models/shapes.onnx

The network takes gray pictures as raw bytes in float (0..255, NCHW, batch 1) and gives eight class
probabilities. Batch normalization is written as its own nodes, so that folding it is left to the
reader of the file. The same weights always give the same bytes.
"""

import argparse
import math

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-5
CLASSES = 8

# (name, kind, kernel, stride, inputs, outputs, relu). Kind "add" joins the value before the block.
LAYERS = [
    ("stem", "conv", 3, 1, 1, 8, True),
    ("down1", "conv", 3, 2, 8, 16, True),
    ("separable1_depthwise", "depthwise", 3, 1, 16, 16, True),
    ("separable1_pointwise", "conv", 1, 1, 16, 16, True),
    ("down2", "conv", 3, 2, 16, 32, True),
    ("residual_conv1", "conv", 3, 1, 32, 32, True),
    ("residual_conv2", "conv", 1, 1, 32, 32, False),
    ("residual_add", "add", 0, 1, 32, 32, True),
    ("separable2_depthwise", "depthwise", 3, 2, 32, 32, True),
    ("separable2_pointwise", "conv", 1, 1, 32, 64, True),
]
RESIDUAL_FROM = "down2"


def initial_weights(seed):
    rng = np.random.default_rng(seed)
    weights = {}
    for name, kind, kernel, _, inputs, outputs, _ in LAYERS:
        if kind == "add":
            continue
        fan = kernel * kernel * (1 if kind == "depthwise" else inputs)
        shape = (outputs, 1 if kind == "depthwise" else inputs, kernel, kernel)
        weights[name] = {
            "weight": rng.normal(0.0, math.sqrt(2.0 / fan), shape).astype(np.float32),
            "scale": np.ones(outputs, np.float32),
            "bias": np.zeros(outputs, np.float32),
        }
    features = LAYERS[-1][5]
    weights["classifier"] = {
        "weight": rng.normal(0.0, math.sqrt(1.0 / features), (CLASSES, features)).astype(np.float32),
        "bias": np.zeros(CLASSES, np.float32),
    }
    return weights


def depthwise(x, weight, kernel, stride):
    """A sum of shifted products: XLA on a CPU is slow at grouped convolutions."""
    pad = kernel // 2
    height, width = x.shape[2], x.shape[3]
    padded = jnp.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    total = 0.0
    for dy in range(kernel):
        for dx in range(kernel):
            window = padded[:, :, dy : dy + height : stride, dx : dx + width : stride]
            total = total + window * weight[None, :, 0, dy, dx, None, None]
    return total


def forward(weights, x, moments=None):
    """Logits and the mean and variance of each layer; with `moments`, those are used instead."""
    seen = {}
    kept = None
    for name, kind, kernel, stride, _, _, relu in LAYERS:
        if kind == "add":
            x = x + kept
        else:
            weight = weights[name]["weight"]
            if kind == "depthwise":
                x = depthwise(x, weight, kernel, stride)
            else:
                pad = kernel // 2
                x = jax.lax.conv_general_dilated(
                    x, weight, (stride, stride), ((pad, pad), (pad, pad))
                )
            if moments is None:
                mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            else:
                mean, variance = moments[name]
            seen[name] = (mean, variance)
            factor = weights[name]["scale"] / jnp.sqrt(variance + EPSILON)
            x = (x - mean[:, None, None]) * factor[:, None, None]
            x = x + weights[name]["bias"][:, None, None]
        if relu:
            x = jax.nn.relu(x)
        if name == RESIDUAL_FROM:
            kept = x
    x = x.mean((2, 3))
    return x @ weights["classifier"]["weight"].T + weights["classifier"]["bias"], seen


def loss(weights, x, y, decay):
    logits, seen = forward(weights, x)
    cross_entropy = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()
    penalty = sum((layer["weight"] ** 2).sum() for layer in weights.values())
    return cross_entropy + decay * penalty, seen


@jax.jit
def step(weights, first, second, count, rate, x, y):
    """One step of Adam."""
    grads = jax.grad(loss, has_aux=True)(weights, x, y, 5e-5)[0]
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
    one, two = 1.0 - 0.9**count, 1.0 - 0.999**count
    weights = jax.tree.map(
        lambda w, m, v: w - rate * (m / one) / (jnp.sqrt(v / two) + 1e-8), weights, first, second
    )
    return weights, first, second


def accuracy(weights, moments, x, y):
    run = jax.jit(lambda batch: forward(weights, batch, moments)[0].argmax(1))
    right = sum((np.asarray(run(x[i : i + 500])) == y[i : i + 500]).sum() for i in range(0, len(x), 500))
    return 100.0 * right / len(x)


def train(x, y, test_x, test_y, epochs, seed):
    weights = jax.tree.map(jnp.asarray, initial_weights(seed))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    first, second = zeros, zeros
    rng = np.random.default_rng(seed + 1)
    batch, peak = 128, 4e-3
    steps = epochs * (len(x) // batch)
    count = 0
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            picked = order[start : start + batch]
            images, labels = x[picked], y[picked]
            # Every class is its own mirror image and its own quarter turn.
            images = images[:, :, :: rng.choice([1, -1]), :: rng.choice([1, -1])]
            if rng.random() < 0.5:
                images = images.transpose(0, 1, 3, 2)
            count += 1
            rate = peak * min(1.0, count / 200) * 0.5 * (1.0 + math.cos(math.pi * count / steps))
            weights, first, second = step(
                weights, first, second, float(count), rate, np.ascontiguousarray(images), labels
            )
        if epoch % 5 == 4 or epoch == epochs - 1:
            moments = measure(weights, x)
            print(f"epoch {epoch + 1}: test {accuracy(weights, moments, test_x, test_y):.2f} %", flush=True)
    return jax.tree.map(np.asarray, weights), jax.tree.map(np.asarray, measure(weights, x))


def measure(weights, x):
    """Mean and variance of every layer over 4,000 training pictures."""
    run = jax.jit(lambda batch: forward(weights, batch)[1])
    seen = [run(x[i : i + 1000]) for i in range(0, 4000, 1000)]
    return jax.tree.map(lambda *parts: sum(parts) / len(parts), *seen)


def export(weights, moments, path):
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    value, kept = "image", None
    for name, kind, kernel, stride, _, outputs, relu in LAYERS:
        if kind == "add":
            nodes.append(helper.make_node("Add", [value, kept], [name], name))
            value = name
        else:
            weight = weights[name]["weight"]
            if name == LAYERS[0][0]:
                weight = weight / np.float32(255.0)  # pictures come as bytes
            pad = kernel // 2
            nodes.append(
                helper.make_node(
                    "Conv",
                    [value, constant(f"{name}.weight", weight)],
                    [f"{name}.conv"],
                    f"{name}.conv",
                    kernel_shape=[kernel, kernel],
                    strides=[stride, stride],
                    pads=[pad, pad, pad, pad],
                    group=outputs if kind == "depthwise" else 1,
                )
            )
            mean, variance = moments[name]
            nodes.append(
                helper.make_node(
                    "BatchNormalization",
                    [
                        f"{name}.conv",
                        constant(f"{name}.bn.scale", weights[name]["scale"]),
                        constant(f"{name}.bn.bias", weights[name]["bias"]),
                        constant(f"{name}.bn.mean", mean),
                        constant(f"{name}.bn.variance", variance),
                    ],
                    [f"{name}.bn"],
                    f"{name}.bn",
                    epsilon=EPSILON,
                )
            )
            value = f"{name}.bn"
        if relu:
            nodes.append(helper.make_node("Relu", [value], [f"{name}.relu"], f"{name}.relu"))
            value = f"{name}.relu"
        if name == RESIDUAL_FROM:
            kept = value
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pool"], "pool"),
        helper.make_node("Flatten", ["pool"], ["flatten"], "flatten", axis=1),
        helper.make_node(
            "Gemm",
            [
                "flatten",
                constant("classifier.weight", weights["classifier"]["weight"]),
                constant("classifier.bias", weights["classifier"]["bias"]),
            ],
            ["logits"],
            "classifier",
            transB=1,
        ),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 32, 32])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, CLASSES])],
        constants,
    )
    model = helper.make_model(
        graph, producer_name="train_shapes.py", opset_imports=[helper.make_opsetid("", 13)], ir_version=7
    )
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
    return sum(int(np.prod(tensor.dims)) for tensor in constants)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="what the example dump_shapes wrote")
    parser.add_argument("-o", "--output", default="shapes.onnx")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    data = np.load(arguments.data)
    pictures = {k: data[k].astype(np.float32).transpose(0, 3, 1, 2) for k in ("train_images", "test_images")}
    train_x, test_x = pictures["train_images"], pictures["test_images"]
    train_y, test_y = data["train_labels"].astype(np.int32), data["test_labels"].astype(np.int32)

    weights, moments = train(
        train_x / 255.0, train_y, test_x / 255.0, test_y, arguments.epochs, arguments.seed
    )
    count = export(weights, moments, arguments.output)

    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    right = sum(
        session.run(None, {"image": test_x[i : i + 1]})[0].argmax() == test_y[i]
        for i in range(len(test_x))
    )
    print(f"{arguments.output}: {count} stored values, onnxruntime test {100.0 * right / len(test_x):.2f} %")


if __name__ == "__main__":
    main()
