"""Quantizes the same networks with the same data by several tools and writes one table.

    compare_quantizers.py PARING DATA WORK PAGE

PARING is the program, DATA the folder with `models` and `datasets`, WORK a scratch folder, PAGE the
Markdown file whose part between the two markers is rewritten. Each tool runs in a process of its own,
whose time and peak memory are taken; each result is judged by its own runtime on the same samples.
"""

import glob
import json
import os
import subprocess
import sys
import time

import numpy as np

SAMPLES = 512
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


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
            "spec": f"cifar10:{data}/datasets/cifar10:train,limit={SAMPLES}",
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


def main(paring, data, work, page):
    os.makedirs(work, exist_ok=True)
    lines = ["| network | tool | accuracy | agreement with float | bytes | seconds | CPU seconds | peak MiB |",
             "|---|---|---|---|---|---|---|---|"]
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
            lines.append(f"| {name} | {tool} | {accuracy:.2f} % | {agreement:.2f} % | {size:,} | "
                         + " | ".join(took) + " |")

        add("float", float_classes, os.path.getsize(f"{stem}.tflite"), None)
        for recipe in ("int8", "int4", "int3", "mixed3"):
            out = f"{stem}-{recipe}"
            *cost, _ = timed([paring, "compress", case["model"], "--recipe", recipe, "--calib",
                              case["spec"], "-o", out, "--json"])
            form = f"{out}.tflite"
            made = subprocess.run([paring, "convert", f"{out}/model.paring", "-o", form],
                                  capture_output=True)
            if recipe == "int8" and made.returncode == 0:
                classes = judge_litert(form, images)
                add("paring `int8`, as TFLite in LiteRT", classes, os.path.getsize(form), cost)
            verdict = subprocess.run([paring, "eval", f"{out}/model.paring", "--data", case["judge"],
                                      "--against", case["model"], "--json"],
                                     capture_output=True, check=True)
            verdict = json.loads(verdict.stdout)
            size = os.path.getsize(f"{out}/model.paring")
            lines.append(f"| {name} | paring `{recipe}` | {verdict['top1']:.2f} % | "
                         f"{verdict['agreement']:.2f} % | {size:,} | "
                         + " | ".join(f"{c:.1f}" for c in cost) + " |")
        for tool, form, judge in (("litert", "tflite", judge_litert),
                                  ("onnxruntime", "onnx", judge_onnxruntime)):
            target = f"{stem}-{tool}.{form}"
            shown = {"litert": "ai-edge-quantizer int8", "onnxruntime": "ONNX Runtime int8"}[tool]
            try:
                *cost, _ = timed([sys.executable, __file__, "worker", tool, f"{stem}.{form}",
                                  target, f"{stem}.npy"])
                add(shown, judge(target, images), os.path.getsize(target), cost)
            except Exception as error:  # a peer that fails is a result too
                lines.append(f"| {name} | {shown} | failed: {str(error).splitlines()[-1][:80]} | | | | | |")
    table = "\n".join(lines)
    print(table)
    text = open(page).read()
    before, rest = text.split(BEGIN)
    open(page, "w").write(before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
