"""`sami2i train` from a recipe to model files that translate."""

import contextlib
import signal
import threading

import numpy as np
import pytest

from SAMI2ILib.cli.train import _stop_requested
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.weights import read_spec

RECIPE = """
name = "trial"
title = "A trial"
license = "CC0-1.0"
targets = ["T2"]
workers = 0
bf16 = false

[[data]]
name = "phantoms"

[optimization]
steps = 2
batch = 1
crop = 64
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def phantoms(tmp_path, make_head):
    folder = tmp_path / "phantoms"
    (folder / "anna").mkdir(parents=True)
    head = make_head(shape_kji=(7, 64, 64))
    write_volume(head, folder / "anna" / "T1.nii.gz")
    t2 = np.where(head.array_kji > 0, 900 - head.array_kji, 0)
    write_volume(head.with_array(t2), folder / "anna" / "T2.nii.gz")
    return folder


def test_run_ends_in_a_model_that_translates(sami2i, recipe, phantoms, tmp_path):
    run = tmp_path / "run"
    outcome = sami2i(
        "train", recipe, "-o", run, "--data", f"phantoms={phantoms}", "--device", "cpu",
        "--progress", "json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    result = outcome.events[-1]
    assert (result["event"], result["steps"]) == ("result", 2)
    spec = read_spec(run / "trial-t1-t2.safetensors")
    assert spec.training.recipe["steps_done"] == 2
    assert str(tmp_path) not in spec.to_json()
    assert (run / "training.csv").read_text().startswith("step,seconds,learning_rate,l1_T2")
    outcome = sami2i(
        "translate", phantoms / "anna/T1.nii.gz", "--model", run / "trial-t1-t2.safetensors",
        "-o", tmp_path / "t2.nii.gz", "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err


def test_finished_run_is_exported_again_without_training(sami2i, recipe, phantoms, tmp_path):
    arguments = (
        "train", recipe, "-o", tmp_path / "run", "--data", f"phantoms={phantoms}",
        "--device", "cpu", "--steps", "1",
    )  # fmt: skip
    assert sami2i(*arguments).code == 0
    path = tmp_path / "run/trial-t1-t2.safetensors"
    before = path.read_bytes()
    path.unlink()
    outcome = sami2i(*arguments, "--export-only")
    assert outcome.code == 0, outcome.err
    assert path.read_bytes() == before


def test_first_interrupt_asks_to_stop_and_the_second_one_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with _stop_requested() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_stopped_run_says_how_to_go_on(sami2i, recipe, phantoms, tmp_path, monkeypatch):
    requested = threading.Event()
    requested.set()
    monkeypatch.setattr(
        "SAMI2ILib.cli.train._stop_requested", lambda: contextlib.nullcontext(requested)
    )
    outcome = sami2i("train", recipe, "-o", tmp_path / "run", "--data", f"phantoms={phantoms}")
    assert outcome.code == 130
    assert "Stopped after step 1" in outcome.error_line
    assert (tmp_path / "run/checkpoint.pt").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "data source 'phantoms' has no folder"),
        (["--data", "phantoms"], "expected NAME=FOLDER"),
        (["--data", "others=x"], "has no data source 'others'"),
        (["--data", "phantoms=missing"], "missing does not exist"),
        (["--data", "phantoms=.", "--steps", "0"], "'optimization.steps'"),
    ],
)
def test_wrong_arguments_are_said_on_one_line(sami2i, recipe, tmp_path, arguments, message):
    outcome = sami2i("train", recipe, "-o", tmp_path / "run", *arguments)
    assert outcome.code == 2
    assert message in outcome.error_line
