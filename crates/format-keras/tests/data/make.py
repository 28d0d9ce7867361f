"""Makes the small models of this folder and what Keras computes with them.

    python make.py keras     keras3/NAME.keras, keras3/NAME.h5 (Keras 3)
    python make.py tf_keras  keras2/NAME.h5, keras1/NAME.h5, beside/ (Keras 2)

NAME.npz beside a model holds its inputs and outputs in order. Made with keras 3.15, tf_keras 2.21, tensorflow-cpu 2.21.
"""

import importlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import numpy as np

K = importlib.import_module(sys.argv[1])
L = K.layers
THREE = sys.argv[1] == "keras"
HERE = Path(__file__).parent
R = np.random.default_rng(11)


def inp(*shape, dtype="float32"):
    return L.Input(shape, dtype=dtype)


def image(h=6, w=5, c=4):
    return inp(h, w, c)


def conv():
    x, s, v = image(), inp(7, 4), inp(5, 6, 4, 2)
    y = [
        L.Conv2D(3, 3, padding="same", strides=2, activation="relu")(x),
        L.Conv2D(4, (3, 2), groups=2, dilation_rate=(2, 1), use_bias=False)(x),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x),
        L.SeparableConv2D(3, 3, depth_multiplier=2, strides=2, activation="tanh")(x),
        L.Conv1D(3, 3, padding="same", strides=2)(s),
        L.Conv1D(3, 2, padding="causal", dilation_rate=2)(s),
        L.Conv1D(4, 3, groups=2)(s),
        L.DepthwiseConv1D(3, padding="same")(s),
        L.SeparableConv1D(5, 3, depth_multiplier=2, padding="same")(s),
        L.Conv2DTranspose(3, 3, strides=2, padding="same")(x),
        L.Conv2DTranspose(3, (2, 4), strides=(3, 2), padding="valid", activation="relu")(x),
        L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)(x),
        L.Conv2DTranspose(2, 3, strides=2, padding="valid", output_padding=0)(x),
        L.Conv2DTranspose(2, 3, strides=2, padding="valid", output_padding=1)(x),
        L.Conv1DTranspose(3, 4, strides=2, padding="same")(s),
        L.Conv1DTranspose(3, 3, strides=3, padding="valid", use_bias=False)(s),
        L.Conv3D(3, 3, padding="same", activation="relu")(v),
        L.Conv3D(4, (2, 3, 1), strides=(2, 1, 2))(v),
        L.Conv3D(4, 2, groups=2, padding="same", strides=2)(v),
    ]
    if THREE:
        y.append(L.Conv2DTranspose(2, 3, dilation_rate=2, padding="valid")(x))
    return [x, s, v], y


def first():
    """Channels first."""
    x, s, v = inp(4, 6, 5), inp(4, 7), inp(2, 4, 6, 5)
    f = "channels_first"
    return [x, s, v], [
        L.Conv2D(3, 3, padding="same", activation="relu", data_format=f)(x),
        L.Conv1D(3, 3, data_format=f)(s),
        # Keras adds a bias along the width here.
        L.SeparableConv2D(3, 3, data_format=f, use_bias=False)(x),
        L.DepthwiseConv2D(3, data_format=f)(x),
        L.MaxPooling2D(2, data_format=f)(x),
        L.AveragePooling2D(2, padding="same", data_format=f)(x),
        L.MaxPooling1D(2, data_format=f)(s),
        L.MaxPooling3D(2, data_format=f)(v),
        L.GlobalAveragePooling2D(data_format=f)(x),
        L.GlobalMaxPooling2D(data_format=f, keepdims=True)(x),
        L.GlobalAveragePooling1D(data_format=f)(s),
        L.GlobalMaxPooling3D(data_format=f)(v),
        L.ZeroPadding2D(((1, 0), (2, 1)), data_format=f)(x),
        L.Cropping2D(((1, 0), (2, 1)), data_format=f)(x),
        L.UpSampling2D((2, 3), data_format=f)(x),
        L.Flatten(data_format=f)(x),
        L.BatchNormalization(axis=1)(x),
        L.Conv2DTranspose(3, 3, strides=2, padding="same", data_format=f)(x),
    ]


