"""`sami2i bench` gives figures; how large they are is no matter for a test."""

import json

import pytest

from SAMI2ILib.cli import bench


def test_head_has_the_size_of_a_research_scan():
    head = bench.benchmark_head()
    assert head.array_kji.shape == (130, 256, 256)
    assert head.spacing_mm == pytest.approx((0.9375, 0.9375, 1.25))
    assert head.array_kji.max() > 0


def test_figures_are_printed_and_written(sami2i, make_head, tiny_model_file, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "benchmark_head", make_head)
    outcome = sami2i(
        "bench", "--model", tiny_model_file, "--device", "cpu", "--json", tmp_path / "b.json"
    )
    assert outcome.code == 0, outcome.err
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["model"] == "tiny-t1-t2"
    assert 0 < figures["import_seconds"] < figures["help_seconds"] + 60
    assert figures["translated_slices"] <= figures["slices"] == 24
    assert "peak memory" in outcome.out
