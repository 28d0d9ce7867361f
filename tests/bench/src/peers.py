"""Runs models on other runtimes, one request a line on standard input, one answer a line on standard
output. Requests: {"load": path, "engine": name, "threads": n}, {"run": times}, {"versions": true}.
With `--memory ENGINE PATH` it prints by how many bytes the most memory of the process grows instead."""
import json
import sys
import time

import numpy as np


def random_input(rng, shape, dtype):
    shape = [d if isinstance(d, int) and d > 0 else 1 for d in shape]
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)
    return rng.random(size=shape, dtype=np.float32).astype(dtype)


def load_litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(1)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], random_input(rng, detail["shape"].tolist(), detail["dtype"]))
    return interpreter.invoke


def load_onnxruntime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8,
             "tensor(int32)": np.int32, "tensor(int64)": np.int64}
    rng = np.random.default_rng(1)
    binding = session.io_binding()
    for port in session.get_inputs():
        binding.bind_cpu_input(port.name, random_input(rng, port.shape, kinds[port.type]))
    for port in session.get_outputs():
        binding.bind_output(port.name)
    return lambda: session.run_with_iobinding(binding)


def versions():
    from importlib.metadata import version

    return {name: version(name) for name in ("ai-edge-litert", "onnxruntime")}


LOAD = {"litert": load_litert, "onnxruntime": load_onnxruntime}


def kilobytes(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))


def memory(engine, path):
    if engine == "litert":
        import ai_edge_litert.interpreter
    else:
        import onnxruntime
    before = kilobytes("VmRSS")
    call = LOAD[engine](path, 1)
    for _ in range(3):
        call()
    print(1024 * (kilobytes("VmHWM") - before))


def main():
    if sys.argv[1:2] == ["--memory"]:
        return memory(*sys.argv[2:4])
    loaded = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "versions" in request:
                answer = versions()
            elif "load" in request:
                loaded[request["engine"]] = LOAD[request["engine"]](request["load"], request["threads"])
                answer = {}
            else:
                call = loaded[request["engine"]]
                wall, cpu = [], []
                for i in range(request["run"] + 2):
                    a, c = time.perf_counter_ns(), time.thread_time_ns()
                    call()
                    d, b = time.thread_time_ns(), time.perf_counter_ns()
                    if i >= 2:
                        wall.append((b - a) / 1e6)
                        cpu.append((d - c) / 1e6)
                answer = {"wall": wall, "cpu": cpu}
        except Exception as error:  # The program that asks decides what a failure means.
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)


main()
