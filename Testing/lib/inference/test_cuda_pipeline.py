"""What is queued on a GPU in which order, with streams that note what they are asked for."""

import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.inference import cuda_pipeline
from SAMI2ILib.inference.cuda_pipeline import CudaGraph, CudaPipeline
from SAMI2ILib.inference.device import Device, select_device
from SAMI2ILib.inference.predictor import TorchPredictor


class FakeGpu(Device):
    """A GPU for the predictor, the CPU for torch."""

    is_cuda = True


PLAIN_COPY = torch.Tensor.copy_
GPU = FakeGpu("cpu", "NVIDIA Test (CUDA 0)", "it was asked for", "fp32")


class FakeCuda:
    """Streams that note what they are asked, and copy as late as a real one may.

    A copy for which nobody waits arrives when the program waits for it. Until then its destination
    holds no number, and what it is copied from must not be changed.
    """

    def __init__(self):
        self.log, self.current, self._names = [], "computing", iter(("up", "down") * 20)
        self.copies = []

    def copy(self, destination, source, non_blocking):
        if not non_blocking:
            return PLAIN_COPY(destination, source)
        destination.fill_(torch.nan)
        self.copies.append(lambda: PLAIN_COPY(destination, source))
        return destination

    def note(self, what):
        self.log.append(f"{self.current}: {what}")

    def stream_named(self, name, device=None):
        return FakeStream(self, name, device)

    @contextmanager
    def inside(self, stream):
        before, self.current = self.current, stream.name
        try:
            yield
        finally:
            self.current = before

    def page_lock(self, batch):
        self.note("upload")
        return torch.from_numpy(batch.copy())

    def page_locked_like(self, images):
        self.note("download")
        return torch.empty_like(images)


class FakeStream:
    def __init__(self, cuda, name, device):
        self.cuda, self.name, self.device = cuda, name, device

    def wait_stream(self, other):
        self.cuda.log.append(f"{self.name} waits for {other.name}")

    def record_event(self):
        return FakeEvent(self, len(self.cuda.copies))


class FakeEvent:
    """Behind the copies that were asked for before it."""

    def __init__(self, stream, copies):
        self.stream, self.copies = stream, copies

    def synchronize(self):
        cuda = self.stream.cuda
        cuda.log.append(f"the program waits for {self.stream.name}")
        for number, copy in enumerate(cuda.copies[: self.copies]):
            copy()
            cuda.copies[number] = lambda: None


class FakeGraph:
    """Runs again what was captured; the capture itself computes nothing."""

    def __init__(self):
        self.kernels = None
        self.replays = 0

    def replay(self):
        self.replays += 1
        with torch.inference_mode():
            self.kernels()


@pytest.fixture
def cuda(monkeypatch):
    fake = FakeCuda()

    def copy_(destination, source, non_blocking=False):
        return fake.copy(destination, source, non_blocking)

    monkeypatch.setattr(
        torch.cuda, "Stream", lambda device=None: fake.stream_named(next(fake._names), device)
    )
    monkeypatch.setattr(torch.cuda, "stream", fake.inside)
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda _device=None: fake.stream_named("computing")
    )
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.Tensor, "copy_", copy_)
    monkeypatch.setattr(
        torch.Tensor, "record_stream", lambda _self, stream: fake.note(f"kept for {stream.name}")
    )
    monkeypatch.setattr(cuda_pipeline, "_page_locked", fake.page_lock)
    monkeypatch.setattr(cuda_pipeline, "_page_locked_like", fake.page_locked_like)
    return fake


@pytest.fixture
def batches():
    generator = np.random.default_rng(0)
    return [generator.random((count, 1, 4, 4), dtype=np.float32) for count in (3, 3, 3, 2)]


class Doubles(nn.Module):
    """Doubles a slice, and notes how many it was given; `limit` slices fit."""

    def __init__(self, limit=100):
        super().__init__()
        self.limit, self.counts = limit, []

    def forward(self, slices):
        self.counts.append(len(slices))
        if len(slices) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return 2 * slices


def test_transfers_have_streams_of_their_own_and_wait_for_what_they_need(cuda, batches):
    def run(slices):
        cuda.note("compute")
        return 2 * slices

    collect = CudaPipeline(run, "cpu").start(batches[0])
    assert cuda.log == [
        "up: upload",
        "computing waits for up",
        "computing: kept for computing",
        "computing: compute",
        "down waits for computing",
        "down: download",
        "computing: kept for down",
    ]
    assert np.array_equal(collect(), 2 * batches[0][:, 0])
    assert cuda.log[-1] == "the program waits for down"


def test_next_batch_is_queued_before_the_last_is_waited_for(cuda, batches):
    predictor = TorchPredictor(Doubles(), GPU, batch_size=3)
    results = list(predictor.predict_each(iter(batches)))
    assert all(
        np.array_equal(result, 2 * batch[:, 0])
        for result, batch in zip(results, batches, strict=True)
    )
    order = [line for line in cuda.log if "upload" in line or "program" in line]
    wait = "the program waits for down"
    assert order == ["up: upload", *["up: upload", wait] * 3, wait]


def test_batches_go_on_in_smaller_parts_where_memory_runs_out(cuda, batches):
    notices, network = [], Doubles(limit=2)
    predictor = TorchPredictor(network, GPU, batch_size=3, on_notice=notices.append)
    results = list(predictor.predict_each(batches))
    assert np.array_equal(np.concatenate(results), 2 * np.concatenate(batches)[:, 0])
    assert [notice.code for notice in notices] == ["memory-batch"]
    assert predictor.device is GPU