def pool():
    x, s, v = image(), inp(7, 4), inp(5, 6, 4, 2)
    return [x, s, v], [
        L.MaxPooling2D(2)(x),
        L.MaxPooling2D((3, 2), strides=(1, 2), padding="same")(x),
        L.AveragePooling2D(3, strides=2, padding="same")(x),
        L.MaxPooling1D(3, padding="same")(s),
        L.AveragePooling1D(2, strides=1)(s),
        L.MaxPooling3D((2, 3, 2), strides=(2, 2, 1), padding="same")(v),
        L.AveragePooling3D((2, 3, 2), strides=(2, 2, 1), padding="same")(v),
        L.AveragePooling3D(2)(v),
        L.GlobalAveragePooling1D()(s),
        L.GlobalMaxPooling1D(keepdims=True)(s),
        L.GlobalAveragePooling2D(keepdims=True)(x),
        L.GlobalMaxPooling2D()(x),
        L.GlobalAveragePooling3D()(v),
        L.GlobalMaxPooling3D()(v),
    ]


def shape():
    x, s, v = image(), inp(7, 4), inp(5, 6, 4, 2)
    flat = L.Flatten()(x)
    y = [
        flat,
        L.ZeroPadding1D((1, 2))(s),
        L.ZeroPadding2D(((1, 2), (0, 3)))(x),
        L.ZeroPadding2D((2, 1))(x),
        L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))(v),
        L.Cropping1D(2)(s),
        L.Cropping2D(((1, 2), (0, 3)))(x),
        L.Cropping3D((1, 2, 1))(v),
        L.UpSampling1D(3)(s),
        L.UpSampling2D((2, 3))(x),
        L.UpSampling2D((2, 3), interpolation="bilinear")(x),
        L.UpSampling3D((2, 1, 3))(v),
        L.Reshape((10, -1))(x),
        L.Permute((3, 1, 2))(x),
        L.RepeatVector(3)(flat),
    ]
    return [x, s, v], y


def activation():
    x = inp(9)
    names = "linear relu sigmoid tanh elu selu softplus softsign softmax exponential gelu hard_sigmoid swish".split()
    if THREE:
        names += (
            "relu6 silu leaky_relu mish celu glu hard_silu hard_swish hard_shrink hard_tanh log_sigmoid "
            "log_softmax soft_shrink sparse_plus sparse_sigmoid squareplus tanh_shrink"
        ).split()
    even = inp(4)
    y = [L.Activation(n)(even if n == "glu" else x) for n in names]
    y += [
        L.ReLU(max_value=1.0)(x),
        L.ReLU(negative_slope=0.25)(x),
        L.ReLU(max_value=1.5, negative_slope=0.25, threshold=0.5)(x),
        L.ReLU(threshold=0.75)(x),
        L.LeakyReLU(0.125)(x),
        L.ELU(0.5)(x),
        L.PReLU()(x),
        L.Softmax()(x),
        L.Activation("relu")(L.Dense(3, activation="softmax")(x)),
    ]
    t = inp(3, 4)
    y += [L.PReLU(shared_axes=[1])(t), L.Softmax(axis=1)(t), L.Softmax(axis=[1, 2])(t)]
    if not THREE:
        y.append(L.ThresholdedReLU(0.5)(x))
    return [x, even, t], y


def norm():
    x, s, d = image(), inp(3, 4), inp(6)
    y = [
        L.BatchNormalization()(x),
        L.BatchNormalization(axis=1, scale=False)(x),
        L.BatchNormalization(center=False, epsilon=0.01)(d),
        L.LayerNormalization()(s),
        L.LayerNormalization(axis=[1, 2])(s),
        L.LayerNormalization(axis=1, center=False)(s),
        L.LayerNormalization(scale=False)(d),
        L.GroupNormalization(2)(x),
        L.GroupNormalization(-1, scale=False)(x),
        L.GroupNormalization(1)(s),
        L.GroupNormalization(3, axis=1)(x),
        L.UnitNormalization()(s),
        L.UnitNormalization(axis=[1, 2])(s),
        L.Rescaling(0.5, offset=-1.0)(x),
        L.Normalization(mean=0.5, variance=2.0)(d),
        L.Normalization(mean=[0.5, 1, 2, 3], variance=[2.0, 1, 3, 4], invert=True)(s),
    ]
    if THREE:
        y += [L.SpectralNormalization(L.Dense(3))(d), L.SpectralNormalization(L.Conv2D(3, 3))(x)]
        y.append(L.RMSNormalization()(s))
        y.append(L.Rescaling([0.5, 1.0, 2.0, 3.0], offset=[0.0, 1.0, 2.0, 3.0])(x))
    adapted = L.Normalization()
    adapted.adapt(R.normal(1, 3, (20, 3, 4)).astype("float32"))
    y.append(adapted(s))
    return [x, s, d], y


