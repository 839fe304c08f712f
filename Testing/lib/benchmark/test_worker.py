"""What a child process answers, asked in this one; and what the parent hears of real ones."""

import io
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from SAMI2ILib.benchmark import arms as arms_module
from SAMI2ILib.benchmark.arms import ARMS, find_arm, open_arm
from SAMI2ILib.benchmark.onnx_runtime import export_onnx, open_session
from SAMI2ILib.benchmark.process import ArmFailedError, ArmProcess
from SAMI2ILib.benchmark.subject import open_subject
from SAMI2ILib.benchmark.worker import Worker, serve
from SAMI2ILib.errors import MissingError, ModelError
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.device import Device

pytestmark = pytest.mark.usefixtures("keep_process")


@pytest.fixture
def options(tiny_model_file, tmp_path):
    slices = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    np.save(tmp_path / "slices.npy", slices)
    weights = str(tmp_path / "model-0.safetensors")
    Worker().answer({
        "do": "describe", "model": str(tiny_model_file), "weights": weights,
        "slices": str(tmp_path / "slices.npy"),
    })  # fmt: skip
    return {"model": str(tiny_model_file), "weights": weights, "threads": 1}


def outputs_of(arm, options, tmp_path):
    worker = Worker()
    assert worker.answer({"do": "open", "arm": arm, **options})["seconds"] > 0
    for index in range(2):
        assert worker.answer({"do": "slice", "index": index})["seconds"] > 0
    path = tmp_path / f"{arm}.npy"
    assert worker.answer({"do": "save", "path": str(path)}) == {"slices": [0, 1]}
    return np.load(path)


def test_describing_a_model_counts_it_and_leaves_slices_for_its_arms(tiny_model_file, tmp_path):
    np.save(tmp_path / "s.npy", np.ones((3, 100, 100), np.float32))
    facts = Worker().answer({
        "do": "describe", "model": str(tiny_model_file), "slices": str(tmp_path / "s.npy"),
        "weights": str(tmp_path / "m.safetensors"),
    })  # fmt: skip
    assert (facts["title"], facts["slice_shape"]) == ("tiny-t1-t2", [1, 64, 64])
    assert 10_000 < facts["parameters"] < 200_000
    assert 0.05 < facts["gflop"] < 5
    assert np.load(tmp_path / "m.npy").shape == (3, 1, 64, 64)


def test_random_network_is_spread_and_saved_for_its_arms(tmp_path):
    np.save(tmp_path / "s.npy", np.random.default_rng(0).random((3, 32, 32), dtype=np.float32))
    Worker().answer({
        "do": "describe", "model": "unet", "slices": str(tmp_path / "s.npy"),
        "weights": str(tmp_path / "m.safetensors"),
    })  # fmt: skip
    assert (tmp_path / "m.safetensors").is_file()


@pytest.mark.parametrize("arm", ["torch-fp32", "openvino-fp32", "onnxruntime-fp32"])
def test_arms_in_fp32_agree_with_the_naive_one(arm, options, tmp_path, monkeypatch):
    pytest.importorskip(find_arm(arm).library)
    monkeypatch.setenv("SAMI2I_CACHE_DIR", str(tmp_path / "cache"))
    if find_arm(arm).library == "onnxruntime":
        pytest.importorskip("onnxscript")
        Worker().answer({"do": "export", **{k: options[k] for k in ("model", "weights")}})
    expected = outputs_of("naive", options, tmp_path)
    np.testing.assert_allclose(outputs_of(arm, options, tmp_path), expected, atol=1e-5)


def test_batch_and_another_field_of_view_are_run(options):
    worker = Worker()
    worker.answer({"do": "field", "arm": "torch-fp32", "size": 96, **options})
    assert worker.answer({"do": "slice", "index": 0})["seconds"] > 0
    assert worker._outputs[0].shape == (96, 96)
    assert worker.answer({"do": "batch", "count": 5})["seconds"] > 0
    assert worker.answer({"do": "memory"})["peak_memory_bytes"] > 1e7


def test_head_is_translated_as_a_user_does_it(options, make_head, tmp_path):
    head_file = tmp_path / "head.nii.gz"
    write_volume(make_head(), head_file)
    answer = Worker().answer(
        {"do": "head", "arm": "torch-fp32", "head": str(head_file), "slices": 10, **options}
    )
    assert answer["slices"] == 10
    assert 0 < answer["translated_slices"] <= 10
    assert answer["seconds"] > 0


def test_ceiling_is_answered_for_the_processor_and_refused_without_a_gpu():
    products = Worker().answer({"do": "ceiling", "threads": 1, "device": "cpu", "size": 16})
    assert {p["device"] for p in products["products"]} == {"cpu"}
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(MissingError, match="'cuda' cannot be used"):
        Worker().answer({"do": "ceiling", "threads": 1, "device": "cuda", "size": 16})


