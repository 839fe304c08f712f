"""`sami2i doctor`: what it finds, what it calls ready, and that it never fails itself."""

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from SAMI2ILib.about import VERSION
from SAMI2ILib.cli import doctor
from SAMI2ILib.errors import MissingError
from SAMI2ILib.inference import back_ends, device
from SAMI2ILib.weights import ModelSpec, write_model

REAL = {module.__name__: module for module in (back_ends, device)}
CPU = SimpleNamespace(
    name="cpu", description="CPU", reason="no CUDA device was found", precision="fp32"
)
MIXED = SimpleNamespace(**vars(CPU) | {"precision": "bf16"})
CUDA = SimpleNamespace(
    name="cuda:0",
    description="NVIDIA RTX A5000 (CUDA 0)",
    reason="it is the first CUDA device",
    precision="bf16",
)


class Recorder:
    def __init__(self):
        self.said, self.results = [], []

    def say(self, text):
        self.said.append(text)

    def result(self, fields):
        self.results.append(fields)


@pytest.fixture
def run():
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)

    def run(*arguments):
        console = Recorder()
        code = doctor.run(parser.parse_args(arguments), console)
        (fields,) = console.results
        return code, fields, console.said[0]

    return run


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A Linux machine with every package, a CPU and no bundled models."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "1.2")
    monkeypatch.setattr("SAMI2ILib.weights.store.asset_path", lambda *_parts: tmp_path / "none")
    place_device(monkeypatch, lambda _request: CPU)


def describe_gpu(name):
    assert name == "cuda:0"
    return {
        "memory_bytes": 6_000_000_000, "free_bytes": 4_500_000_000, "capability": "8.6",
        "runtime": "CUDA 13.0",
    }  # fmt: skip


def place_device(monkeypatch, select_device, trouble="", describe=describe_gpu):
    module = ModuleType("SAMI2ILib.inference.device")
    module.describe_gpu = describe
    module.select_device = select_device
    module.device_trouble = lambda _device: trouble
    monkeypatch.setitem(sys.modules, "SAMI2ILib.inference.device", module)
    place_back_ends(monkeypatch, lambda: select_device("auto"))


def place_back_ends(monkeypatch, select_inference_device, trouble=None):
    module = ModuleType("SAMI2ILib.inference.back_ends")
    module.select_inference_device = select_inference_device
    module.openvino_trouble = lambda: trouble
    module.expected_back_end = lambda device: (
        ("openvino", f"best on {device.name}")
        if trouble is None
        else ("torch", trouble.message.rstrip("."))
    )
    monkeypatch.setitem(sys.modules, "SAMI2ILib.inference.back_ends", module)


def without(monkeypatch, *absent):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else object()
    )


@pytest.fixture
def model(private_store):
    spec = ModelSpec(
        family="unet", id="mine", title="Mine", source_contrast="T1", target_contrast="T2",
        license="MIT",
    )  # fmt: skip
    write_model(private_store / "mine.safetensors", spec, {"w": np.ones(1, np.float16)})


def test_doctor_is_ready_on_the_cpu_and_says_why(run, model):
    code, fields, _text = run()
    assert code == 0
    assert fields["ready"]
    assert fields["status"] == "Ready on the CPU because no CUDA device was found."
    assert fields["bf16"] is False
    assert fields["gpu"] is None


def test_doctor_is_ready_on_a_gpu(run, model, monkeypatch):
    place_device(monkeypatch, lambda _request: CUDA)
    code, fields, text = run()
    assert code == 0
    assert fields["status"] == "Ready: NVIDIA RTX A5000 (CUDA 0)"
    assert fields["bf16"] is True
    assert fields["gpu"] == describe_gpu("cuda:0")
    assert "4.5 of 6.0 GB free, compute capability 8.6, CUDA 13.0" in text


def test_doctor_does_without_the_facts_of_a_gpu(run, model, monkeypatch):
    def fail(_name):
        raise RuntimeError("CUDA error: unknown error")

    place_device(monkeypatch, lambda _request: CUDA, describe=fail)
    code, fields, text = run()
    assert (code, fields["gpu"]) == (0, None)
    assert "compute capability" not in text


def test_doctor_says_what_a_translation_here_would_run_on(run, model, monkeypatch):
    for name, module in REAL.items():
        monkeypatch.setitem(sys.modules, name, module)
    expected = back_ends.select_inference_device()
    _code, fields, _text = run()
    assert fields["device"]["precision"] == expected.precision
    assert fields["bf16"] is (expected.precision == "bf16")
    assert tuple(fields["back_end"].values()) == back_ends.expected_back_end(expected)


def test_doctor_says_that_the_back_ends_do_not_load(run, model, monkeypatch):
    def fail():
        raise OSError("damaged")

    place_back_ends(monkeypatch, fail)
    code, fields, _text = run()
    assert code == 3
    assert fields["status"] == "The back ends do not load: damaged"
    assert (fields["back_end"], fields["back_ends"]) == (None, [])


def test_doctor_prints_one_json_object(run, model):
    code, fields, text = run("--json")
    assert code == 0
    assert json.loads(text) == fields
    assert fields["version"] == VERSION
    assert fields["packages"]["torch"] == "1.2"
    assert fields["back_ends"] == ["torch", "openvino"]
    assert fields["back_end"] == {"name": "openvino", "reason": "best on cpu"}
    assert fields["store"]["user"] == ["mine"]
    assert fields["store"]["free_bytes"] > 0