def merge():
    a, b, c = inp(3, 4), inp(3, 4), inp(1, 4)
    d = inp(4, 3)
    y = [
        L.Add()([a, b]),
        L.Add()([a, b, c]),
        L.Subtract()([a, b]),
        L.Multiply()([a, b, a]),
        L.Maximum()([a, b]),
        L.Minimum()([a, b]),
        L.Average()([a, b, c]) if THREE else L.Average()([a, b]),
        L.Concatenate()([a, b]),
        L.Concatenate(axis=1)([a, b, c]),
        L.Dot(axes=(2, 1))([a, d]),
        L.Dot(axes=2)([a, b]),
        L.Dot(axes=1, normalize=True)([a, b]),
        L.Dot(axes=1)([L.Flatten()(a), L.Flatten()(b)]),
        L.Dot(axes=-1, normalize=True)([a, c]),
    ]
    if THREE:
        ops = K.ops
        y += [a + b, a * 2.0, 1.0 - a, a / 4.0, ops.relu(a), ops.sigmoid(b), ops.mean(a, axis=1)]
        y += [ops.concatenate([a, b], axis=-1), ops.reshape(a, (-1, 12)), ops.transpose(a, (0, 2, 1))]
        y += [ops.exp(a), ops.sqrt(ops.abs(a)), ops.matmul(a, d), -a, ops.max(a, axis=-1, keepdims=True)]
    return [a, b, c, d], y


def rnn():
    x = inp(5, 3)
    h, c = inp(4), inp(4)
    y = [
        L.LSTM(4)(x),
        L.LSTM(4, return_sequences=True, go_backwards=True)(x),
        *L.LSTM(4, return_state=True, return_sequences=True)(x),
        L.LSTM(4, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid")(x),
        L.LSTM(4, unroll=True, recurrent_activation="tanh", activation="softsign")(x),
        L.LSTM(4)(x, initial_state=[h, c]),
        L.GRU(4)(x),
        L.GRU(4, reset_after=False, return_sequences=True)(x),
        L.GRU(4, reset_after=True, go_backwards=True)(x),
        *L.GRU(4, return_state=True, use_bias=False)(x),
        L.GRU(4, activation="elu", recurrent_activation="softplus", return_sequences=True)(x),
        L.GRU(4)(x, initial_state=h),
        L.SimpleRNN(4)(x),
        *L.SimpleRNN(4, return_sequences=True, return_state=True, activation="relu")(x),
        L.SimpleRNN(4, go_backwards=True, return_sequences=True, use_bias=False, activation="linear")(x),
        L.LSTM(2)(L.LSTM(3, return_sequences=True, dropout=0.2)(x)),
        L.RNN(L.LSTMCell(3))(x),
        L.RNN(L.GRUCell(3), return_sequences=True)(x),
        L.RNN(L.SimpleRNNCell(3))(x),
        L.RNN([L.LSTMCell(3), L.GRUCell(2)])(x),
        L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True, go_backwards=True)(x),
    ]
    return [x, h, c], y


def bidirectional():
    x = inp(5, 3)
    y = []
    for mode in ["concat", "sum", "mul", "ave"]:
        y.append(L.Bidirectional(L.LSTM(2), merge_mode=mode)(x))
        y.append(L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=mode)(x))
    y += L.Bidirectional(L.SimpleRNN(2, return_sequences=True), merge_mode=None)(x)
    y += L.Bidirectional(L.LSTM(2, return_state=True))(x)
    y.append(
        L.Bidirectional(
            L.LSTM(2, return_sequences=True),
            backward_layer=L.GRU(3, return_sequences=True, go_backwards=True),
        )(x)
    )
    y.append(L.Bidirectional(L.GRU(2, reset_after=False, return_sequences=True))(x))
    return [x], y


