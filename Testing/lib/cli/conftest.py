"""Runs the command line in this process, or as the user does, and what it runs on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.cli.main import main
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[3]


def error_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("sami2i: error:")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.fixture(name="error_line")
def error_line_fixture() -> Callable[[str], str]:
    """Find the one error line in what a process wrote to stderr."""
    return error_line


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line that says what is wrong."""
        return error_line(self.err)

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def files_below() -> Callable[[Path], list[str]]:
    """Name every file in a folder."""
    return lambda folder: sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


@pytest.fixture
def sami2i(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def start_sami2i() -> Callable[..., subprocess.Popen[str]]:
    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "SAMI2ILib", *map(str, arguments)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    return start


@pytest.fixture
def model(tiny_model_file: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copy(tiny_model_file, tmp_path / "tiny-t1-t2.safetensors"))


@pytest.fixture
def head_file(tmp_path, make_head) -> Path:
    folder = tmp_path / "input"
    folder.mkdir()
    path = folder / "head.nii.gz"
    write_volume(make_head(), path)
    return path


@pytest.fixture
def translate(sami2i: Callable[..., Outcome], tiny_model_file: Path) -> Callable[..., Outcome]:
    """Translate a file with the tiny model."""

    def run(source: object, output: object, *arguments: object) -> Outcome:
        return sami2i("translate", source, "-o", output, "--model", tiny_model_file, *arguments)

    return run


@pytest.fixture
def subjects(tmp_path: Path, make_head: Callable[..., Volume]) -> Path:
    """Two subjects with T1, T2 and brain on one grid, and one without a T2."""
    folder = tmp_path / "subjects"
    head = make_head()
    inside = head.array_kji > 0
    for name, gain in (("anna", 1.0), ("bert", 0.5), ("carl", 1.0)):
        (folder / name).mkdir(parents=True)
        write_volume(head, folder / name / "T1.nii.gz")
        write_volume(head.with_array(inside), folder / name / "brain.nii.gz")
        if name != "carl":
            t2 = np.where(inside, 900 - gain * head.array_kji, 0)
            write_volume(head.with_array(t2), folder / name / "T2.nii.gz")
    return folder
