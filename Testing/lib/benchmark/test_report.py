"""A benchmark in words and as a picture."""

import json

import pytest
from PIL import Image

from SAMI2ILib.benchmark.plot import save_plot
from SAMI2ILib.benchmark.report import (
    table,
    write_report,
)
from SAMI2ILib.benchmark.results_file import find_trouble, read_results
from SAMI2ILib.errors import InputError


def cells(report, start):
    (line,) = [line for line in report.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_tables_say_what_the_figures_are(results):
    report = write_report(results)
    assert "32.3 M parameters, 177 GMAC for a slice of 1x256x256." in report
    assert cells(report, "naive") == [
        "naive: torch as it comes", "fp32", "2", "260", "1.00", "35 %", "2.50 GB", "reference", "-"
    ]  # fmt: skip
    assert cells(report, "OpenVINO  ") == [
        "OpenVINO", "fp32", "0.5", "65", "4.00", "71 %", "1.50 GB (first time 3.00 GB)", "101 dB",
        "1.0e-05",
    ]  # fmt: skip
    assert "Not run: cuda-fp32, cuda-bf16: no CUDA device was found" in report
    assert "not measured: the package onnxruntime is not installed" in report
    assert "500 (ceiling)" in report


def test_memory_of_a_gpu_is_said_beside_that_of_the_process(results):
    results["arms"][0]["peak_gpu_bytes"] = 700_000_000
    results["ceiling"][0]["size"] = 8192
    report = write_report(results)
    assert cells(report, "naive")[6] == "2.50 GB, of the GPU 0.70 GB"
    assert "Products of 8192x8192 and 2048x2048 matrices" in report
    assert find_trouble(results) == ""


def test_head_has_its_ratio_with_and_without_the_empty_slices(results):
    report = write_report(results)
    # 130 x 0.25 s, beside 130 x 2 s of the naive pipeline
    assert cells(report, "SAM-I2I tiny") == [
        "SAM-I2I tiny", "openvino-bf16", "32.5", "26.0", "100 of 130", "8.00", "10.00", "1.60 GB"
    ]  # fmt: skip


def test_heads_and_sizes_that_were_not_run_are_said(results):
    report = write_report(results)
    assert "Not run: 8 a batch: the time of the benchmark was over" in report
    results["heads"][0] |= {"seconds": None, "reason": "its process ended"}
    assert "Not run: SAM-I2I tiny on openvino-bf16: its process ended" in write_report(results)


def test_training_says_its_ratio_and_that_the_loader_waits_for_nobody(results):
    report = write_report(results)
    assert cells(report, "trainer")[2:4] == ["0.5", "0.002"]
    assert "The trainer takes 2.50 times the images a second." in report
    results["training"]["loops"][0] |= {"seconds": [], "reason": "its process ended"}
    assert "Not run: straightforward: its process ended" in write_report(results)


def test_parts_that_were_not_measured_are_left_out(results):
    results |= {"heads": [], "growth": [], "training": None, "ceiling": []}
    report = write_report(results)
    assert "whole head" not in report
    assert "Growth" not in report
    assert "Training" not in report


def test_table_is_aligned():
    assert table(("a", "bb"), [("longer", "1")]).splitlines() == [
        "| a      | bb |", "| ------ | -: |", "| longer |  1 |"
    ]  # fmt: skip


def test_plot_has_a_bar_for_each_arm_that_was_measured(results, tmp_path):
    save_plot(results, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width == 880
        shown = {picture.convert("RGB").getpixel((x, y)) for x in range(0, 880, 4)
                 for y in range(0, picture.height, 4)}  # fmt: skip
    assert {(59, 110, 165), (217, 130, 43)} <= shown  # fp32 and bf16


def test_plot_of_nothing_is_refused(results, tmp_path):
    with pytest.raises(InputError, match="There is nothing to plot"):
        save_plot({**results, "arms": []}, tmp_path / "p.png")


def test_file_of_a_benchmark_is_checked_against_its_schema(results, tmp_path):
    path = tmp_path / "b.json"
    path.write_text(json.dumps(results))
    assert read_results(path) == results
    results["arms"][0]["precision"] = "int8"
    assert find_trouble(results).startswith("arms.0.precision: 'int8' is not one of")
    path.write_text(json.dumps(results))
    with pytest.raises(
        InputError, match=r"'b\.json' is not a file of a benchmark: arms\.0\.precision"
    ):
        read_results(path)
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_results(path)


def test_trouble_in_a_long_value_is_quoted_shortly(results):
    results["hardware"]["cpu"] = ["x" * 1000]
    trouble = find_trouble(results)
    assert trouble.endswith("...")
    assert len(trouble) < 200