def distributed():
    x, v, q = inp(3, 4), inp(3, 6, 5, 2), inp(3, 4, 2)
    inner = K.Sequential([L.Input((6, 5, 2)), L.Conv2D(2, 3, activation="relu"), L.Flatten(), L.Dense(3)])
    return [x, v, q], [
        L.TimeDistributed(L.Dense(3, activation="relu"))(x),
        L.TimeDistributed(L.Conv2D(3, 3))(v),
        L.TimeDistributed(L.BatchNormalization())(v),
        L.TimeDistributed(L.MaxPooling2D(2))(v),
        L.TimeDistributed(L.Flatten())(v),
        L.TimeDistributed(L.LSTM(2))(q),
        L.TimeDistributed(L.Bidirectional(L.GRU(2)))(q),
        L.TimeDistributed(inner)(v),
        L.TimeDistributed(L.Activation("softmax"))(x),
    ]


def mask():
    words, x = inp(6, dtype="int32"), inp(6, 3)
    e = L.Embedding(5, 3, mask_zero=True)(words)
    m = L.Masking(0.0)(x)
    y = [
        L.Embedding(5, 2)(words),
        m,
        L.LSTM(2)(e),
        L.GRU(2, return_sequences=True)(m),
        L.SimpleRNN(2, go_backwards=True, return_sequences=True)(m),
        *L.LSTM(2, return_sequences=True, return_state=True)(m),
        L.Bidirectional(L.LSTM(2))(e),
        L.Bidirectional(L.GRU(2, return_sequences=True))(m),
        L.LSTM(2)(L.Dropout(0.5)(L.LSTM(3, return_sequences=True)(e))),
        L.GlobalAveragePooling1D()(e),
        L.GRU(2, return_sequences=True, reset_after=False)(e),
        L.GlobalMaxPooling1D()(L.LSTM(2, return_sequences=True)(m)),
    ]
    return [words, x], y


def nested():
    x, z = image(), inp(6, 5, 4)
    a = L.Input((6, 5, 4))
    t = L.Conv2D(3, 3, padding="same", name="conv")(a)
    t = L.BatchNormalization(name="bn")(t)
    t = L.ReLU()(t)
    part = K.Model(a, [L.GlobalAveragePooling2D()(t), t], name="part")
    tail = K.Sequential([L.Input((3,)), L.Dense(4, activation="relu", name="dense"), L.Dropout(0.5), L.Dense(2, name="dense_1")], name="tail")
    outer_in = L.Input((6, 5, 4))
    inside = part
    if not THREE:  # Keras 2 does not load models that share one like this.
        inside = K.models.clone_model(part)
        inside._name = "inside"
    deep = K.Model(outer_in, tail(inside(outer_in)[0]), name="deep")
    shared = L.Dense(3, name="shared")
    p0, t0 = part(x)
    p1, _ = part(z)
    other = K.Sequential([L.Input((6, 5, 4)), L.Conv2D(2, 2, name="conv"), L.BatchNormalization(name="bn"), L.Flatten()], name="other")
    return [x, z], [
        shared(p0),
        shared(p1),
        t0,
        deep(x),
        tail(shared(L.Dense(3)(p0))),
        other(z),
    ]


def pictures():
    x = inp(8, 8, 3)
    y = [
        L.Resizing(5, 11)(x),
        L.Resizing(16, 4, interpolation="nearest")(x),
        L.CenterCrop(5, 6)(x),
        L.RandomFlip()(x),
        L.RandomRotation(0.2)(x),
        L.RandomZoom(0.2)(x),
        L.RandomContrast(0.2)(x),
        L.RandomTranslation(0.1, 0.1)(x),
        L.RandomBrightness(0.2)(x),
        L.GaussianNoise(0.5)(x),
        L.GaussianDropout(0.5)(x),
        L.SpatialDropout2D(0.5)(x),
        L.AlphaDropout(0.5)(x),
        L.ActivityRegularization(0.5)(x),
    ]
    return [x], y


