"""A reproduction is killed in each kind of job, and the same command ends it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from Testing.lib.files import read_csv


def start(folder: Path, data: Path, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "SAMI2ILib", "reproduce", "--scale", "smoke", "-o", str(folder),
            "--data", str(data), "--systems", "unet,sam-i2i", "--tasks", "T1-T2", "--device", "cpu",
            "--budget", "6", "seconds",
        ],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_processes_of_torchrun_train_one_cell_together(tmp_path, phantoms, request):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "SAMI2ILib", "reproduce", "--scale", "smoke", "-o", str(tmp_path), "--data",
        str(phantoms), "--systems", "unet", "--tasks", "T1-T2", "--device", "cpu",
        "--budget", "4", "steps", "--set", "threads=1", "--job",
    ]  # fmt: skip

    def run(job: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, job], cwd=request.config.rootpath, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    done = run("1")
    assert done.returncode == 0, done.stderr
    record = json.loads(next(tmp_path.glob("jobs/train-unet-*/done.json")).read_text())
    assert (record["result"]["steps"], record["result"]["processes"]) == (4, 2)
    again = run("1")
    assert again.returncode == 0, again.stderr
    assert "running" not in again.stderr
    measuring = run("2")
    assert measuring.returncode != 0
    assert "is no training: one process does it" in measuring.stderr


@pytest.mark.slow
def test_reproduction_killed_in_every_kind_of_job_is_ended_by_the_same_command(
    tmp_path, phantoms, request
):
    root = request.config.rootpath
    for job, seconds in (("Draw random", 0.5), ("Train UNet", 4.5), ("Measure SAM-I2I", 0.2)):
        process = start(tmp_path, phantoms, root)
        for line in process.stderr:
            if "running" in line and job in line:
                break
        time.sleep(seconds)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode != 0, f"ended before it was killed in {job}: {errors}"
    # the UNet was killed after its first checkpoint and goes on with it
    losses = next((tmp_path / "jobs").glob("train-unet-*")) / "training.csv"
    assert losses.is_file()
    process = start(tmp_path, phantoms, root)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "5 of 5 jobs are done" in output
    assert "Train UNet" not in errors  # it was done before the last kill
    rows = read_csv(tmp_path / "table1.csv")
    assert [row["status"] for row in rows] == ["measured", "measured"]
    assert (tmp_path / "index.html").is_file()
    assert not list(tmp_path.glob("jobs/*/claim-*"))
    assert not list(tmp_path.glob("jobs/*/.sami2i-*"))
