"""Files appear whole or not at all."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from SAMI2ILib import atomic
from SAMI2ILib.atomic import (
    atomic_folder,
    atomic_path,
    check_place,
    exclusive,
    make_folder,
    may_write,
    move_into_place,
    remove_leftovers,
    write_text,
)
from SAMI2ILib.errors import OutputError
from SAMI2ILib.processes import birth, this_place
from Testing.lib.files import names_in


def test_file_gets_its_name_at_the_end(tmp_path):
    path = tmp_path / "head.v2.nii.gz"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert temporary.name.endswith(".nii.gz")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_earlier_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.json"
    path.write_text("earlier")

    def fail_halfway():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_said_with_what_to_do(tmp_path):
    with (
        pytest.raises(OutputError, match=r"'x\.json' cannot be written: .*existing folder"),
        atomic_path(tmp_path / "no" / "x.json"),
    ):
        pass


def test_full_disk_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match="No space left on device"),
        atomic_path(tmp_path / "x.json"),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_file_has_the_permissions_of_a_new_file(tmp_path):
    (tmp_path / "ordinary").touch()
    with atomic_path(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_text_keeps_its_letters_and_line_ends(tmp_path):
    write_text("Käthe 頭\r\nnext\n", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_bytes() == "Käthe 頭\r\nnext\n".encode()


def test_place_is_refused_before_the_work(tmp_path, monkeypatch):
    check_place(tmp_path / "x")
    with pytest.raises(OutputError, match=r"cannot be written: it is a folder\. Name a file"):
        check_place(tmp_path)
    with pytest.raises(OutputError, match=r"there is no folder '.*no'\. Make it"):
        check_place(tmp_path / "no" / "x")
    check_place(tmp_path / "no" / "x", makes_folder=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"there is no folder '.*file'"):
        check_place(tmp_path / "file" / "x", makes_folder=True)
    monkeypatch.setattr(atomic, "may_write", lambda _folder: False)
    with pytest.raises(OutputError, match="may not be written to"):
        check_place(tmp_path / "x")
    # As `Z:\\out` on Windows, of which not even the drive exists.
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    monkeypatch.setattr(Path, "is_dir", lambda _path: False)
    with pytest.raises(OutputError, match="there is no folder"):
        check_place(tmp_path / "out" / "x", makes_folder=True)


def test_folder_is_made_with_its_parents_or_kept(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "x").touch()
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "x").is_file()


def test_folder_in_the_place_of_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"The folder '.*deep' cannot be made: "):
        make_folder(tmp_path / "file" / "deep")
    with pytest.raises(OutputError, match=r"cannot be made: .*\. A file has this name"):
        make_folder(tmp_path / "file")


def test_folder_appears_with_its_files_or_stays_as_it_was(tmp_path):
    folder = tmp_path / "a"

    def write(text, fail=False):
        with atomic_folder(folder) as staged:
            (staged / text).touch()
            if fail:
                raise KeyboardInterrupt

    write("first")
    with pytest.raises(KeyboardInterrupt):
        write("half", fail=True)
    assert [path.name for path in folder.iterdir()] == ["first"]
    write("second")
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [folder]


def test_folder_without_a_place_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match="'a' cannot be written"),
        atomic_folder(tmp_path / "no" / "a"),
    ):
        pass


KILLED_WHILE_IT_WRITES = """
import os, signal, sys
from pathlib import Path
from SAMI2ILib.atomic import atomic_folder, atomic_path
with atomic_path(Path(sys.argv[1], "x.nii.gz")) as file, atomic_folder(Path(sys.argv[1], "y")):
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.fault("child-killed")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_process_left_is_removed(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_WRITES, tmp_path], check=False)
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2
    assert all(name.startswith(".sami2i-") for name in left)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    with atomic_path(tmp_path / "x"), atomic_folder(tmp_path / "y") as staged:
        (staged / "z").touch()
        remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["x", "y", "z"]


@pytest.mark.skipif(not birth(os.getpid()), reason="this system does not say when a process began")
def test_leftover_of_a_dead_process_goes_although_its_number_was_given_again(tmp_path):
    with atomic_path(tmp_path / "x.nii.gz") as temporary:
        own = birth(os.getpid())
        assert f"-{os.getpid()}-{own}-" in temporary.name
        dead = temporary.with_name(temporary.name.replace(f"-{own}-", f"-{int(own) - 1}-"))
        dead.touch()
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [temporary]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process by its number")
def test_leftover_of_a_version_without_times_goes_by_the_number(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    for number in (ended.pid, os.getpid()):
        (tmp_path / f".sami2i-{this_place()}-{number}-0123456789012345.nii.gz").touch()
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [f".sami2i-{this_place()}-{os.getpid()}-0123456789012345.nii.gz"]


@pytest.mark.fault("clock")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say which processes live")
def test_clock_that_jumps_ahead_takes_nothing_from_a_living_process(tmp_path, monkeypatch):
    right = time.time
    with atomic_path(tmp_path / "x") as temporary, atomic_folder(tmp_path / "y") as staged:
        temporary.write_text("half")
        monkeypatch.setattr(time, "time", lambda: right() + 60 * 365 * 86400)
        remove_leftovers(tmp_path)
        assert temporary.read_text() == "half"
        (staged / "z").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["x", "y", "z"]


def test_what_an_unknown_process_left_is_removed_after_a_day(tmp_path):
    other = tmp_path / ".sami2i-0123abcd-4194999-x.nii"  # of another machine
    fresh = tmp_path / ".sami2i-fresh"
    real = tmp_path / "head.nii"
    for path in (other, fresh, real):
        path.touch()
    remove_leftovers(tmp_path)
    assert other.exists()
    yesterday = time.time() - 25 * 3600
    for path in (other, real):
        os.utime(path, (yesterday, yesterday))
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [".sami2i-fresh", "head.nii"]


def test_leftovers_of_a_folder_that_is_not_there_are_none(tmp_path):
    remove_leftovers(tmp_path / "nowhere")


COUNTS_UP = """
import sys
from pathlib import Path
from SAMI2ILib.atomic import exclusive
path = Path(sys.argv[1])
for _ in range(100):
    with exclusive(path) as take_turn:
        take_turn()
        path.write_text(str(int(path.read_text()) + 1))
"""


@pytest.mark.fault("two-runs")
def test_processes_change_a_file_one_after_the_other(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    runs = [subprocess.Popen([sys.executable, "-c", COUNTS_UP, path]) for _ in range(3)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0]
    assert path.read_text() == "300"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.fault("two-runs")
def test_lock_of_a_killed_process_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_LOCK_SECONDS", 0.05)
    with exclusive(tmp_path / "x") as take_turn:
        take_turn()
        with exclusive(tmp_path / "x") as take_over:
            take_over()
            take_over()  # it has it already
    assert list(tmp_path.iterdir()) == []


def test_lock_in_a_folder_that_is_not_there_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match="'x' cannot be written"),
        exclusive(tmp_path / "no" / "x") as take_turn,
    ):
        take_turn()