def dense():
    x, s = inp(6), inp(3, 4)
    y = [
        L.Dense(3)(x),
        L.Dense(3, use_bias=False, activation="sigmoid")(s),
        L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")(s),
        L.EinsumDense("...x,xy->...y", output_shape=5, activation="relu")(s),
        L.Attention()([s, s]),
        L.Attention(use_scale=True)([s, s]),
        L.AdditiveAttention()([s, s]),
        L.MultiHeadAttention(2, 3)(s, s),
        L.MultiHeadAttention(2, 3, value_dim=2, use_bias=False, output_shape=5)(s, s),
    ]
    return [x, s], y


def randomize(model):
    for w in model.weights:
        name = getattr(w, "path", w.name)
        if not str(w.dtype).endswith("float32") or "seed" in name or "normalization" in name and any(
            name.split("/")[-1].startswith(p) for p in ("mean", "variance", "count")
        ):
            continue
        v = R.normal(0, 0.5, tuple(w.shape)).astype("float32")
        if "variance" in name or "gamma" in name:
            v = np.abs(v) + 0.5
        w.assign(v)


def samples(model, batch=2):
    xs = []
    for i in model.inputs:
        shape = (batch,) + tuple(i.shape[1:])
        if "int" in str(i.dtype):
            v = R.integers(0, 5, shape).astype("int32")
            v[0, :2] = 0
        else:
            v = R.normal(0, 1, shape).astype("float32")
            if v.ndim == 3 and v.shape[1:] == (6, 3):
                v[0, [0, 3]] = 0
                v[1, 4:] = 0
        xs.append(v)
    return xs


def listed(y):
    y = y if isinstance(y, (list, tuple)) else [y]
    return [np.asarray(v) for v in y]


def save(folder, name, model, suffix):
    out = HERE / folder
    out.mkdir(exist_ok=True)
    xs = samples(model)
    ys = listed(model(xs if len(xs) > 1 else xs[0], training=False))
    assert all(np.isfinite(y).all() for y in ys), name
    for s in suffix:
        model.save(out / f"{name}{s}")
        if s == ".keras" and name != "rnn":
            deflate(out / f"{name}{s}")
    arrays = {f"input_{i}": v for i, v in enumerate(xs)} | {f"output_{i}": v for i, v in enumerate(ys)}
    np.savez_compressed(out / f"{name}.npz", **arrays)
    return xs, ys


