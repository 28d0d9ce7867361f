"""Runs pairs of models on the same inputs and prints the largest difference of their outputs.

usage: compare.py RUNTIME ORIGINAL REWRITTEN [ORIGINAL REWRITTEN ...]
"""
import sys

import numpy as np


def litert(path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = Interpreter(
        model_path=path,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    model.allocate_tensors()
    inputs, outputs = model.get_input_details(), model.get_output_details()

    def run(values):
        model.reset_all_variables()
        for d, v in zip(inputs, values):
            model.set_tensor(d["index"], v)
        model.invoke()
        return [model.get_tensor(d["index"]) for d in outputs]

    return [(d["shape"], d["dtype"]) for d in inputs], run


def tflm(path):
    from tflite_micro import runtime

    model = runtime.Interpreter.from_file(path)
    count = lambda details: iter_details(details)

    def iter_details(details):
        found = []
        while True:
            try:
                found.append(details(len(found)))
            except Exception:
                return found

    inputs, outputs = count(model.get_input_details), count(model.get_output_details)

    def run(values):
        model.reset()
        for i, v in enumerate(values):
            model.set_input(v, i)
        model.invoke()
        return [np.array(model.get_output(i)) for i in range(len(outputs))]

    return [(d["shape"], d["dtype"]) for d in inputs], run


def sample(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1, 1, shape).astype(dtype)
    low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
    return rng.integers(low, high, shape).astype(dtype)


def main():
    load = {"litert": litert, "tflm": tflm}[sys.argv[1]]
    paths = sys.argv[2:]
    for original, rewritten in zip(paths[::2], paths[1::2]):
        try:
            specs, first = load(original)
        except Exception as e:
            print(f"skip {original}: {str(e).splitlines()[0] if str(e) else e!r}")
            continue
        again, second = load(rewritten)
        assert [tuple(s) for s, _ in specs] == [tuple(s) for s, _ in again], rewritten
        worst = 0.0
        for seed in range(3):
            values = [sample(tuple(s), np.dtype(d), seed) for s, d in specs]
            for a, b in zip(first(values), second(values)):
                assert a.shape == b.shape and a.dtype == b.dtype, rewritten
                worst = max(worst, float(np.abs(a.astype(float) - b.astype(float)).max()))
        print(f"difference {worst} {rewritten}")


main()