def test_letters_that_are_not_utf8_are_written_as_escapes(tmp_path):
    write_text('"M\udcfcller"', tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes() == rb'"M\udcfcller"'


@pytest.fixture
def windows(monkeypatch):
    """Windows: a path in the list that is given is open elsewhere, once for each time it is there.

    What is open can be neither renamed nor replaced.
    """
    rename, busy = os.replace, []

    def refuse_if_open(source, target, **_options):
        for path in (Path(source), Path(target)):
            if path in busy:
                busy.remove(path)
                raise PermissionError(13, "The process cannot access the file", str(path))
        rename(source, target)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "replace", refuse_if_open)
    monkeypatch.setattr(atomic, "_PATIENCE_POLL_SECONDS", 0.001)
    return busy


def test_file_that_is_held_for_a_moment_is_waited_for_on_windows(tmp_path, windows):
    path = tmp_path / "x.json"
    windows += [path] * 3
    write_text("whole", path)
    assert path.read_text() == "whole"
    assert names_in(tmp_path) == ["x.json"]


def test_file_that_stays_open_on_windows_is_kept_and_said(tmp_path, windows, monkeypatch):
    monkeypatch.setattr(atomic, "_PATIENCE_SECONDS", 0.0)
    path = tmp_path / "x.json"
    path.write_text("earlier")
    windows += [path] * 9
    with pytest.raises(OutputError, match=r"'x\.json' cannot be .*Close the programs that have it"):
        write_text("whole", path)
    assert path.read_text() == "earlier"
    assert names_in(tmp_path) == ["x.json"]


def test_renaming_is_not_tried_again_where_a_refusal_is_final(tmp_path, windows, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "a").touch()
    windows += [tmp_path / "a"]
    with pytest.raises(PermissionError):
        move_into_place(tmp_path / "a", tmp_path / "b")
    assert names_in(tmp_path) == ["a"]


def test_folder_of_which_a_file_stays_open_on_windows_is_as_it_was(tmp_path, windows, monkeypatch):
    monkeypatch.setattr(atomic, "_PATIENCE_SECONDS", 0.0)
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "mapped.npy").touch()
    windows += [folder] * 9
    with (
        pytest.raises(OutputError, match=r"'a' cannot be written: .*Close the programs"),
        atomic_folder(folder) as staged,
    ):
        (staged / "new.npy").touch()
    assert names_in(tmp_path) == ["a"]
    assert names_in(folder) == ["mapped.npy"]


@pytest.mark.parametrize("step", ["aside", "into place"])
def test_folder_comes_back_when_it_is_interrupted_while_it_is_replaced(tmp_path, monkeypatch, step):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "earlier").touch()
    rename = os.replace

    def interrupt(source, target, **_options):
        if step == "into place" and (Path(source) / "new").exists():
            raise KeyboardInterrupt
        rename(source, target)
        if step == "aside" and Path(source) == folder:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder) as staged:
        (staged / "new").touch()
    assert names_in(tmp_path) == ["a"]
    assert names_in(folder) == ["earlier"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_folder_and_what_is_in_it_have_the_permissions_of_new_ones(tmp_path):
    (tmp_path / "ordinary").mkdir()
    with atomic_folder(tmp_path / "atomic") as staged:
        # Windows hands the permissions of the folder around it on to what is made in it.
        around = staged.parent.stat().st_mode
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode == around


def test_file_that_cannot_be_removed_hides_no_reason(tmp_path, monkeypatch):
    def refuse(_path, missing_ok=False):
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(OutputError, match="'x' cannot be written: No space left"),
        atomic_path(tmp_path / "x"),
    ):
        raise OSError(28, "No space left on device")


def test_long_path_on_windows_is_said(tmp_path, windows):
    folder = tmp_path / ("long" * 30) / ("long" * 30)
    with pytest.raises(OutputError, match=r"'x' cannot be .*Windows takes 259 letters in all"):
        write_text("whole", folder / "x")


def test_windows_is_asked_by_a_file_whether_a_folder_may_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)  # what Windows says of any folder
    assert may_write(tmp_path)
    assert names_in(tmp_path) == []
    assert not may_write(tmp_path / "no")