def deflate(path):
    """Archives may be compressed; Keras leaves them as they are."""
    with zipfile.ZipFile(path) as z:
        members = [(i.filename, z.read(i)) for i in z.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for n, data in members:
            z.writestr(n, data)


FAMILIES = [conv, pool, shape, activation, norm, merge, rnn, bidirectional, distributed, mask, nested, pictures, dense]


def stateful(folder, suffix):
    x = L.Input(batch_shape=(2, 5, 3))
    y = [L.LSTM(4, stateful=True)(x), L.GRU(3, stateful=True, return_sequences=True)(x), L.SimpleRNN(2, stateful=True)(x)]
    model = K.Model(x, y)
    randomize(model)
    out = HERE / folder
    arrays = {}
    model.save(out / f"stateful{suffix}")
    model = K.models.load_model(out / f"stateful{suffix}")
    for run in range(2):
        v = R.normal(0, 1, (2, 5, 3)).astype("float32")
        arrays[f"run_{run}_input"] = v
        for i, o in enumerate(listed(model(v, training=False))):
            arrays[f"run_{run}_output_{i}"] = o
    np.savez_compressed(out / "stateful.npz", **arrays)


def flat(path, config, weights, backend):
    """A file as Keras 1 wrote it: the configuration, and named arrays in the order of the layers."""
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"] = b"1.2.2"
        f.attrs["backend"] = backend.encode()
        f.attrs["model_config"] = json.dumps(config).encode()
        g = f.create_group("model_weights")
        g.attrs["layer_names"] = [n.encode() for n in weights]
        for layer, arrays in weights.items():
            sub = g.create_group(layer)
            sub.attrs["weight_names"] = [f"{layer}_{n}".encode() for n, _ in arrays]
            for n, array in arrays:
                sub.create_dataset(f"{layer}_{n}", data=array)


def truth(path, model, xs):
    ys = listed(model(xs if len(xs) > 1 else xs[0], training=False))
    arrays = {f"input_{i}": v for i, v in enumerate(xs)} | {f"output_{i}": v for i, v in enumerate(ys)}
    return arrays


def ones():
    """Models in the form of Keras 1; Keras 2 computes the truth with the same weights."""
    out = HERE / "keras1"
    out.mkdir(exist_ok=True)
    model = K.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, (3, 2), padding="same", strides=(2, 1), activation="relu", name="c"),
            L.BatchNormalization(name="b"),
            L.MaxPooling2D((2, 2), name="p"),
            L.Flatten(name="f"),
            L.Dense(5, activation="softmax", name="d"),
        ]
    )
    randomize(model)
    w = {l.name: l.get_weights() for l in model.layers}
    x = samples(model)
    for order in ["tf", "th"]:
        first = order == "th"
        shape = [None, 3, 8, 8] if first else [None, 8, 8, 3]
        conv = {"name": "c", "batch_input_shape": shape, "input_dtype": "float32", "nb_filter": 4, "nb_row": 3, "nb_col": 2}
        conv |= {"subsample": [2, 1], "border_mode": "same", "dim_ordering": order, "activation": "relu", "bias": True}
        layers = [
            ("Convolution2D", conv),
            ("BatchNormalization", {"name": "b", "epsilon": 0.001, "mode": 0, "axis": 1 if first else -1}),
            ("MaxPooling2D", {"name": "p", "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": order}),
            ("Flatten", {"name": "f"}),
            ("Dense", {"name": "d", "output_dim": 5, "activation": "softmax", "bias": True}),
        ]
        config = {"class_name": "Sequential", "config": [{"class_name": c, "config": k} for c, k in layers]}
        kernel, dense = w["c"][0], w["d"][0]
        if first:  # filters of Theano: outputs and inputs first, mirrored; the flat order of channels first
            kernel = kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
            dense = dense.reshape(2, 4, 4, 5).transpose(2, 0, 1, 3).reshape(-1, 5)
        weights = {
            "c": [("W", kernel), ("b", w["c"][1])],
            "b": list(zip(["gamma", "beta", "running_mean", "running_std"], w["b"])),
            "p": [],
            "f": [],
            "d": [("W", dense), ("b", w["d"][1])],
        }
        flat(out / f"conv_{order}.h5", config, weights, "theano" if first else "tensorflow")
        arrays = truth(out, model, x)
        if first:
            arrays["input_0"] = x[0].transpose(0, 3, 1, 2)
        np.savez_compressed(out / f"conv_{order}.npz", **arrays)
    i = L.Input((5, 3))
    hard = dict(recurrent_activation="hard_sigmoid")
    a = L.LSTM(4, name="l", **hard)(i)
    b = L.GRU(4, name="g", reset_after=False, **hard)(i)
    c = L.SimpleRNN(4, name="s", go_backwards=True)(i)
    t = L.TimeDistributed(L.Dense(2, activation="tanh"), name="t")(i)
    model = K.Model(i, [L.Concatenate()([a, b, c]), L.Add()([a, b]), t])
    randomize(model)
    w = {l.name: l.get_weights() for l in model.layers}

    def gates(name, letters, order):
        k, u, b = [np.split(v, len(letters), -1) for v in w[name]]
        return [(f"{p}_{letters[j]}", part[j]) for j in order for p, part in (("W", k), ("U", u), ("b", b))]

    rnn = {"output_dim": 4, "activation": "tanh", "inner_activation": "hard_sigmoid"}
    at = lambda *names: [[[n, 0, 0] for n in names]]
    layers = [
        ("InputLayer", {"batch_input_shape": [None, 5, 3], "input_dtype": "float32", "name": "i"}, []),
        ("LSTM", rnn | {"name": "l"}, at("i")),
        ("GRU", rnn | {"name": "g"}, at("i")),
        ("SimpleRNN", {"name": "s", "output_dim": 4, "activation": "tanh", "go_backwards": True}, at("i")),
        ("TimeDistributedDense", {"name": "t", "output_dim": 2, "activation": "tanh", "bias": True}, at("i")),
        ("Merge", {"name": "m", "mode": "concat", "concat_axis": -1, "mode_type": "raw"}, at("l", "g", "s")),
        ("Merge", {"name": "n", "mode": "sum", "mode_type": "raw"}, at("l", "g")),
    ]
    config = {
        "class_name": "Model",
        "config": {
            "name": "recurrent",
            "layers": [{"class_name": c, "name": k["name"], "config": k, "inbound_nodes": n} for c, k, n in layers],
            "input_layers": [["i", 0, 0]],
            "output_layers": [["m", 0, 0], ["n", 0, 0], ["t", 0, 0]],
        },
    }
    weights = {
        "l": gates("l", "ifco", [0, 2, 1, 3]),
        "g": gates("g", "zrh", [0, 1, 2]),
        "s": list(zip("WUb", w["s"])),
        "t": list(zip("Wb", w["t"])),
        "m": [],
        "n": [],
    }
    flat(out / "recurrent.h5", config, weights, "tensorflow")
    np.savez_compressed(out / "recurrent.npz", **truth(out, model, samples(model)))


