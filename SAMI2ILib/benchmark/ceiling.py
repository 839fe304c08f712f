"""The ceiling: how fast this machine multiplies matrices with the best library at hand."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import first_line

SIZE = 2048
_GPU_FACTOR = 4
"""A GPU multiplies matrices of 2048 rows in less time than it takes to ask it for it."""

_RUNS = 5
_WARM_UPS = 1
_GPU_WARM_UPS = 10  # until its clocks are up


@dataclass(frozen=True)
class Product:
    """How fast a library multiplies two square matrices.

    Attributes:
        library: Which.
        precision: Of what goes in: "fp32", "bf16" or "fp16".
        size: Rows of each matrix.
        gflops: Median of billions of operations a second; None where it could not be measured.
        reason: Why not.
        device: Kind of device: "cpu" or "cuda".
    """

    library: str
    precision: str
    size: int
    gflops: float | None
    reason: str = ""
    device: str = "cpu"


def measure_ceiling(
    threads: int, device: str = "cpu", size: int = SIZE, runs: int = _RUNS
) -> list[Product]:
    """Multiply with every library that is installed, in every precision.

    Args:
        threads: Of the CPU.
        device: torch's name of where; another than "cpu" is measured with torch alone.
        size: Rows of the matrices; a GPU is given larger ones.
        runs: Of which the median is taken, after some that do not count.
    """
    on_gpu = device != "cpu"
    size, warm_ups = (_GPU_FACTOR * size, _GPU_WARM_UPS) if on_gpu else (size, _WARM_UPS)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    products, kind = [], device.partition(":")[0]
    for library, precision, prepare in _candidates(a, b, threads, device):
        gflops, reason = None, ""
        try:
            gflops = 2 * size**3 / _time(prepare(), runs, warm_ups) / 1e9
        except ImportError as error:
            reason = f"the package {error.name} is not installed"
        except RuntimeError as error:
            reason = first_line(error)
        products.append(Product(library, precision, size, gflops, reason, kind))
    return products


def best_gflops(products: list[Product], precision: str) -> float | None:
    """The fastest product of a precision; None where there is none."""
    found = [p.gflops for p in products if p.precision == precision and p.gflops is not None]
    return max(found, default=None)


def _time(multiply: Callable[[], object], runs: int, warm_ups: int) -> float:
    seconds = []
    for run in range(warm_ups + runs):
        start = time.perf_counter()
        multiply()
        if run >= warm_ups:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


_Candidate = tuple[str, str, Callable[[], Callable[[], object]]]


def _candidates(
    a: NDArray[np.float32], b: NDArray[np.float32], threads: int, device: str
) -> Iterator[_Candidate]:
    precisions = ("fp32", "bf16") if device == "cpu" else ("fp32", "bf16", "fp16")
    for precision in precisions:
        yield "torch", precision, lambda p=precision: _torch(a, b, p, device)  # type: ignore[misc]
    if device != "cpu":
        return
    yield "numpy", "fp32", lambda: lambda: a @ b
    yield "openvino", "fp32", lambda: _openvino(a, b, "f32", threads)
    yield "openvino", "bf16", lambda: _openvino(a, b, "bf16", threads)
    yield "onnxruntime", "fp32", lambda: _onnxruntime(a, b, threads)


def _torch(
    a: NDArray[np.float32], b: NDArray[np.float32], precision: str, device: str
) -> Callable[[], object]:
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    left, right = (torch.from_numpy(x).to(device, dtype) for x in (a, b))

    def multiply() -> None:
        left @ right
        if device != "cpu":
            torch.cuda.synchronize(device)

    return multiply


def _openvino(
    a: NDArray[np.float32], b: NDArray[np.float32], precision: str, threads: int
) -> Callable[[], object]:
    from SAMI2ILib.inference.back_ends.quiet_openvino import compile_graph, import_openvino

    openvino = import_openvino()
    from openvino import opset13

    left = opset13.parameter(a.shape, np.float32)
    graph = openvino.Model([opset13.matmul(left, opset13.constant(b), False, False)], [left])
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = compile_graph(graph, options).create_infer_request()
    shared = openvino.Tensor(a, shared_memory=True)
    return lambda: request.infer({0: shared}, share_outputs=True)


def _onnxruntime(
    a: NDArray[np.float32], b: NDArray[np.float32], threads: int
) -> Callable[[], object]:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    shape = list(a.shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"a": a})
