"""The ceiling is measured with what is installed, and says what is not."""

import sys

import numpy as np
import pytest

from SAMI2ILib.benchmark import ceiling
from SAMI2ILib.benchmark.ceiling import Product, best_gflops, measure_ceiling


def test_every_library_multiplies_or_says_why_not():
    products = measure_ceiling(threads=1, size=64, runs=1)
    assert {(p.library, p.precision) for p in products} == {
        ("torch", "fp32"), ("torch", "bf16"), ("numpy", "fp32"), ("openvino", "fp32"),
        ("openvino", "bf16"), ("onnxruntime", "fp32"),
    }  # fmt: skip
    for product in products:
        assert (product.gflops is None) == bool(product.reason)
    assert all(p.gflops > 0 for p in products if p.library in ("torch", "numpy"))


def test_library_that_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    products = measure_ceiling(threads=1, size=16, runs=1)
    missing = {p.reason for p in products if p.library == "openvino"}
    assert missing == {"the package openvino is not installed"}


def test_one_library_that_fails_leaves_the_others_their_products(monkeypatch):
    def fail(*_arguments):
        raise RuntimeError("no such kernel\nat line 1")

    monkeypatch.setattr(ceiling, "_openvino", fail)
    products = measure_ceiling(threads=1, size=16, runs=1)
    assert {p.reason for p in products if p.library == "openvino"} == {"no such kernel"}
    assert any(p.gflops for p in products if p.library == "torch")


def test_gpu_is_given_matrices_that_keep_it_busy_and_time_to_wake_up(monkeypatch):
    asked, calls = [], []

    def on_gpu(a, _b, precision, device):
        asked.append((len(a), precision, device))
        return lambda: calls.append(precision)

    monkeypatch.setattr(ceiling, "_torch", on_gpu)
    products = measure_ceiling(threads=1, device="cuda:0", size=16, runs=2)
    assert asked == [(64, p, "cuda:0") for p in ("fp32", "bf16", "fp16")]
    assert calls.count("fp32") == 12  # ten do not count
    assert {(p.size, p.device) for p in products} == {(64, "cuda")}


def test_ceiling_is_the_best_of_its_precision():
    products = [
        Product("torch", "fp32", 8, 200.0),
        Product("openvino", "fp32", 8, 500.0),
        Product("openvino", "bf16", 8, None, "the package openvino is not installed"),
    ]
    assert best_gflops(products, "fp32") == 500.0
    assert best_gflops(products, "bf16") is None


@pytest.mark.parametrize(
    ("library", "prepare"),
    [
        ("openvino", lambda a, b: ceiling._openvino(a, b, "f32", 1)),
        ("onnxruntime", lambda a, b: ceiling._onnxruntime(a, b, 1)),
    ],
)
def test_libraries_compute_the_product(library, prepare):
    pytest.importorskip(library)
    if library == "onnxruntime":
        pytest.importorskip("onnx")
    a, b = np.random.default_rng(0).standard_normal((2, 8, 8)).astype(np.float32)
    found = prepare(a, b)()
    values = found[0] if library == "onnxruntime" else next(iter(found.values()))
    np.testing.assert_allclose(values, a @ b, rtol=1e-5, atol=1e-5)
