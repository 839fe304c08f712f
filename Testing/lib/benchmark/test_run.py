"""A whole benchmark of a tiny model, in real processes."""

import pytest

from SAMI2ILib.benchmark import head, run
from SAMI2ILib.benchmark.arms import ARM_NAMES
from SAMI2ILib.benchmark.growth import BATCHES, FIELD_SIZES, HEAD_SLICES
from SAMI2ILib.benchmark.interleave import NO_TIME
from SAMI2ILib.benchmark.plan import Plan
from SAMI2ILib.benchmark.report import write_report
from SAMI2ILib.benchmark.results_file import find_trouble
from SAMI2ILib.benchmark.start_up import measure_start_up


@pytest.fixture
def small_head(make_head, monkeypatch):
    """A head of which a whole translation takes a second."""
    monkeypatch.setattr(head, "benchmark_head", make_head)
    monkeypatch.setattr(run, "measure_start_up", lambda budget: measure_start_up(budget, runs=1))


def by_arm(results):
    return {row["arm"]: row for row in results["arms"]}


def test_benchmark_measures_what_it_can_and_says_what_it_cannot(tiny_model_file, small_head):
    said = []
    plan = Plan(
        (str(tiny_model_file), "nowhere"),
        arms=("torch-fp32", "onnxruntime-bf16"),
        slices=3,
        minutes=5,
        heads=False,
        growth=False,
        ceiling_size=32,
    )
    results = run.run_benchmark(plan, said.append)
    assert find_trouble(results) == ""
    rows = [row for row in results["arms"] if row["model"] == str(tiny_model_file)]
    naive, torch_arm, other = rows
    assert (naive["slices"], len(naive["seconds"])) == ([0, 1, 2], 3)
    assert (naive["ratio_to_naive"], naive["agreement_db"]) == (1.0, None)
    assert torch_arm["worst_pixel"] < 1e-4
    assert torch_arm["ratio_to_naive"] == pytest.approx(
        naive["seconds_a_slice"] / torch_arm["seconds_a_slice"]
    )
    gflop, best = results["models"][0]["gflop"], max(
        p["gflops"] for p in results["ceiling"] if p["gflops"] and p["precision"] == "fp32"
    )  # fmt: skip
    assert torch_arm["ceiling_fraction"] == pytest.approx(
        gflop / torch_arm["seconds_a_slice"] / best
    )
    assert 1e7 < torch_arm["peak_memory_bytes"] < 1e10
    assert (other["seconds"], other["reason"][:12]) == ([], "ONNX Runtime")
    lost = [row["reason"] for row in results["arms"] if row["model"] == "nowhere"]
    assert len(lost) == 3
    assert all("nowhere" in reason for reason in lost)
    assert "matrix products" in said
    assert "Not run: onnxruntime-bf16" in write_report(results)


def test_benchmark_without_time_lists_all_and_measures_nothing(tiny_model_file, small_head):
    plan = Plan((str(tiny_model_file),), slices=3, minutes=1e-4, training="tiny", ceiling_size=32)
    results = run.run_benchmark(plan)
    assert find_trouble(results) == ""
    assert set(by_arm(results)) == set(ARM_NAMES)
    assert not any(row["seconds"] for row in results["arms"])
    assert {row["reason"] for row in results["training"]["loops"]} == {NO_TIME}
    assert results["seconds"] < 60


@pytest.mark.slow
def test_benchmark_with_every_part_is_whole(tiny_model_file, small_head, monkeypatch):
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    plan = Plan((str(tiny_model_file),), slices=3, minutes=10, threads=2, ceiling_size=64)
    results = run.run_benchmark(plan)
    assert find_trouble(results) == ""
    rows = by_arm(results)
    for name in ("torch-fp32", "openvino-fp32", "onnxruntime-fp32"):
        assert rows[name]["worst_pixel"] is not None, name  # a slice was compared
        assert rows[name]["agreement_db"] is None or rows[name]["agreement_db"] > 90
    for name in ("torch-bf16", "openvino-bf16"):
        assert rows[name]["agreement_db"] > 40
    assert rows["openvino-fp32"]["first_open_seconds"] > 0
    assert results["heads"][0]["translated_slices"] <= results["heads"][0]["slices"] == 24
    sizes = [(row["kind"], row["value"]) for row in results["growth"] if row["seconds"]]
    assert sizes == [
        *(("slices", n) for n in HEAD_SLICES),
        *(("field of view", n) for n in FIELD_SIZES),
        *(("batch", n) for n in BATCHES),
    ]


def test_fastest_arm_is_one_that_translate_can_take():
    def row(arm, seconds):
        return {"model": "m", "arm": arm, "seconds_a_slice": seconds}

    rows = [row("naive", 1.0), row("onnxruntime-fp32", 0.1), row("torch-fp32", 0.5)]
    assert run.fastest_own_arm([*rows, row("openvino-fp32", None)], "m") == "torch-fp32"
    assert run.fastest_own_arm(rows[:2], "m") is None
