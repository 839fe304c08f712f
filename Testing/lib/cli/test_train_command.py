"""`sami2i train` from a recipe to model files that translate."""

import contextlib
import signal
import threading

import pytest

from SAMI2ILib.cli.cancellation import stop_requested
from SAMI2ILib.weights import read_spec

HIERA = (
    "{embed_dim = 8, num_heads = 1, stages = [1, 1, 2, 1], global_att_blocks = [3], "
    "window_spec = [8, 4, 4, 2]}"
)
RECIPE = f"""
name = "trial"
title = "A trial"
license = "CC0-1.0"
targets = ["T2"]
workers = 0
bf16 = false

[[data]]
name = "phantoms"

[encoder]
variant = "custom"
hiera = {HIERA}

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
def phantoms(tmp_path, make_dataset):
    return make_dataset(tmp_path / "phantoms", {"anna": "T1 T2"}, shape_kji=(7, 64, 64))


def test_run_ends_in_a_model_that_translates_and_is_listed(
    sami2i, recipe, phantoms, head_file, tmp_path
):
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
        "translate", head_file, "--model", run / "trial-t1-t2.safetensors",
        "-o", tmp_path / "t2.nii.gz", "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert sami2i("models", "add", run / "trial-t1-t2.safetensors").code == 0
    assert "trial-t1-t2" in sami2i("models", "list").out


def test_flags_alone_are_a_recipe_and_the_plan_says_what_it_changes(sami2i, phantoms, tmp_path):
    outcome = sami2i(
        "train", "--dry-run", "-o", tmp_path / "run", "--data", phantoms, "--target", "T2",
        "--recipe", "paper", "--no-adversarial", "--steps", "40", "--workers", "0",
        "--encoder", "custom", "--set", f"encoder.hiera={HIERA}", "--set", "encoder.frozen=false",
        "--encoder-checkpoint", "", "--set", "optimization.crop=64", "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert lines["Recipe"].startswith("paper with encoder.variant = custom, encoder.frozen = False")
    assert "optimization.adversarial = 0.0" in lines["Recipe"]
    assert lines["Data"].startswith("phantoms: 1 subjects, 5 slices")
    assert lines["Validation"] == "none"
    assert lines["Steps"].startswith("40 (16 epochs) of 2 crops of 64x64")
    assert "M trained, 0.00 M frozen" in lines["Parameters"]
    assert "GB of main memory" in lines["Memory"]
    assert "s a step (10 measured): about" in lines["Time"]
    assert not (tmp_path / "run/checkpoint.pt").exists()


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
    with stop_requested() as stop:
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
        "SAMI2ILib.cli.train.stop_requested", lambda: contextlib.nullcontext(requested)
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
        (["--data", "phantoms=missing"], "missing is no dataset"),
        (["--data", "phantoms=.", "--steps", "0"], "'optimization.steps'"),
        (["--data", "phantoms=.", "--recipe", "none"], "There is no recipe 'none'"),
        (["--data", "phantoms=.", "--set", "crop"], "--set crop: expected KEY=VALUE"),
    ],
)
def test_wrong_arguments_are_said_on_one_line(sami2i, recipe, tmp_path, arguments, message):
    outcome = sami2i("train", recipe, "-o", tmp_path / "run", *arguments)
    assert outcome.code == 2
    assert message in outcome.error_line


def test_missing_data_and_missing_clip_are_said(sami2i, phantoms, tmp_path, monkeypatch):
    outcome = sami2i("train", "-o", tmp_path / "run")
    assert "There is no data to train on" in outcome.error_line
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    outcome = sami2i(
        "train", "-o", tmp_path / "run", "--data", phantoms, "--target", "T2", "--steps", "1",
        "--set", "optimization.adversarial=1",
    )  # fmt: skip
    assert outcome.code == 3
    assert "--no-adversarial" in outcome.error_line
