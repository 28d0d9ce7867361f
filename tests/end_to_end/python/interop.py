"""Runs models in the runtimes that they are for and compares with known outputs.

usage: interop.py JOBS.json

JOBS.json lists objects of `runtime` (litert, litert_ref, tflm, onnxruntime), `model`, `inputs` (an .npz with
input_0, ... and a leading axis of samples), `key` (the outputs to compare with: KEY_0, ... of the same file)
and `samples` (how many at most). For each a line of JSON is printed: `model`, `runtime`, and either `error`
or `worst` (the largest absolute difference), `scale` (the largest magnitude of a known output) and `differ`
(how many elements of how many are not the same).
"""
import json
import sys

import numpy as np


def litert(path, reference):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def load(kind):
        model = Interpreter(model_path=path, experimental_op_resolver_type=kind)
        model.allocate_tensors()
        return model

    try:
        model = load(OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO)
    except ValueError as e:
        # The reference kernels are not all there.
        if "Didn't find op" not in str(e):
            raise
        model = load(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    inputs, outputs = model.get_input_details(), model.get_output_details()

    def run(values):
        model.reset_all_variables()
        for d, v in zip(inputs, values):
            model.set_tensor(d["index"], v.reshape(d["shape"]))
        model.invoke()
        return [model.get_tensor(d["index"]) for d in outputs]

    return run


def tflm(path):
    from tflite_micro import runtime

    model = runtime.Interpreter.from_file(path, arena_size=8 << 20)

    def run(values):
        model.reset()
        for i, v in enumerate(values):
            shape = model.get_input_details(i)["shape"]
            model.set_input(v.reshape(shape), i)
        model.invoke()
        found = []
        while True:
            try:
                found.append(np.array(model.get_output(len(found))))
            except Exception:
                return found

    return run


def onnxruntime(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()

    def run(values):
        feed = {i.name: v.reshape(i.shape) for i, v in zip(inputs, values)}
        return session.run(None, feed)

    return run


LOAD = {
    "litert": lambda path: litert(path, False),
    "litert_ref": lambda path: litert(path, True),
    "tflm": tflm,
    "onnxruntime": onnxruntime,
}


def judge(job):
    run = LOAD[job["runtime"]](job["model"])
    data = np.load(job["inputs"])

    def stacked(key):
        names = (f"{key}_{k}" for k in range(1000))
        return [data[n] for n in names if n in data]

    inputs, known = stacked("input"), stacked(job["key"])
    worst, scale, differ, total = 0.0, 0.0, 0, 0
    for s in range(min(len(inputs[0]), job["samples"])):
        got = run([np.asarray(x[s]) for x in inputs])
        assert len(got) == len(known), f"{len(got)} outputs, expected {len(known)}"
        for g, w in zip(got, known):
            g, w = np.asarray(g), np.asarray(w[s])
            assert g.dtype == w.dtype and g.size == w.size, f"{g.dtype}{g.shape} for {w.dtype}{w.shape}"
            g, w = g.astype(np.float64).ravel(), w.astype(np.float64).ravel()
            worst = max(worst, float(np.abs(g - w).max(initial=0)))
            scale = max(scale, float(np.abs(w).max(initial=0)))
            differ += int((g != w).sum())
            total += g.size
    return {"worst": worst, "scale": scale, "differ": [differ, total]}


def main():
    with open(sys.argv[1]) as file:
        jobs = json.load(file)
    for job in jobs:
        try:
            result = judge(job)
        except Exception as e:
            result = {"error": f"{type(e).__name__}: {e}"[:600]}
        print(json.dumps({"model": job["model"], "runtime": job["runtime"], **result}), flush=True)


main()
