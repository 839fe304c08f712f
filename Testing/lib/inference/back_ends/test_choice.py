"""Which back end is chosen, and that none is used which differs from the reference."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.baselines import UNetConfig, build_generator
from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.inference.back_ends import choice as choice_module
from SAMI2ILib.inference.back_ends import (
    compare,
    expected_back_end,
    make_predictor,
    openvino_network,
    openvino_trouble,
    select_inference_device,
)
from SAMI2ILib.inference.back_ends.agreement import Reference, check_slice
from SAMI2ILib.inference.device import Device

SHAPE = (1, 64, 64)
CPU = Device("cpu", "CPU", "it was asked for", "fp32")
GPU = Device("cuda:0", "GPU", "it was asked for", "fp32")
MIXED = Device("cpu", "CPU", "it was asked for", "bf16")


@pytest.fixture
def notices():
    return []


def change_openvino(monkeypatch, change):
    """Let OpenVINO compute something else than it does."""
    original = choice_module.OpenVinoPredictor.predict
    monkeypatch.setattr(
        choice_module.OpenVinoPredictor, "predict",
        lambda self, batch: change(original(self, batch), self.device.precision),
    )  # fmt: skip


@pytest.mark.parametrize(("device", "least"), [(CPU, 90), (MIXED, 45)])
def test_openvino_is_chosen_on_a_cpu_and_says_how_well_it_agrees(
    openvino, make_generator, notices, device, least
):
    predictor = make_predictor(make_generator(), device, SHAPE, on_notice=notices.append)
    back_end = predictor.back_end
    assert (back_end.name, back_end.reason) == ("openvino", "it is the fastest on a CPU")
    assert back_end.agreement_db >= least
    assert 0 < back_end.worst_pixel < 0.1
    assert back_end.version == openvino.get_version()
    assert predictor.device is not None
    assert predictor.device.precision == device.precision
    assert notices == []


def test_back_end_asked_for_is_taken(make_generator, make_slices):
    network = make_generator()
    predictor = make_predictor(network, CPU, SHAPE, "torch")
    assert predictor.back_end.to_json() == {
        "name": "torch",
        "version": torch.__version__,
        "reason": "it was asked for",
        "agreement_db": pytest.approx(predictor.back_end.agreement_db, abs=0.1),
        "worst_pixel": predictor.back_end.worst_pixel,
    }
    slices = make_slices(3, *SHAPE)
    with torch.inference_mode():
        expected = network(torch.from_numpy(slices))[:, 0].numpy()
    assert compare(predictor.predict(slices), expected).decibels > 110


def test_back_end_that_differs_is_not_used_and_the_user_is_told(
    openvino, make_generator, notices, monkeypatch
):
    change_openvino(monkeypatch, lambda output, _precision: output + 0.01)
    predictor = make_predictor(make_generator(), CPU, SHAPE, on_notice=notices.append)
    assert predictor.back_end.name == "torch"
    assert predictor.back_end.reason == "OpenVINO did not agree with the reference"
    (notice,) = notices
    assert notice.code == "back-end"
    assert notice.message == (
        "The back end openvino in fp32 is not used: it agrees with the reference to 40.0 dB only, "
        "90 are needed."
    )


def test_float32_is_taken_where_the_mixture_is_too_coarse(
    openvino, make_generator, notices, monkeypatch
):
    change_openvino(
        monkeypatch, lambda output, precision: output + (0.01 if precision == "bf16" else 0)
    )
    predictor = make_predictor(make_generator(), MIXED, SHAPE, on_notice=notices.append)
    assert (predictor.back_end.name, predictor.device.precision) == ("openvino", "fp32")
    assert "openvino in bf16 is not used" in notices[0].message


def test_back_end_that_computes_no_number_is_not_used(
    openvino, make_generator, notices, monkeypatch
):
    change_openvino(monkeypatch, lambda output, _precision: np.full_like(output, np.nan))
    predictor = make_predictor(make_generator(), CPU, SHAPE, on_notice=notices.append)
    assert predictor.back_end.name == "torch"
    assert len(notices) == 1


def test_back_end_that_fails_is_not_used(openvino, make_generator, notices, monkeypatch):
    def fail(_output, _precision):
        raise RuntimeError("no kernel\nfor this CPU")

    change_openvino(monkeypatch, fail)
    predictor = make_predictor(make_generator(), CPU, SHAPE, on_notice=notices.append)
    assert predictor.back_end.name == "torch"
    assert notices[0].message.endswith("is not used: it failed (no kernel).")


def test_back_end_asked_for_that_differs_is_an_error(openvino, make_generator, monkeypatch):
    change_openvino(monkeypatch, lambda output, _precision: 1 - output)
    with pytest.raises(ModelError, match="OpenVINO does not compute what the reference does"):
        make_predictor(make_generator(), CPU, SHAPE, "openvino")


def test_reference_itself_is_the_last_resort(make_generator, notices, monkeypatch):
    class Wrong(nn.Module):
        def __init__(self, _generator):
            super().__init__()

        def forward(self, slices):
            return slices

    monkeypatch.setattr(choice_module, "FoldedNetwork", Wrong)
    predictor = make_predictor(make_generator(), CPU, SHAPE, "torch", on_notice=notices.append)
    assert predictor.back_end.agreement_db is None
    assert len(notices) == 1


def test_openvino_that_is_missing_is_said_only_where_it_was_asked_for(
    make_generator, notices, monkeypatch
):
    missing = MissingError("OpenVINO is not installed.")
    monkeypatch.setattr(choice_module, "openvino_trouble", lambda: missing)
    predictor = make_predictor(make_generator(), CPU, SHAPE, on_notice=notices.append)
    assert predictor.back_end.reason == "OpenVINO is not installed"
    assert notices == []
    with pytest.raises(MissingError, match="OpenVINO is not installed"):
        make_predictor(make_generator(), CPU, SHAPE, "openvino")


def test_expected_back_end_is_the_one_that_a_model_gets(make_generator, monkeypatch):
    def name_and_reason():
        back_end = make_predictor(make_generator(), CPU, SHAPE).back_end
        return back_end.name, back_end.reason

    assert expected_back_end(CPU) == name_and_reason()
    damaged = MissingError("OpenVINO does not load.", "It says: x.")
    monkeypatch.setattr(choice_module, "openvino_trouble", lambda: damaged)
    assert expected_back_end(CPU) == name_and_reason() == ("torch", "OpenVINO does not load")
    assert expected_back_end(GPU) == ("torch", "OpenVINO is for the CPU here")


def test_record_of_a_back_end_names_no_folder(make_generator, monkeypatch):
    def fail():
        raise OSError("/home/anna/x.so: undefined symbol")

    monkeypatch.setattr(openvino_network, "import_openvino", fail)
    record = make_predictor(make_generator(), CPU, SHAPE).back_end.to_json()
    assert record["reason"] == "OpenVINO does not load"


@pytest.mark.parametrize(
    ("error", "message", "detail"),
    [
        (ModuleNotFoundError("no", name="openvino"), "OpenVINO is not installed.", "Install it"),
        (ModuleNotFoundError("no yaml", name="yaml"), "OpenVINO does not load.", "no yaml."),
        (OSError("/lib/x.so: cannot open\nmore"), "OpenVINO does not load.", "x.so: cannot open."),
        (RuntimeError("no plugins.xml"), "OpenVINO does not load.", "no plugins.xml."),
    ],
)
def test_openvino_that_does_not_load_is_in_trouble(monkeypatch, error, message, detail):
    def fail():
        raise error

    monkeypatch.setattr(openvino_network, "import_openvino", fail)
    trouble = openvino_trouble()
    assert trouble.message == message  # without the loader's words, which may name folders
    assert detail in trouble.hint


def test_reference_leaves_the_network_where_it_is():
    moved = []

    class OnGpu(nn.Module):
        def parameters(self):
            yield SimpleNamespace(is_cuda=True)

        def cpu(self):
            moved.append(self)
            return lambda slices: slices

    network = OnGpu()
    Reference(network, SHAPE, "0").compute()
    assert moved
    assert network not in moved


def test_cuda_graph_that_differs_is_not_used(make_generator, notices, monkeypatch):
    network = make_generator()
    with torch.inference_mode():
        right = network(torch.from_numpy(check_slice(SHAPE)))[:, 0].numpy()

    class Replaying:
        """Right at first, when a graph has not been captured, and wrong from then on."""

        def __init__(self, _network, device, *_options):
            self.device, self.answers = device, iter((right, right + 0.1))

        def predict(self, _batch):
            return next(self.answers)

    monkeypatch.setattr(choice_module, "TorchPredictor", Replaying)
    predictor = make_predictor(network, GPU, SHAPE, on_notice=notices.append, cuda_graphs=True)
    assert predictor.back_end.agreement_db is None  # the reference, which has none
    assert "agrees with the reference to 20.0 dB only" in notices[0].message


def test_networks_without_a_hiera_trunk_run_on_torch_as_they_are():
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid()).requires_grad_(False)
    predictor = make_predictor(network, CPU, SHAPE)
    assert predictor.back_end.reason == "OpenVINO runs only SAM-I2I with a Hiera encoder"
    assert predictor.back_end.agreement_db is None
    assert make_predictor(network, MIXED, SHAPE).back_end.agreement_db > 45
    with pytest.raises(InputError, match="OpenVINO runs only SAM-I2I"):
        make_predictor(network, CPU, SHAPE, "openvino")


def test_openvino_is_refused_on_a_gpu(make_generator):
    with pytest.raises(InputError, match="OpenVINO is for the CPU here"):
        make_predictor(make_generator(), GPU, SHAPE, "openvino")


def test_cuda_graphs_are_refused_on_a_cpu(make_generator):
    with pytest.raises(InputError, match="CUDA graphs need a CUDA device, but the device is cpu"):
        make_predictor(make_generator(), CPU, SHAPE, cuda_graphs=True)


def test_openvino_is_refused_for_slices_that_crash_it(make_generator):
    make_predictor(make_generator(), CPU, (1, 24, 64))
    with pytest.raises(InputError, match="only on slices of at least 64x64 pixels"):
        make_predictor(make_generator(), CPU, (1, 24, 64), "openvino")


def test_unknown_back_end_is_refused(make_generator):
    with pytest.raises(InputError, match="back end must be one of auto, torch, openvino, not 'x'"):
        make_predictor(make_generator(), CPU, SHAPE, "x")


@pytest.mark.parametrize(
    ("instructions", "openvino_there", "torch_gains", "back_end", "precision"),
    [
        (False, True, True, "auto", "fp32"),
        (True, True, False, "auto", "bf16"),
        (True, True, False, "torch", "fp32"),
        (True, False, True, "auto", "bf16"),
        (True, False, False, "auto", "fp32"),
    ],
)
def test_cpu_mixes_precisions_where_the_back_end_gains(
    monkeypatch, instructions, openvino_there, torch_gains, back_end, precision
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    trouble = None if openvino_there else MissingError("OpenVINO is not installed.")
    monkeypatch.setattr(choice_module, "openvino_trouble", lambda: trouble)
    monkeypatch.setattr(choice_module, "cpu_multiplies_faster_in_bf16", lambda: torch_gains)
    assert select_inference_device("cpu", back_end=back_end).precision == precision
    assert select_inference_device("cpu", "fp32", back_end).precision == "fp32"


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize(("precision", "least"), [("fp32", 90), ("bf16", 45), ("fp16", 45)])
def test_gpu_agrees_with_the_reference(make_generator, precision, least, cuda_graphs):
    device = select_inference_device("cuda", precision)
    back_end = make_predictor(make_generator(), device, SHAPE, cuda_graphs=cuda_graphs).back_end
    assert back_end.name == "torch"
    assert back_end.agreement_db >= least


@pytest.mark.gpu
def test_convolutions_on_a_gpu_agree_with_the_reference_in_float32(notices):
    """Rounded to TF32 as torch would, a UNet has some 70 dB."""
    torch.manual_seed(0)
    network = build_generator(UNetConfig(width=16)).eval().requires_grad_(False)
    device = select_inference_device("cuda", "fp32")
    predictor = make_predictor(network, device, SHAPE, on_notice=notices.append)
    assert notices == []
    assert predictor.back_end.agreement_db >= 90


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 5e-3)])
def test_graph_computes_what_its_kernels_do(make_generator, make_slices, precision, tolerance):
    device = select_inference_device("cuda", precision)
    eager, graph = (
        make_predictor(make_generator(), device, SHAPE, batch_size=3, cuda_graphs=graphs)
        for graphs in (False, True)
    )
    slices = make_slices(3, *SHAPE)
    # alone, captured, replayed with other slices, and of another shape
    for batch in (slices, slices, 1 - slices, slices[:2], slices):
        np.testing.assert_allclose(graph.predict(batch), eager.predict(batch), atol=tolerance)
    assert graph.device.precision == precision
