"""Quantizes the same networks with the same data by several tools and writes tables.

    compare_quantizers.py PARING DATA WORK PAGE [TABLE...]

PARING is the program, DATA the folder with `models` and `datasets`, WORK a scratch folder, PAGE the
Markdown file whose parts between markers are rewritten: all of them, or the tables named. Each tool runs in a process of its own, whose
time and peak memory are taken; each result is judged by its own runtime on the same samples.
"""

import glob
import json
import os
import subprocess
import sys
import time

import numpy as np

SAMPLES = 512
# Samples that recipes for fewer bits calibrate with.
FEW_BITS_SAMPLES = 1024
# Draws of calibration images that each recipe is judged over.
DRAWS = {"int8": 5, "int4": 8, "int3": 4, "mixed3": 8}
# Orders of the pictures of `imagenet200`, in each of which the ones at even places calibrate and those at odd
# ones judge, then the other way round: as they come, and shuffled.
ORDERS = ["", ",shuffle=1", ",shuffle=2"]
HALVES = [(f"offset={ours},stride=2{order}", f"offset={1 - ours},stride=2{order}")
          for order in ORDERS for ours in (0, 1)]


def pictures(how, calibrating, judging):
    """Pictures that calibrate, and others that judge."""
    spec = "images:{data}/imagenet200," + how
    return f"{spec},offset=0,stride=2,limit={calibrating}", f"{spec},offset=1,stride=2,limit={judging}"


# Networks beside those of the other tables: the model, the data that calibrates, and the data that judges.
OTHERS = {
    "Ultraface": ("{models}/onnx/ultraface_slim_320.onnx",
                  *pictures("size=240x320,mean=127,std=128", 24, 8)),
    "Super resolution": ("{models}/onnx/super_resolution_10.onnx",
                         *pictures("color=gray,range=0..1,size=224x224", 8, 4)),
    "BlazeFace": ("{models}/tflite/face_detection_short_range_fp16w.tflite",
                  *pictures("range=-1..1,size=128x128", 32, 16)),
    "Mini-Xception": ("{models}/keras/fer2013_mini_xception.h5",
                      *pictures("color=gray,range=-1..1,size=64x64", 64, 32)),
    "LSTM MNIST": ("{work}/lstm.onnx", "mnist:{data}/mnist:train,range=0..1,limit=512",
                   "mnist:{data}/mnist:test,range=0..1"),
    "AD autoencoder": ("{models}/keras/ad_autoencoder.h5", "npz:{work}/windows.npz,offset=0,stride=2",
                       "npz:{work}/windows.npz,offset=1,stride=2"),
}
# What is said of a network as a whole, by the name that `paring eval` has for it.
MEASURES = {"LSTM MNIST": ("accuracy", "top1", "{:.2f} %"),
            "AD autoencoder": ("mean square reconstruction error", "reconstruction_mse", "{:.3f}")}

def samples(recipe):
    return SAMPLES if recipe == "int8" else FEW_BITS_SAMPLES


def cifar(data, names, count):
    raw = b"".join(open(f"{data}/datasets/cifar10/{n}", "rb").read() for n in names)
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 3073)[:count]
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32)
    return images, rows[:, 0].astype(int)


def keywords(data):
    rows = [line.split(",") for line in open(f"{data}/datasets/kws01/y_labels.csv")]
    images, labels = [], []
    for row in rows:
        path = f"{data}/datasets/kws01/{row[0].strip()}"
        if not os.path.exists(path):
            continue
        stored = np.fromfile(path, np.int8).reshape(49, 10, 1).astype(np.float32)
        images.append((stored - 83) * 0.58470291)
        labels.append(int(row[2]))
    return np.stack(images), np.array(labels)


def cases(data):
    train, _ = cifar(data, ["data_batch_1.bin"], SAMPLES)
    test = cifar(data, ["test_batch.bin"], 1017)
    spoken = keywords(data)
    return {
        "ResNet-8": {
            "model": f"{data}/models/keras/ic_resnet8.h5",
            "calibration": train,
            "test": test,
            "spec": f"cifar10:{data}/datasets/cifar10:train,limit={{n}}",
            "judge": f"cifar10:{data}/datasets/cifar10:test",
        },
        "KWS DS-CNN": {
            "model": f"{data}/models/keras/kws_dscnn.h5",
            "calibration": spoken[0][:100],
            "test": spoken,
            "spec": f"kws01:{data}/datasets/kws01,limit=100",
            "judge": f"kws01:{data}/datasets/kws01",
        },
    }


