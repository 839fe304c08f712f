"""Both training loops compute the same step; how long it takes is no matter for a test."""

import pytest
import torch

from SAMI2ILib.benchmark import training
from SAMI2ILib.benchmark.training import LOOPS, trial_config, write_training_files
from SAMI2ILib.benchmark.worker import Worker

pytestmark = pytest.mark.usefixtures("keep_process")

HIERA = {
    "embed_dim": 8, "num_heads": 1, "stages": [1, 1, 2, 1], "global_att_blocks": [3],
    "window_spec": [8, 4, 4, 2],
}  # fmt: skip
SMALL = {
    "encoder": {"variant": "custom", "hiera": HIERA},
    "discriminator": {"clip": "tiny-vit"},
    "optimization": {"crop": 64},
    "workers": 0,
}


@pytest.fixture
def files(tmp_path, tiny_clip, make_head, monkeypatch):
    tiny_clip()  # makes the size known to open_clip
    monkeypatch.setattr(training, "benchmark_head", lambda: make_head(shape_kji=(20, 64, 64)))
    monkeypatch.setattr(training, "resample", lambda _volume, _grid: make_head((20, 64, 64)))
    write_training_files("tiny", tmp_path, SMALL)
    return tmp_path


def test_trial_is_the_paper_recipe():
    config = trial_config("base_plus", training.Path("files"))
    assert config.recipe == "paper"
    assert (config.optimization.batch, config.optimization.crop) == (2, 256)
    assert (config.encoder.variant, config.encoder.frozen) == ("base_plus", True)
    assert config.optimization.adversarial == 1.0
    assert config.discriminator.clip == "ViT-B-32/openai"


def test_both_loops_take_the_same_steps(files):
    tables = {}
    for name, loop in LOOPS.items():
        trained = loop(trial_config("tiny", files, {**SMALL, "bf16": False}))
        assert (trained.precision, trained.batch) == ("fp32", 2)
        tables[name] = [trained.step()[0] for _ in range(3)]
    assert tables["trainer"] == pytest.approx(tables["straightforward"], rel=1e-3)
    assert len(set(tables["trainer"])) == 3


def test_trainers_loss_in_bfloat16_is_near_that_of_float32(files, monkeypatch):
    config = trial_config("tiny", files, SMALL)
    single = LOOPS["straightforward"](config).step()[0]
    monkeypatch.setattr("SAMI2ILib.inference.device.cpu_multiplies_faster_in_bf16", lambda: True)
    loop = LOOPS["trainer"](config)
    assert loop.precision == "bf16"
    assert loop.step()[0] == pytest.approx(single, rel=0.01)


def test_worker_trains_and_says_how_long_it_waited(files, monkeypatch):
    monkeypatch.setattr(training, "trial_config", lambda e, f: trial_config(e, f, SMALL))
    worker = Worker()
    facts = worker.answer({
        "do": "training", "loop": "trainer", "encoder": "tiny", "folder": str(files), "threads": 1,
    })  # fmt: skip
    assert facts["batch"] == 2
    answer = worker.answer({"do": "step"})
    assert 0 <= answer["waited_seconds"] <= answer["seconds"]
    assert answer["l1"] > 0


@pytest.mark.slow
def test_files_of_the_real_size_are_read_by_both_loops(tmp_path):
    worker = Worker()
    worker.answer({"do": "training_files", "encoder": "tiny", "folder": str(tmp_path)})
    losses = []
    for loop in LOOPS:
        worker.answer({
            "do": "training", "loop": loop, "encoder": "tiny", "folder": str(tmp_path),
            "threads": torch.get_num_threads(),
        })  # fmt: skip
        losses.append(worker.answer({"do": "step"})["l1"])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