def test_arm_that_can_run_nowhere_says_why(tmp_path):
    with pytest.raises(MissingError, match="no bfloat16 kernels"):
        open_arm(find_arm("onnxruntime-bf16"), lambda: None, tmp_path, 1)


def test_arm_whose_back_end_falls_back_to_another_precision_says_so(options, monkeypatch):
    def make(_network, device, _shape, *, back_end, on_notice, cuda_graphs):
        on_notice(Notice("back-end", f"The back end {back_end} in bf16 is not used."))
        return SimpleNamespace(device=replace(device, precision="fp32"))

    monkeypatch.setattr("SAMI2ILib.inference.back_ends.make_predictor", make)
    with pytest.raises(ModelError, match="The back end openvino in bf16 is not used"):
        Worker().answer({"do": "open", "arm": "openvino-bf16", **options})


def test_arm_whose_gpu_becomes_too_small_is_not_measured_on_the_cpu(options, monkeypatch):
    gpu = Device("cuda:0", "NVIDIA Test (CUDA 0)", "it was asked for", "fp32")
    predictor = SimpleNamespace(device=gpu, predict=lambda batch: batch[:, 0])
    monkeypatch.setattr(
        "SAMI2ILib.inference.device.select_device", lambda _request, _precision: gpu
    )
    monkeypatch.setattr(
        "SAMI2ILib.inference.back_ends.make_predictor", lambda *_args, **_options: predictor
    )
    worker = Worker()
    worker.answer({"do": "open", "arm": "cuda-fp32", **options})
    assert worker.answer({"do": "slice", "index": 0})["seconds"] >= 0
    predictor.device = Device("cpu", "CPU", "the GPU's memory did not hold one slice", "fp32")
    with pytest.raises(ModelError, match="It runs on cpu in fp32 now"):
        worker.answer({"do": "slice", "index": 1})
    with pytest.raises(ModelError, match="It runs on cpu in fp32 now"):
        worker.answer({"do": "open", "arm": "cuda-fp32", **options})


def test_memory_of_the_gpus_is_what_torch_held_of_them(monkeypatch):
    assert Worker().answer({"do": "memory"})["peak_gpu_bytes"] is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", [1_000, 10].__getitem__)
    assert Worker().answer({"do": "memory"})["peak_gpu_bytes"] == 1_010


def test_missing_packages_are_said(tiny_model_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="The package onnxruntime is not installed"):
        open_session(tmp_path / "m.onnx", 1)

    def no_exporter(*_args, **_options):
        raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

    monkeypatch.setattr(torch.onnx, "export", no_exporter)
    with pytest.raises(MissingError, match="The package onnxscript is not installed"):
        export_onnx(open_subject(str(tiny_model_file)), tmp_path / "m.onnx")


def test_arms_of_a_gpu_ask_for_it_in_their_precision(monkeypatch):
    asked = []

    def select(request, precision):
        asked.append((request, precision))
        raise MissingError("no GPU")

    monkeypatch.setattr("SAMI2ILib.inference.device.select_device", select)
    for arm in ARMS:
        if arm.is_cuda:
            with pytest.raises(MissingError, match="no GPU"):
                open_arm(arm, lambda: None, arms_module.Path(), 1)
    assert asked == [("cuda", p) for p in ("fp32", "fp32", "bf16", "fp16", "bf16")]


@pytest.mark.gpu
@pytest.mark.parametrize("arm", [arm.name for arm in ARMS if arm.is_cuda])
def test_arms_of_a_gpu_agree_with_the_naive_one(arm, options, tmp_path):
    expected = outputs_of("naive", options, tmp_path)
    tolerance = 1e-3 if find_arm(arm).precision == "fp32" else 0.05
    np.testing.assert_allclose(outputs_of(arm, options, tmp_path), expected, atol=tolerance)


def test_errors_are_answers_and_the_worker_goes_on():
    lines = io.StringIO('{"do": "slice", "index": 0}\n{"do": "memory"}\n')
    answers = io.StringIO()
    serve(lines, answers, Worker())
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first["error"].startswith("Internal error: TypeError")
    assert second["peak_memory_bytes"] > 0


def test_process_answers_and_says_why_it_cannot():
    with ArmProcess() as process:
        assert process.ask("memory", 60)["peak_memory_bytes"] > 1e6
        with pytest.raises(ArmFailedError, match="There is no model"):
            process.ask("export", 60, model="nowhere", weights="m.safetensors")


def test_process_that_takes_too_long_is_ended():
    with ArmProcess() as process:
        with pytest.raises(ArmFailedError, match="the time of the benchmark was over"):
            process.ask("memory", 0.0)
        with pytest.raises(ArmFailedError, match="its process was ended"):
            process.ask("memory", 60)


def test_process_that_dies_leaves_its_last_words():
    ended = pytest.raises(ArmFailedError, match="its process ended: ")
    with ArmProcess({"PYTHONHOME": "nowhere"}) as process, ended:
        process.ask("memory", 60)
