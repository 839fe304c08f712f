"""What happens when memory runs out, with networks that fail as torch does."""

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.errors import OutOfMemoryError
from SAMI2ILib.inference.device import Device, select_device
from SAMI2ILib.inference.predictor import MAX_BATCH, TorchPredictor, batch_size_for

CPU = Device("cpu", "CPU", "it was asked for", "fp32")


class HoldsOnly(nn.Module):
    """A network whose device holds `limit` slices at a time."""

    def __init__(self, limit, error=torch.cuda.OutOfMemoryError):
        super().__init__()
        self.limit, self.error, self.sizes = limit, error, []

    def forward(self, slices):
        self.sizes.append(len(slices))
        if len(slices) > self.limit:
            raise self.error("DefaultCPUAllocator: not enough memory")
        return slices[:, :1]


@pytest.mark.fault("out-of-memory")
def test_batch_is_halved_until_it_fits_and_nothing_is_lost():
    notices = []
    network = HoldsOnly(2)
    predictor = TorchPredictor(network, CPU, batch_size=8, on_notice=notices.append)
    batch = np.random.default_rng(0).random((11, 1, 4, 4), dtype=np.float32)
    assert np.array_equal(predictor.predict(batch), batch[:, 0])
    assert network.sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    assert [notice.code for notice in notices] == ["memory-batch", "memory-batch"]
    assert "going on with 4." in notices[0].message


def test_gpu_that_does_not_hold_one_slice_hands_over_to_the_cpu(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    notices = []
    predictor = TorchPredictor(nn.Identity(), CPU, batch_size=1, on_notice=notices.append)
    predictor._device = Device("cuda:0", "NVIDIA Test (CUDA 0)", "it was asked for", "bf16")
    predictor._shrink(1, torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert predictor.device.name == "cpu"
    assert len(emptied) == 2  # before another try, and when the network has left
    assert notices[0].message == (
        "NVIDIA Test (CUDA 0) ran out of memory; going on on the CPU, slower."
    )


@pytest.mark.fault("out-of-memory")
@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_one_slice_that_does_not_fit_is_out_of_memory(error):
    predictor = TorchPredictor(HoldsOnly(0, error), CPU, batch_size=1)
    with pytest.raises(OutOfMemoryError, match="One slice does not fit"):
        predictor.predict(np.zeros((1, 1, 4, 4), np.float32))


class OnFullGpu(nn.Module):
    """A network for which the GPU has no room, or has it later."""

    def __init__(self):
        super().__init__()
        self.is_full, self.places = True, []

    def to(self, name=None, memory_format=None):
        if name is None:
            return self
        self.places.append(name)
        if name.startswith("cuda") and self.is_full:
            raise RuntimeError("CUDA error: out of memory")
        return self

    def forward(self, slices):
        return slices[:, :1]


def test_gpu_without_room_for_the_network_is_tried_again_for_the_next_volume(monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    gpu = Device("cuda:0", "NVIDIA Test (CUDA 0)", "it was asked for", "bf16")
    notices, network = [], OnFullGpu()
    predictor = TorchPredictor(network, gpu, on_notice=notices.append)
    assert (predictor.device.name, network.places) == ("cpu", ["cuda:0", "cpu"])
    assert [notice.code for notice in notices] == ["memory-device"]
    batch = np.ones((2, 1, 4, 4), np.float32)
    assert np.array_equal(predictor.predict(batch), batch[:, 0])
    network.is_full = False
    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: None)
    predictor.return_to_chosen_device()
    assert (predictor.device, network.places[-1]) == (gpu, "cuda:0")
    predictor.return_to_chosen_device()  # it is there
    assert len(network.places) == 3
    assert not predictor._measured  # how many slices fit is found out anew


def test_network_that_cannot_be_moved_for_another_reason_is_said():
    class Broken(nn.Module):
        def to(self, name):
            raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        TorchPredictor(Broken(), CPU)


def test_tensors_of_a_failed_run_are_gone_before_memory_is_sought(monkeypatch):
    class Half(nn.Module):
        """Fails with something in its hands, as a real network does."""

        def forward(self, slices):
            if len(slices) < 2:
                return slices
            activation = 2 * slices
            held.append(weakref.ref(activation))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    held, alive = [], []
    predictor = TorchPredictor(Half(), CPU, batch_size=2)
    shrink = predictor._shrink
    monkeypatch.setattr(
        predictor, "_shrink",
        lambda *arguments: (alive.append(held[-1]() is not None), shrink(*arguments)),
    )  # fmt: skip
    predictor.predict(np.zeros((2, 1, 4, 4), np.float32))
    assert alive == [False]


def test_other_runtime_errors_are_not_taken_for_memory():
    class Broken(nn.Module):
        def forward(self, slices):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        TorchPredictor(Broken(), CPU, batch_size=2).predict(np.zeros((2, 1, 4, 4), np.float32))


@pytest.mark.parametrize(
    ("free", "per_slice", "expected"), [(1500, 100, 10), (10, 100, 1), (10**9, 1, MAX_BATCH)]
)
def test_batch_size_fills_two_thirds_of_the_free_memory(free, per_slice, expected):
    assert batch_size_for(free, per_slice) == expected


class TakesOfTheGpu(nn.Module):
    """Doubles a slice, and takes so many bytes for each meanwhile."""

    def __init__(self, bytes_a_slice):
        super().__init__()
        self.bytes = bytes_a_slice

    def forward(self, slices):
        work = torch.empty(len(slices), self.bytes, dtype=torch.uint8, device=slices.device)
        return 2 * slices + work[:, :1].float().view(-1, 1, 1, 1) * 0


@pytest.fixture
def small_gpu():
    """A GPU of which torch may take 400 MB more than it has, and nothing that others left."""
    device = select_device("cuda", "fp32")
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device.name).total_memory
    allowed = torch.cuda.memory_reserved(device.name) + 400_000_000
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), device.name)
    yield device
    torch.cuda.set_per_process_memory_fraction(1.0, device.name)
    torch.cuda.empty_cache()


