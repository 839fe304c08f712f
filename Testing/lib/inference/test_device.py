"""The choice of a device and the reason that is given for it."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.inference import device as device_module
from SAMI2ILib.inference.device import (
    cpu_gains_from_bf16,
    cpu_multiplies_faster_in_bf16,
    describe_gpu,
    device_trouble,
    full_float32,
    select_device,
)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(device_module, "_cuda_trouble", lambda _index: "no CUDA device was found")


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(
        device_module,
        "_cuda_trouble",
        lambda index: "" if index == 0 else "there are 1 CUDA devices",
    )
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _index: "NVIDIA Test")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _index: (8, 6))


def test_auto_takes_the_cpu_and_says_why_when_there_is_no_gpu(no_gpu):
    device = select_device("auto")
    assert (device.name, device.reason) == ("cpu", "no CUDA device was found")


def test_auto_takes_the_first_gpu(one_gpu):
    device = select_device("auto")
    assert (device.name, device.description) == ("cuda:0", "NVIDIA Test (CUDA 0)")
    assert (device.precision, device.dtype) == ("bf16", torch.bfloat16)


def test_auto_takes_the_next_gpu_where_the_first_does_not_work(monkeypatch, one_gpu):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    found = {0: "a test operation on CUDA 0 failed (busy)", 1: "", 2: ""}
    monkeypatch.setattr(device_module, "_cuda_trouble", found.get)
    device = select_device("auto")
    assert (device.name, device.reason) == ("cuda:1", "it is the first CUDA device that works")
    monkeypatch.setattr(device_module, "_cuda_trouble", lambda index: f"CUDA {index} is busy")
    assert select_device("auto").reason == "CUDA 0 is busy"


def test_gpu_is_described_by_its_memory_and_age(monkeypatch, one_gpu):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _name: (4_000, 6_000))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.version, "hip", None)
    found = {
        "memory_bytes": 6_000, "free_bytes": 4_000, "capability": "8.6", "runtime": "CUDA 13.0"
    }  # fmt: skip
    assert describe_gpu("cuda:0") == found
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert describe_gpu("cuda:0")["runtime"] == "ROCm 6.4"


def test_old_gpu_computes_in_fp32_unless_asked(one_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _index: (7, 5))
    assert select_device("cuda").precision == "fp32"
    assert select_device("cuda", "fp16").dtype == torch.float16


def test_cpu_precision_follows_its_instructions(monkeypatch):
    for has_bf16, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(device_module, "cpu_gains_from_bf16", lambda has=has_bf16: has)
        assert select_device("cpu").precision == precision


def test_gpu_asked_for_by_name_is_never_replaced(no_gpu):
    with pytest.raises(MissingError, match="'cuda:1' cannot be used: no CUDA device was found"):
        select_device("cuda:1")


def test_second_gpu_is_refused_when_there_is_one(one_gpu):
    with pytest.raises(MissingError, match="there are 1 CUDA devices"):
        select_device("cuda:1")


@pytest.mark.parametrize("request_", ["gpu", "cuda:", "cuda:x", "cuda:-1", ""])
def test_unknown_device_is_refused(request_):
    with pytest.raises(InputError, match="device must be auto, cpu, cuda or cuda:N"):
        select_device(request_)


def test_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision must be one of auto, fp32, bf16, fp16"):
        select_device("cpu", "fp8")


def test_half_precision_is_refused_on_the_cpu():
    with pytest.raises(InputError, match="fp16 needs a CUDA device"):
        select_device("cpu", "fp16")


def test_bf16_detection_answers_on_this_machine():
    assert cpu_gains_from_bf16() in (True, False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_trouble_names_the_missing_gpu():
    assert select_device("auto").reason in (
        "no CUDA device was found",
        "this build of PyTorch has no CUDA",
    )


def test_device_that_computes_has_no_trouble():
    for precision in ("fp32", "bf16"):
        assert device_trouble(select_device("cpu", precision)) == ""


def test_device_that_fails_or_computes_wrongly_is_in_trouble(monkeypatch):
    cpu = select_device("cpu", "fp32")

    def fail(_image, _kernel):
        raise RuntimeError("no kernel image\nmore")

    monkeypatch.setattr(torch.nn.functional, "conv2d", fail)
    assert device_trouble(cpu) == "a test operation on cpu failed (no kernel image)"
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda image, _kernel: image)
    assert device_trouble(cpu) == "cpu computed a wrong result"


@pytest.mark.parametrize(("bf16_seconds", "faster"), [(1.0, True), (1.5, False), (3.0, False)])
def test_bf16_is_chosen_for_training_where_it_is_measured_to_be_faster(
    monkeypatch, bf16_seconds, faster
):
    # five starts and ends of a product in float32, of two seconds each, then five in bfloat16
    ticks = iter([0.0, 2.0] * 5 + [0.0, bf16_seconds] * 5)
    monkeypatch.setattr(device_module.time, "perf_counter", lambda: next(ticks))
    assert cpu_multiplies_faster_in_bf16() is faster


def test_float32_is_rounded_nowhere_within_a_block_and_as_before_behind_it():
    convolutions = getattr(torch.backends.cudnn, "conv", None)
    if convolutions is None:
        pytest.skip("torch before 2.9 has another flag")
    before = convolutions.fp32_precision
    with contextlib.suppress(ZeroDivisionError), full_float32():
        assert convolutions.fp32_precision == "ieee"
        raise ZeroDivisionError
    assert convolutions.fp32_precision == before == "tf32"  # torch's default
    assert torch.backends.cudnn.allow_tf32  # both of torch's ways to ask agree again


def test_older_torch_is_told_by_its_own_flag(monkeypatch):
    older = SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends, "cudnn", older)
    with full_float32():
        assert older.allow_tf32 is False
    assert older.allow_tf32 is True