def test_batches_go_on_on_the_cpu_where_one_slice_does_not_fit(cuda, batches):
    class FullGpu(Doubles):
        def forward(self, slices):
            self.limit = 100 if predictor.device is not GPU or len(self.counts) < 2 else 0
            return super().forward(slices)

    notices = []
    predictor = TorchPredictor(FullGpu(), GPU, batch_size=3, on_notice=notices.append)
    results = list(predictor.predict_each(batches))
    assert np.array_equal(np.concatenate(results), 2 * np.concatenate(batches)[:, 0])
    assert [notice.code for notice in notices] == ["memory-batch", "memory-device"]
    assert predictor.device.name == "cpu"


def test_failure_of_another_kind_is_said(cuda, batches):
    class Broken(nn.Module):
        def forward(self, slices):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    predictor = TorchPredictor(Broken(), GPU, batch_size=3)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        list(predictor.predict_each(batches))


@pytest.fixture
def graphs(cuda, monkeypatch):
    """Let graphs of a network that doubles be captured: a replay writes into the same tensor."""
    made = []

    @contextmanager
    def capture(graph, stream):
        assert cuda.current == stream.name  # or another GPU would be waited for
        made.append(graph)
        graph.device = stream.device
        yield

    def capture_and_forget(run, slices):
        graph = real_capture(run, slices)
        inputs, outputs = run._slices, run._images
        with torch.inference_mode():
            outputs.fill_(torch.nan)
        graph.kernels = lambda: outputs.copy_(2 * inputs)
        return graph

    real_capture = CudaGraph._capture
    monkeypatch.setattr(CudaGraph, "_capture", capture_and_forget)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return made


def test_second_batch_of_a_shape_is_captured_and_later_ones_replay_it(graphs, batches):
    network = Doubles()
    run = CudaGraph(network)
    tensors = [torch.from_numpy(batch) for batch in batches]
    assert torch.equal(run(tensors[0]), 2 * tensors[0])
    assert graphs == []
    second = run(tensors[1])
    (graph,) = graphs
    assert graph.device == tensors[1].device  # not that of whichever GPU is current
    third = run(tensors[2])
    assert torch.equal(second, 2 * tensors[1])  # the later run has not changed it
    assert torch.equal(third, 2 * tensors[2])
    assert torch.equal(run(tensors[3]), 2 * tensors[3])  # of another shape
    assert torch.equal(run(tensors[0]), 2 * tensors[0])
    assert len(graphs) == 1
    assert graph.replays == 3
    assert network.counts == [3, 3, 3, 2]  # alone, set up, captured, alone


def test_replays_do_not_change_results_that_are_still_on_their_way(graphs, batches):
    predictor = TorchPredictor(Doubles(), GPU, batch_size=3, cuda_graphs=True)
    same_size = [*batches[:3], batches[0], batches[1]]
    results = list(predictor.predict_each(same_size))
    (graph,) = graphs
    assert graph.replays == 4
    assert all(
        np.array_equal(result, 2 * batch[:, 0])
        for result, batch in zip(results, same_size, strict=True)
    )


def test_stream_is_the_programs_own_again_where_a_capture_fails(cuda, graphs, batches, monkeypatch):
    @contextmanager
    def failing(graph, stream):
        cuda.current = "left behind"  # as torch does where it cannot end it
        yield
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "graph", failing)
    run = CudaGraph(Doubles())
    slices = torch.from_numpy(batches[0])
    run(slices)
    with pytest.raises(RuntimeError, match="previous error during capture"):
        run(slices)
    assert cuda.current == "computing"


def test_convolutions_are_in_full_float32_on_a_gpu(cuda, batches, monkeypatch):
    class Asks(nn.Module):
        def forward(self, slices):
            said.append(torch.backends.cudnn.allow_tf32)
            return slices

    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace(allow_tf32=True))
    said = []
    TorchPredictor(Asks(), GPU, batch_size=3).predict(batches[0])
    TorchPredictor(Asks(), Device("cpu", "CPU", "", "fp32"), batch_size=3).predict(batches[0])
    assert said == [False, True]


def test_predictor_lets_a_graph_go_where_memory_runs_out(graphs, batches):
    predictor = TorchPredictor(Doubles(), GPU, batch_size=3, cuda_graphs=True)
    predictor.predict(np.concatenate(batches[:2]))
    graph = weakref.ref(graphs.pop())
    assert graph() is not None
    predictor._shrink(3, torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert graph() is None
    assert np.array_equal(predictor.predict(batches[0][:1]), 2 * batches[0][:1, 0])


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_gpu_gives_each_batch_its_own_result(cuda_graphs):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 1, 1)).eval()
    generator = np.random.default_rng(0)
    batches = [generator.random((4, 1, 64, 64), dtype=np.float32) for _ in range(6)]
    batches.append(batches[0][:1])
    with torch.inference_mode():
        expected = [network(torch.from_numpy(batch))[:, 0].numpy() for batch in batches]
    predictor = TorchPredictor(
        network, select_device("cuda", "fp32"), batch_size=4, cuda_graphs=cuda_graphs
    )
    for result, image in zip(predictor.predict_each(batches), expected, strict=True):
        np.testing.assert_allclose(result, image, atol=1e-4)
