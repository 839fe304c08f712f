"""Faults of a whole run, tried on processes: kills, two at once, want of memory, a foreign user."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.weights import file_sha256, read_model, write_model
from Testing.lib.processes import wait_for_line

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals and limits"),
]
REPOSITORY = Path(__file__).resolve().parents[3]
fault = pytest.mark.fault


@pytest.fixture
def long_head_file(tmp_path, make_head):
    path = tmp_path / "long.nii"
    write_volume(make_head(shape_kji=(300, 64, 64)), path)
    return path


@pytest.fixture
def words(long_head_file, tiny_model_file, tmp_path):
    """A translation that takes a few seconds."""
    return [
        "translate", long_head_file, "-o", tmp_path / "out/o.nii.gz", "--model", tiny_model_file,
        "--progress", "json", "--batch-size", 1,
    ]  # fmt: skip


@fault("child-killed")
@pytest.mark.parametrize("stage", ["translate", "write"])
def test_killed_run_leaves_no_file_under_its_name_and_the_next_one_cleans_up(
    start_sami2i, words, sami2i, tmp_path, files_below, stage
):
    process = start_sami2i(*words)
    wait_for_line(process, f'"stage": "{stage}"')
    process.kill()
    process.communicate(timeout=60)
    left = files_below(tmp_path)
    assert "out/o.nii.gz" not in left
    assert "out/o.json" not in left
    assert sami2i(*words).code == 0
    assert files_below(tmp_path) == ["long.nii", "out/o.json", "out/o.nii.gz"]


PARENT = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "SAMI2ILib", *sys.argv[1:]],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    if '"stage": "translate"' in line:
        break
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # where nobody collects it, a zombie stays
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


@fault("parent-killed")
def test_child_of_a_killed_parent_ends_and_leaves_nothing(words, tmp_path, files_below):
    parent = subprocess.run(
        [sys.executable, "-c", PARENT, *map(str, words), "--stop-on-stdin-close"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid = int(parent.stdout)
    deadline = time.monotonic() + 60
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)
    assert files_below(tmp_path) == ["long.nii"]


@fault("two-runs")
def test_two_runs_on_one_output_end_with_the_pair_of_one_of_them(
    start_sami2i, make_head, tiny_model_file, tmp_path, files_below
):
    content = read_model(tiny_model_file)
    other = tmp_path / "other.safetensors"
    tensors = {name: value * 0.5 for name, value in content.tensors.items()}
    write_model(other, replace(content.spec, id="other"), tensors)
    write_volume(make_head(), tmp_path / "head.nii")
    runs = [
        start_sami2i("translate", tmp_path / "head.nii", "-o", tmp_path / "out", "--model", model)
        for model in (tiny_model_file, other)
    ]
    for run in runs:
        _out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    assert files_below(tmp_path / "out") == ["head_synth-T2.json", "head_synth-T2.nii"]
    record = json.loads((tmp_path / "out/head_synth-T2.json").read_text())
    assert record["volume"]["sha256"] == file_sha256(tmp_path / "out/head_synth-T2.nii")


WITH_LITTLE_MEMORY = """
import os, resource, sys
from pathlib import Path
import torch
from SAMI2ILib.cli.main import main
torch.set_num_threads(1)
megabytes, small, *words = sys.argv[1:]
out = Path(words[3]).parent
main(["translate", small, *words[2:]])  # loads every library: OpenBLAS hangs where it cannot start
for limit in map(int, megabytes.split(",")):
    for path in out.iterdir():
        path.unlink()
    child = os.fork()
    if child == 0:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limit * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        os._exit(main(words))
    status = os.waitpid(child, 0)[1]
    left = sorted(path.name for path in out.iterdir())
    print(limit, os.waitstatus_to_exitcode(status), *left, flush=True)