def beside():
    """Weights and configuration in two files."""
    out = HERE / "beside"
    out.mkdir(exist_ok=True)
    i = L.Input((4,))
    x = L.Dense(3, activation="relu", name="first")(i)
    model = K.Model(i, [L.BatchNormalization()(x), L.Dense(2)(x)])
    randomize(model)
    name = "three" if THREE else "two"
    (out / f"{name}.json").write_text(model.to_json())
    model.save_weights(out / (f"{name}.weights.h5" if THREE else f"{name}_weights.h5"))
    np.savez_compressed(out / f"{name}.npz", **truth(out, model, samples(model)))


def refused():
    i = L.Input((6, 6, 2))
    y = L.Lambda(lambda v: v * 2, name="doubled", output_shape=(6, 6, 2))(i)
    y = L.Conv2D(2, 3)(y)
    y = L.Reshape((4, 4, 2, 1))(y)
    y = L.ConvLSTM2D(2, 2, name="loop")(y)
    K.Model(i, y).save(HERE / "refused.h5")


def stored():
    """The same model in other storage: compressed parts, and the newest form of the file."""
    for name, form in [("gzip", {}), ("latest", {"libver": "latest"})]:
        with h5py.File(HERE / "keras2/dense.h5") as a, h5py.File(HERE / f"keras2/dense_{name}.h5", "w", **form) as b:
            for key, value in a.attrs.items():
                b.attrs[key] = value
            b.create_group("model_weights")

            def copy(path, item):
                if isinstance(item, h5py.Dataset):
                    how = {"compression": "gzip", "shuffle": True, "chunks": True} if name == "gzip" and item.shape else {}
                    b["model_weights"].create_dataset(path, data=item[()], **how)
                else:
                    b["model_weights"].require_group(path)
                for key, value in item.attrs.items():
                    b["model_weights"][path].attrs[key] = value

            for key, value in a["model_weights"].attrs.items():
                b["model_weights"].attrs[key] = value
            a["model_weights"].visititems(copy)
        shutil.copy(HERE / "keras2/dense.npz", HERE / f"keras2/dense_{name}.npz")


only = sys.argv[2:]
if not THREE and (not only or "stored" in only):
    stored()
if not only or "beside" in only:
    beside()
if not THREE and (not only or "ones" in only):
    ones()
    refused()
folder = "keras3" if THREE else "keras2"
for family in FAMILIES + ([first] if THREE else []):
    if only and family.__name__ not in only:
        continue
    K.backend.clear_session()
    xs, ys = family()
    model = K.Model(xs, ys, name=family.__name__)
    randomize(model)
    both = family.__name__ in ("rnn", "bidirectional", "nested", "norm")
    save(folder, family.__name__, model, ([".keras", ".h5"] if both else [".keras"]) if THREE else [".h5"])
if not only or "stateful" in only:
    stateful(folder, ".keras" if THREE else ".h5")