def test_doctor_prints_aligned_lines(run, model, monkeypatch, private_store):
    without(monkeypatch, "openvino")
    trouble = MissingError("OpenVINO is not installed.", "Install it.")
    place_back_ends(monkeypatch, lambda: MIXED, trouble)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=12_340_000_000))
    _code, _fields, text = run()
    lines = text.splitlines()
    assert lines[0] == "status        Ready on the CPU because no CUDA device was found."
    assert "openvino      not installed" in lines
    assert "back end      torch: OpenVINO is not installed" in lines
    assert "back ends     torch" in lines
    assert "advice        Install it." in lines
    assert "precision     bf16, gray levels in fp32" in lines
    assert "free disk     12.3 GB" in lines
    assert f"store         {private_store}" in lines
    assert {line[12:14] for line in lines} == {"  "}


def test_doctor_says_that_pytorch_is_not_installed(run, model, monkeypatch):
    without(monkeypatch, "torch", "sam2")
    code, fields, text = run()
    assert code == MissingError.exit_code == 3
    assert fields["status"] == "PyTorch is not installed."
    assert fields["missing"] == ["torch", "sam2"]
    assert (fields["device"], fields["bf16"]) == (None, None)
    assert "torch         not installed" in text.splitlines()


def test_doctor_names_every_other_package_that_is_missing(run, model, monkeypatch):
    without(monkeypatch, "SimpleITK", "skimage", "openvino")
    code, fields, _text = run()
    assert code == 3
    assert fields["status"] == "Not installed: SimpleITK, scikit-image."


@pytest.mark.parametrize("package", doctor.REQUIRED)
def test_doctor_itself_needs_no_package(run, model, monkeypatch, package):
    without(monkeypatch, package)
    code, fields, _text = run()
    assert code == 3
    assert doctor.REQUIRED[package] in fields["missing"]


def test_doctor_knows_a_package_without_metadata(run, model, monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    code, fields, _text = run()
    assert code == 0
    assert fields["packages"]["torch"] == "unknown"


def test_doctor_takes_a_module_without_a_spec_for_a_missing_one(run, model, monkeypatch):
    def odd(name):
        if name == "torch":
            raise ValueError("torch.__spec__ is None")
        return object()

    monkeypatch.setattr(importlib.util, "find_spec", odd)
    assert run()[1]["status"] == "PyTorch is not installed."


@pytest.mark.parametrize(
    "error",
    [
        OSError("[WinError 126] c10.dll could not be found\nmore"),
        ImportError("libcudart.so: cannot open"),
        RuntimeError("CUDA driver is too old"),
        AttributeError("no inference_mode"),
        MissingError("The device cannot be used."),
    ],
)
def test_doctor_says_that_pytorch_does_not_work(run, model, monkeypatch, error):
    def fail(_request):
        raise error

    place_device(monkeypatch, fail)
    code, fields, text = run()
    assert code == 3
    assert fields["status"] == f"PyTorch does not work: {str(error).splitlines()[0]}"
    assert fields["problems"] == [fields["status"]]
    assert "problem" in text


def test_doctor_says_that_an_error_has_no_words(run, model, monkeypatch):
    def fail(_request):
        raise RuntimeError

    place_device(monkeypatch, fail)
    assert run()[1]["status"] == "PyTorch does not work: RuntimeError"


def test_doctor_says_that_there_is_no_model(run):
    code, fields, _text = run()
    assert code == 3
    assert fields["status"] == "There is no model yet."


def test_doctor_lists_damaged_models_and_stays_ready(run, model, private_store):
    (private_store / "broken.safetensors").write_bytes(b"x")
    code, fields, text = run()
    assert code == 0
    assert "is not a safetensors file" in fields["store"]["damaged"][0]
    assert "damaged       The file" in text


def test_doctor_says_that_the_store_is_a_file(run, monkeypatch, tmp_path):
    (tmp_path / "models").write_bytes(b"")
    monkeypatch.setenv("SAMI2I_MODELS", str(tmp_path / "models"))
    code, fields, _text = run()
    assert code == 3
    assert "must be a folder" in fields["status"]
    assert fields["store"] is None


def test_doctor_says_that_intel_macos_is_not_supported(run, model, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    code, fields, _text = run()
    assert code == 3
    assert "PyTorch stops at 2.2 and sam2 asks for 2.5.1" in fields["status"]


def test_doctor_finds_the_free_space_of_a_store_that_is_not_made_yet(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SAMI2I_MODELS", str(tmp_path / "a" / "b"))
    assert run()[1]["store"]["free_bytes"] > 0


def importing(monkeypatch, **failures):
    def import_module(name):
        if name in failures:
            raise failures[name]

    monkeypatch.setattr(importlib, "import_module", import_module)


def test_doctor_imports_every_installed_package_when_it_verifies(run, model, monkeypatch):
    without(monkeypatch, "scipy")
    imported = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    run()
    assert imported == []
    run("--verify")
    assert [name for name in imported if "." not in name] == [
        name for name in doctor.REQUIRED if name != "scipy"
    ]
    assert "skimage.metrics" in imported
    assert "scipy.ndimage" not in imported


def test_doctor_says_which_package_does_not_load(run, model, monkeypatch):
    importing(monkeypatch, sam2=ImportError("no build_sam\nmore"), tqdm=OSError("damaged"))
    code, fields, _text = run("--verify")
    assert code == 3
    assert fields["broken"] == {"sam2": "no build_sam", "tqdm": "damaged"}
    assert fields["status"] == "sam2 does not load: no build_sam"
    assert run()[1]["broken"] == {}


def test_doctor_says_that_the_device_computes_wrongly_when_it_verifies(run, model, monkeypatch):
    importing(monkeypatch)
    place_device(monkeypatch, lambda _request: CUDA, trouble="cuda:0 computed a wrong result")
    assert run()[0] == 0
    code, fields, _text = run("--verify")
    assert code == 3
    assert fields["device"] is None
    assert fields["status"] == "PyTorch does not work: cuda:0 computed a wrong result"