"""


@fault("out-of-memory")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_want_of_memory_is_code_4_and_leaves_nothing(make_head, tiny_model_file, tmp_path):
    source, small, output = tmp_path / "head.nii", tmp_path / "small.nii", tmp_path / "out/o.nii"
    output.parent.mkdir()
    write_volume(make_head((60, 160, 160)), source)
    write_volume(make_head((3, 16, 16)), small)
    run = subprocess.run(
        [
            sys.executable, "-c", WITH_LITTLE_MEMORY, "1,5,12,25,45,90,2000",
            small, "translate", source, "-o", output, "--model", tiny_model_file,
        ],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines() if line[0].isdigit()]
    assert {tuple(line[1:]) for line in lines} == {("4",), ("0", "o.json", "o.nii")}, (
        run.stdout + run.stderr
    )
    # Not in order: where one way is too large another may fit into what the small head left free.
    assert lines[-1][1] == "0", run.stdout
    assert run.stderr.count("sami2i: error: ") == sum(line[1] == "4" for line in lines)


ON_A_DISK = 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"'


@pytest.fixture
def translate_on_disk(make_head, tiny_model_file, tmp_path):
    """Translate onto a small file system that only this run sees."""
    if sys.platform != "linux":
        pytest.skip("mounts a tmpfs")
    disk = tmp_path / "disk"
    disk.mkdir()
    write_volume(make_head((40, 64, 64)), tmp_path / "head.nii")

    def run(options):
        mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_DISK, options]
        trial = subprocess.run([*mount, disk, "true"], capture_output=True, check=False)
        if trial.returncode != 0:
            pytest.skip("a tmpfs may not be mounted here")
        words = [sys.executable, "-m", "SAMI2ILib", "translate", tmp_path / "head.nii"]
        words += ["-o", disk / "o.nii", "--model", tiny_model_file]
        listed = ["sh", "-c", '"$@"; code=$?; ls -A "$0"; exit $code', disk, *words]
        return subprocess.run(
            [*mount, disk, *listed], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    return run


@fault("disk-full")
def test_small_disk_that_fills_up_is_said_and_left_empty(translate_on_disk, error_line):
    run = translate_on_disk("size=100k")
    assert run.returncode == 1, run.stderr
    assert "Is the disk full?" in error_line(run.stderr)
    assert run.stdout == ""


@fault("read-only-output")
def test_disk_that_may_not_be_written_to_is_said(translate_on_disk, error_line):
    run = translate_on_disk("ro")
    assert run.returncode == 1, run.stderr
    assert "'disk' is not a folder that may be written to." in error_line(run.stderr)
    assert run.stdout == ""


def test_disk_that_is_large_enough_is_written_to(translate_on_disk):
    run = translate_on_disk("size=10m")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-2:] == ["o.json", "o.nii"]


def translate_with(settings, *words):
    """Run `sami2i translate` with variables of the environment."""
    return subprocess.run(
        [sys.executable, "-m", "SAMI2ILib", "translate", *words], cwd=REPOSITORY,
        env=os.environ | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip


@fault("locale", "non-ascii-path")
def test_ascii_locale_changes_neither_names_nor_voxels(
    sami2i, make_head, tiny_model_file, tmp_path
):
    source = tmp_path / "Käthe 頭.nii.gz"
    write_volume(make_head(), source)
    assert (
        sami2i("translate", source, "-o", tmp_path / "a.nii", "--model", tiny_model_file).code == 0
    )
    ascii_only = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}
    run = translate_with(ascii_only, source, "-o", tmp_path / "ö", "--model", tiny_model_file)
    assert run.returncode == 0, run.stderr
    written = tmp_path / "ö" / "Käthe 頭_synth-T2.nii.gz"
    assert np.array_equal(read_volume(written).array_kji, read_volume(tmp_path / "a.nii").array_kji)
    record = json.loads((written.parent / "Käthe 頭_synth-T2.json").read_text(encoding="utf-8"))
    assert record["source"]["file"] == source.name


@fault("locale", "non-ascii-path")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere paths are UTF-8 in every locale")
def test_locale_in_which_paths_are_not_utf8_is_said(
    make_head, tiny_model_file, tmp_path, error_line
):
    source = tmp_path / "Käthe 頭.nii.gz"
    write_volume(make_head((5, 20, 20)), source)
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = translate_with(settings, source, "-o", tmp_path / "o.nii", "--model", tiny_model_file)
    assert run.returncode == 2, run.stderr
    assert "is read as ascii, as the locale says" in error_line(run.stderr)
    assert "Set the environment variable PYTHONUTF8=1" in run.stderr
    assert sorted(tmp_path.iterdir()) == [source]


WITH_A_DECIMAL_COMMA = """
import locale, sys
from SAMI2ILib.cli.main import main
locale.setlocale(locale.LC_ALL, "")
code = main(sys.argv[1:])
assert locale.localeconv()["decimal_point"] == ","  # as it was chosen
sys.exit(code)
"""


@fault("locale")
@pytest.mark.parametrize("ending", ["nrrd", "mha"])  # their numbers are text
def test_decimal_comma_changes_neither_voxels_nor_places(
    sami2i, make_head, tiny_model_file, tmp_path, ending
):
    (tmp_path / "locales").mkdir()
    comma = ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "locales/de_DE.UTF-8"]
    if shutil.which("localedef") is None or subprocess.run(comma, check=False).returncode != 0:
        pytest.skip("localedef knows no German locale here")
    source = tmp_path / f"head.{ending}"
    head = make_head((5, 20, 20))
    write_volume(Volume(head.array_kji, np.diag([1.25, 1.5, 2.75, 1]), head.name), source)
    options = ["--model", tiny_model_file, "--device", "cpu"]
    assert sami2i("translate", source, "-o", tmp_path / "a", *options).code == 0
    run = subprocess.run(
        [sys.executable, "-c", WITH_A_DECIMAL_COMMA,
         "translate", source, "-o", tmp_path / "b", *options],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env=os.environ | {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(tmp_path / "locales")},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    expected, found = (read_volume(tmp_path / x / f"head_synth-T2.{ending}") for x in "ab")
    assert np.array_equal(found.array_kji, expected.array_kji)
    assert np.array_equal(found.ijk_to_ras, expected.ijk_to_ras)
    assert found.ijk_to_ras[0, 0] == 1.25
