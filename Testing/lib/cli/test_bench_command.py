"""`sami2i bench` gives figures; how large they are is no matter for a test."""

import json
import re
from pathlib import Path

import pytest

from SAMI2ILib.benchmark import head
from SAMI2ILib.benchmark.plan import Plan
from SAMI2ILib.benchmark.report import BEGIN_MARK, END_MARK

RESULTS = Path(__file__).parents[1] / "benchmark" / "results.json"


def test_head_has_the_size_of_a_research_scan():
    volume = head.benchmark_head()
    assert volume.array_kji.shape == (130, 256, 256)
    assert volume.spacing_mm == pytest.approx((0.9375, 0.9375, 1.25))
    numbers = head.slice_numbers(volume.array_kji, 5)
    assert len(set(numbers)) == 5
    assert all(volume.array_kji[n].any() for n in numbers)


def test_options_become_the_plan_and_the_figures_are_written(sami2i, tmp_path, monkeypatch):
    plans = []
    results = json.loads(RESULTS.read_text(encoding="utf-8"))

    def run(plan, say):
        plans.append(plan)
        say("matrix products")
        return results

    monkeypatch.setattr("SAMI2ILib.benchmark.run.run_benchmark", run)
    outcome = sami2i(
        "bench", "--models", "tiny, base_plus", "--arms", "torch-bf16", "--slices", 4,
        "--minutes", 12, "--threads", 2, "--no-heads", "--no-growth", "--training", "tiny",
        "--json", tmp_path / "b.json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert plans == [Plan(("tiny", "base_plus"), ("torch-bf16",), 4, 12.0, 2, False, False, "tiny")]
    assert json.loads((tmp_path / "b.json").read_text()) == results
    assert "times naive" in outcome.out
    assert "matrix products" in outcome.err


@pytest.fixture
def may_not_measure(tmp_path, monkeypatch):
    """Work in a folder of its own, where a benchmark that begins is a failure."""

    def run(_plan, _say):
        raise AssertionError("it measures")

    monkeypatch.setattr("SAMI2ILib.benchmark.run.run_benchmark", run)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nosuch", 3, r"There is no model 'nosuch'\. --models takes bundled, tiny, .*There are: "),
        ("nosuch.safetensors", 3, r"nosuch\.safetensors"),
        ("README.safetensors", 2, r"README\.safetensors"),
    ],
)
@pytest.mark.usefixtures("may_not_measure")
def test_model_that_cannot_be_found_is_said_before_anything_is_measured(sami2i, name, code, said):
    Path("README.safetensors").write_text("no model")
    outcome = sami2i("bench", "--models", f"tiny,{name}")
    assert outcome.code == code
    assert re.search(said, outcome.error_line)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--json", "nowhere/b.json"], 1, r"'b\.json' cannot be written: there is no folder"),
        (["--markdown", "."], 1, "cannot be written: it is a folder"),
        (["--markdown", "page.md"], 2, r"'page\.md' has no place for the tables"),
        (["--plot", "b.pdf"], 2, r"'b\.pdf' is not the name of a PNG file"),
    ],
)
@pytest.mark.usefixtures("may_not_measure")
def test_file_that_cannot_be_written_is_said_before_anything_is_measured(sami2i, words, code, said):
    Path("page.md").write_text("no marks")
    outcome = sami2i("bench", "--models", "tiny", *words)
    assert outcome.code == code
    assert re.search(said, outcome.error_line)


def test_tables_and_plot_are_made_from_a_file(sami2i, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n\n{BEGIN_MARK}\n{END_MARK}\n")
    plot = tmp_path / "plot.png"
    outcome = sami2i("bench", "--from", RESULTS, "--markdown", page, "--plot", plot)
    assert outcome.code == 0, outcome.err
    assert "### SAM-I2I tiny" in page.read_text()
    assert page.read_text().startswith("# Speed\n")
    assert plot.stat().st_size > 1000
    assert sami2i("bench", "--from", RESULTS, "--markdown", tmp_path / "new.md").code == 0
    assert (tmp_path / "new.md").read_text().startswith(BEGIN_MARK)


def test_page_that_cannot_be_read_is_said(sami2i, tmp_path):
    page = tmp_path / "page.md"
    page.write_bytes(b"\xff\xfe\xfa")
    outcome = sami2i("bench", "--from", RESULTS, "--markdown", page)
    assert outcome.code == 2
    assert "The page 'page.md' cannot be read" in outcome.error_line


def test_file_that_is_none_of_a_benchmark_is_refused(sami2i, tmp_path):
    outcome = sami2i("bench", "--from", tmp_path / "nothing.json")
    assert outcome.code == 2
    assert "cannot be read as JSON" in outcome.error_line


def test_figures_are_one_json_event(sami2i):
    outcome = sami2i("bench", "--from", RESULTS, "--progress", "json")
    assert outcome.events[-1]["format"] == "sami2i-benchmark"