@pytest.mark.gpu
def test_batch_that_a_gpu_does_not_hold_is_halved_until_it_does(small_gpu):
    notices = []
    network = TakesOfTheGpu(128_000_000)
    predictor = TorchPredictor(network, small_gpu, batch_size=8, on_notice=notices.append)
    batch = np.random.default_rng(0).random((11, 1, 4, 4), dtype=np.float32)
    results = list(predictor.predict_each([batch, batch[:3]]))
    np.testing.assert_array_equal(
        np.concatenate(results), 2 * np.concatenate([batch, batch[:3]])[:, 0]
    )
    assert [notice.code for notice in notices] == ["memory-batch", "memory-batch"]
    assert (predictor.batch_size, predictor.device) == (2, small_gpu)


@pytest.mark.gpu
def test_slice_that_a_gpu_does_not_hold_goes_to_the_cpu_and_later_ones_come_back(small_gpu):
    notices = []
    network = TakesOfTheGpu(1_000_000_000)
    before = torch.cuda.memory_reserved(small_gpu.name)
    predictor = TorchPredictor(network, small_gpu, on_notice=notices.append)
    batch = np.random.default_rng(0).random((2, 1, 4, 4), dtype=np.float32)
    np.testing.assert_array_equal(predictor.predict(batch), 2 * batch[:, 0])
    assert [notice.code for notice in notices] == ["memory-device"]
    assert predictor.device.name == "cpu"
    assert torch.cuda.memory_reserved(small_gpu.name) <= before + 2**21  # given back
    network.bytes = 1_000_000
    predictor.return_to_chosen_device()
    np.testing.assert_array_equal(predictor.predict(batch), 2 * batch[:, 0])
    assert predictor.device is small_gpu
    assert predictor.batch_size > 1


@pytest.mark.gpu
def test_batch_size_is_measured_on_a_gpu():
    predictor = TorchPredictor(nn.Conv2d(1, 1, 3, padding=1), select_device("cuda"))
    predictor.predict(np.zeros((40, 1, 64, 64), np.float32))
    assert 1 < predictor.batch_size <= MAX_BATCH
