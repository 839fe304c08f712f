"""A run that is killed at any moment ends with the bits of one that was not."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[3]
KILLS = 3


@pytest.fixture
def words(cohort, tiny_clip, tmp_path):
    """The command of a run with everything that has a state: discriminator, EMA, a worker."""
    clip = tiny_clip("tiny-vit")
    script = tmp_path / "train.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        f"import open_clip\nopen_clip.add_model_config({str(clip.parent)!r})\n"
        "from SAMI2ILib.cli.main import main\n"
        "if __name__ == '__main__':\n    sys.exit(main(['train', *sys.argv[1:]]))\n"
    )
    settings = {
        "encoder.variant": "custom",
        "encoder.hiera": "{embed_dim = 8, num_heads = 1, stages = [1, 1, 2, 1], "
        "global_att_blocks = [3], window_spec = [8, 4, 4, 2]}",
        "bf16": "false", "log_every": "1", "sample_images": "1", "checkpoint_minutes": "1e-6",
        "optimization.crop": "64", "optimization.ema": "0.9", "optimization.adversarial": "1.0",
        "optimization.validate_every": "4", "optimization.export": "best",
        "discriminator.clip": "tiny-vit/",
    }  # fmt: skip
    return [
        sys.executable, str(script), "--data", str(cohort), "--target", "T2", "--batch", "2",
        "--steps", "14", "--threads", "1", "--workers", "1", "--device", "cpu",
        "--clip-checkpoint", str(clip),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]  # fmt: skip


def start(words, run):
    return subprocess.Popen(
        [*words, "-o", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finish(process):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]


def assert_equal(first, second, where):
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            if key not in ("seconds", "cpu_seconds"):
                assert_equal(value, second[key], f"{where}.{key}")
    elif isinstance(first, list):
        for n, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_equal(a, b, f"{where}[{n}]")
    else:
        assert first == second, where


@pytest.mark.fault("child-killed")
@pytest.mark.slow
def test_killed_run_equals_an_uninterrupted_one_bit_for_bit(words, tmp_path):
    chance = random.Random(0)
    killed = tmp_path / "killed"
    for _ in range(KILLS):
        process = start(words, killed)
        newest = killed / "checkpoint.pt"
        before = newest.stat().st_mtime_ns if newest.exists() else 0
        deadline = time.monotonic() + 300
        while not newest.exists() or newest.stat().st_mtime_ns == before:
            assert process.poll() is None, process.stderr.read()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))  # somewhere in a step, a validation or a write
        process.kill()
        process.communicate()
    finish(start(words, killed))
    finish(start(words, tmp_path / "whole"))
    for name in ("checkpoint.pt", "best.pt"):
        contents = [
            torch.load(folder / name, weights_only=True) for folder in (killed, tmp_path / "whole")
        ]
        assert_equal(*contents, name)
    assert contents[0]["network"]
    left = [path.name for path in killed.iterdir() if path.name.startswith(".")]
    assert left == []
