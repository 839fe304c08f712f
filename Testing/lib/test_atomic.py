"""Files appear whole or not at all."""

import sys

import pytest

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import OutputError


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
        pytest.raises(
            OutputError, match=r"The file 'x\.json' cannot be written: .*existing folder"
        ),
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