def with_litert(source, target, calibration):
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(source).get_signature_list()
    (key, signature), = signatures.items() or {None: {"inputs": ["input"]}}.items()
    name = signature["inputs"][0]
    tool = quantizer.Quantizer(source)
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = {key: [{name: x[None]} for x in calibration]}
    tool.quantize(tool.calibrate(samples)).export_model(target, overwrite=True)


def with_onnxruntime(source, target, calibration):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(source).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = iter(calibration)

        def get_next(self):
            row = next(self.rows, None)
            return None if row is None else {name: fit(row, source)}

    prepared = target + ".prepared.onnx"
    quant_pre_process(source, prepared)
    quantize_static(prepared, target, Reader(), per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)


def fit(row, path):
    """A sample in the layout of an ONNX model."""
    import onnx

    shape = [d.dim_value or 1 for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    x = row[None]
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if list(x.shape) != shape else x


def judge_litert(path, images):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(path)
    run.allocate_tensors()
    (i,), (o,) = run.get_input_details(), run.get_output_details()
    out = []
    for x in images:
        x = x[None]
        if i["dtype"] != np.float32:
            scale, zero = i["quantization"]
            x = np.clip(np.round(x / scale) + zero, -128, 127).astype(i["dtype"])
        run.set_tensor(i["index"], x)
        run.invoke()
        out.append(int(run.get_tensor(o["index"])[0].argmax()))
    return out


def judge_onnxruntime(path, images):
    import onnxruntime

    run = onnxruntime.InferenceSession(path)
    name = run.get_inputs()[0].name
    return [int(run.run(None, {name: fit(x, path)})[0][0].argmax()) for x in images]


def worker(tool, source, target, calibration):
    samples = np.load(calibration)
    (with_litert if tool == "litert" else with_onnxruntime)(source, target, samples)


def timed(command):
    """Seconds, processor seconds and peak MiB of a command."""
    start = time.time()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise RuntimeError(f"{command}: {errors.decode()[-2000:]}")
    return time.time() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def head(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


def compress(paring, model, recipe, spec, out):
    """Seconds, processor seconds and peak MiB."""
    command = [paring, "compress", model, "--recipe", recipe, "--backend", "auto", "--calib", spec,
               "-o", out, "--json", "--quiet"]
    return timed(command)[:3]


def verdict(paring, model, data, against):
    """What `paring eval` says of a model beside the original."""
    command = [paring, "eval", model, "--backend", "auto", "--data", data, "--against", against,
               "--json", "--quiet"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def db(x):
    return "" if x is None else f"{x:.1f} dB"


def side_by_side(paring, data, work):
    """Ours beside other tools."""
    lines = head("network", "tool", "accuracy", "agreement with float", "bytes", "seconds",
                 "CPU seconds", "peak MiB")
    for name, case in cases(data).items():
        images, labels = case["test"]
        stem = f"{work}/{name.split()[0]}"
        np.save(f"{stem}.npy", case["calibration"])
        for form in ("tflite", "onnx"):
            subprocess.run([paring, "convert", case["model"], "-o", f"{stem}.{form}"], check=True)
        float_classes = judge_litert(f"{stem}.tflite", images)

        def add(tool, classes, size, cost):
            accuracy = 100 * np.mean(np.array(classes) == labels)
            agreement = 100 * np.mean(np.array(classes) == np.array(float_classes))
            took = ["", "", ""] if cost is None else [f"{c:.1f}" for c in cost]
            lines.append(row(name, tool, f"{accuracy:.2f} %", f"{agreement:.2f} %", f"{size:,}", *took))

        add("float", float_classes, os.path.getsize(f"{stem}.tflite"), None)
        for recipe in DRAWS:
            out = f"{stem}-{recipe}"
            spec = case["spec"].format(n=samples(recipe))
            cost = compress(paring, case["model"], recipe, spec, out)
            form = f"{out}.tflite"
            made = subprocess.run([paring, "convert", f"{out}/model.paring", "-o", form],
                                  capture_output=True)
            if recipe == "int8" and made.returncode == 0:
                add("paring `int8`, as TFLite in LiteRT", judge_litert(form, images),
                    os.path.getsize(form), cost)
            found = verdict(paring, f"{out}/model.paring", case["judge"], case["model"])
            size = os.path.getsize(f"{out}/model.paring")
            lines.append(row(name, f"paring `{recipe}`", f"{found['top1']:.2f} %",
                             f"{found['agreement']:.2f} %", f"{size:,}", *[f"{c:.1f}" for c in cost]))
        for tool, form, judge in (("litert", "tflite", judge_litert),
                                  ("onnxruntime", "onnx", judge_onnxruntime)):
            target = f"{stem}-{tool}.{form}"
            shown = {"litert": "ai-edge-quantizer int8", "onnxruntime": "ONNX Runtime int8"}[tool]
            try:
                *cost, _ = timed([sys.executable, __file__, "worker", tool, f"{stem}.{form}",
                                  target, f"{stem}.npy"])
                add(shown, judge(target, images), os.path.getsize(target), cost)
            except Exception as error:  # a peer that fails is a result too
                why = str(error).splitlines()[-1][:80]
                lines.append(row(name, shown, f"failed: {why}", "", "", "", "", ""))
    return lines


def draws(paring, data, work):
    """ResNet-8 over several draws of the training images."""
    case = cases(data)["ResNet-8"]
    lines = head("recipe", "draws", "accuracy, mean", "worst", "agreement, mean", "worst")
    for recipe, count in DRAWS.items():
        if count == 1:
            continue
        limit = samples(recipe)
        found = []
        for draw in range(1, count + 1):
            spec = f"cifar10:{data}/datasets/cifar10:train,shuffle={draw},limit={limit}"
            compress(paring, case["model"], recipe, spec, f"{work}/draw")
            found.append(verdict(paring, f"{work}/draw/model.paring", case["judge"], case["model"]))
        cells = [[f[key] for f in found] for key in ("top1", "agreement")]
        cells = [f"{x:.2f} %" for v in cells for x in (sum(v) / len(v), min(v))]
        lines.append(row(f"`{recipe}`", str(count), *cells))
    return lines


def calibration(paring, data, work):
    """What calibrating ResNet-8 takes by the number of images."""
    recipe = f"{work}/calibrate.toml"
    steps = "".join(f'[[pass]]\nuse = "{name}"\n' for name in ("cleanup", "layout", "fold-bn", "fuse"))
    with open(recipe, "w") as file:
        file.write(f'version = 1\n{steps}[[pass]]\nuse = "calibrate"\nobserver = "readers"\n')
    model = f"{data}/models/keras/ic_resnet8.h5"
    lines = head("images", "seconds", "CPU seconds", "peak MiB")
    for count in (100, 1000, 10000):
        spec = f"cifar10:{data}/datasets/cifar10:train,limit={count}"
        cost = compress(paring, model, recipe, spec, f"{work}/calibrated")
        lines.append(row(f"{count:,}", *[f"{c:.1f}" for c in cost]))
    return lines


def halves(paring, data, work):
    """Networks for pictures, calibrated on one half of them and judged on the other, for several halvings.
    What another tool made of a network is judged on all of them."""
    pictures = f"images:{data}/datasets/imagenet200"
    cifar = f"cifar10:{data}/datasets/cifar10:train,size=96,range=0..1,limit=2000"
    lines = head("network", "judged on", "recipe", "float", "accuracy", "agreement with float", "SQNR", "bytes")
    mean = lambda all, key: f"{sum(f[key] for f in all) / len(all):.2f} %"
    snr = lambda all: db(sum(f["snr_db"] for f in all) / len(all))
    for name, model, how, labelled, theirs_too in (
        ("MCUNet", "onnx/mcunet_320kb_bn.onnx", "size=176,range=-1..1", True, "tflite/mcunet_320kb_int8.tflite"),
        ("VWW", "keras/vww_mnv1.h5", "size=96,range=0..1", False, None),
    ):
        model, out = f"{data}/models/{model}", f"{work}/half"
        real = [verdict(paring, model, f"{pictures},{how},{theirs}", model) for _, theirs in HALVES if labelled]
        whole = [verdict(paring, model, f"{pictures},{how}", model)] if labelled else []
        for recipe in ("int8", "int8-wide"):
            found, other, sizes = [], [], []
            for ours, theirs in HALVES:
                compress(paring, model, recipe, f"{pictures},{how},{ours}", out)
                found.append(verdict(paring, f"{out}/model.paring", f"{pictures},{how},{theirs}", model))
                sizes.append(os.path.getsize(f"{out}/model.paring"))
                if not labelled:
                    other.append(verdict(paring, f"{out}/model.paring", cifar, model))
            tops = [mean(real, "top1"), mean(found, "top1")] if labelled else ["", ""]
            cells = [f"`{recipe}`", *tops, mean(found, "agreement"), snr(found), f"{sum(sizes) // len(sizes):,}"]
            lines.append(row(name, "the other half of 200 pictures", *cells))
            if other:
                cells = [f"`{recipe}`", "", "", mean(other, "agreement"), snr(other), ""]
                lines.append(row(name, "2,000 CIFAR-10 pictures", *cells))
            compress(paring, model, recipe, f"{pictures},{how}", out)
            same = [verdict(paring, f"{out}/model.paring", f"{pictures},{how}", model)]
            size = os.path.getsize(f"{out}/model.paring")
            tops = [mean(whole, "top1"), mean(same, "top1")] if labelled else ["", ""]
            cells = [f"`{recipe}`", *tops, mean(same, "agreement"), snr(same), f"{size:,}"]
            lines.append(row(name, "the 200 pictures that calibrate", *cells))
        if theirs_too:
            path = f"{data}/models/{theirs_too}"
            found = [verdict(paring, path, f"{pictures},{how}", model)]
            cells = ["its publisher's int8 file", mean(whole, "top1"), mean(found, "top1"),
                     mean(found, "agreement"), snr(found), f"{os.path.getsize(path):,}"]
            lines.append(row(name, "200 pictures", *cells))
    return lines


def windows(data, path):
    """The inputs of the network that hears anomalies: five frames of a recording side by side."""
    frames = np.fromfile(f"{data}/datasets/ad01/normal_id_01_00000000_hist_librosa.bin", np.float32)
    frames = frames.reshape(-1, 128)
    np.savez(path, input_0=np.stack([frames[i:i + 5].ravel() for i in range(len(frames) - 4)]))


def real_lstm(source, target):
    """The network of real numbers that the weights of an integer one stand for, an LSTM and a dense layer, as
    ONNX."""
    import onnx
    from onnx import helper, numpy_helper
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    run = Interpreter(source, experimental_op_resolver_type=plain)
    run.allocate_tensors()
    details = {d["index"]: d for d in run.get_tensor_details()}

    def real(i):
        scale = details[i]["quantization_parameters"]["scales"]
        stored = run.get_tensor(i).astype(np.float32)
        return stored * scale.reshape([-1] + [1] * (stored.ndim - 1))

    steps = {op["op_name"]: op["inputs"] for op in run._get_ops_details()}
    cell, dense = steps["UNIDIRECTIONAL_SEQUENCE_LSTM"], steps["FULLY_CONNECTED"]
    # Gates stand as input, forget, cell, output there, and as input, output, forget, cell in ONNX.
    gates = lambda first: np.concatenate([real(cell[first + g]) for g in (0, 3, 1, 2)])[None]
    bias = gates(12)
    stored = {"w": gates(1), "r": gates(5), "b": np.concatenate([bias, np.zeros_like(bias)], 1),
              "v": real(dense[1]), "c": real(dense[2]), "flat": np.array([1, -1], np.int64)}
    hidden = stored["r"].shape[-1]
    nodes = [
        helper.make_node("Transpose", ["x"], ["rows"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["rows", "w", "r", "b"], ["h"], hidden_size=hidden),
        helper.make_node("Reshape", ["h", "flat"], ["all"]),
        helper.make_node("Gemm", ["all", "v", "c"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    shape = [int(n) for n in run.get_input_details()[0]["shape"]]
    info = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in stored.items()]
    outputs = [info("y", [1, len(stored["c"])])]
    graph = helper.make_graph(nodes, "lstm", [info("x", shape)], outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)]), target)


def others(paring, data, work):
    """How far every output of other networks is off in int8."""
    windows(data, f"{work}/windows.npz")
    real_lstm(f"{data}/models/tflite/mnist_lstm_int8.tflite", f"{work}/lstm.onnx")
    lines = head("network", "output", "SQNR", "PSNR", "as a whole", "float", "int8")
    for name, of in OTHERS.items():
        model, calibrating, judging = (
            text.format(models=f"{data}/models", data=f"{data}/datasets", work=work) for text in of)
        out = f"{work}/other"
        compress(paring, model, "int8", calibrating, out)
        found = verdict(paring, f"{out}/model.paring", judging, model)
        whole = ["", "", ""]
        if name in MEASURES:
            what, key, form = MEASURES[name]
            real = verdict(paring, model, judging, model)
            whole = [what, form.format(real[key]), form.format(found[key])]
        for output in found["outputs"]:
            cells = [f"`{output['name']}`", db(output["snr_db"]), db(output["psnr_db"]), *whole]
            lines.append(row(name, *cells))
            whole = ["", "", ""]
    return lines


def main(paring, data, work, page, *tables):
    os.makedirs(work, exist_ok=True)
    for make in (calibration, draws, side_by_side, halves, others):
        name = make.__name__.replace("_", "-")
        if tables and name not in tables:
            continue
        table = "\n".join(make(paring, data, work))
        print(table, flush=True)
        begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
        text = open(page).read()
        before, rest = text.split(begin)
        open(page, "w").write(before + begin + table + end + rest.split(end)[1])


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
