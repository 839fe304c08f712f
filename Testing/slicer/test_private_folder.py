"""The folder of a run, where its voxels lie."""

import shutil
import sys

import pytest

from Testing.lib.files import names_in


@pytest.fixture
def folders(slicerHost, tmp_path, monkeypatch):
    import slicer
    from SAMI2IPanel import private_folder

    monkeypatch.setattr(type(slicer.app), "temporaryPath", str(tmp_path), raising=False)
    return private_folder


def test_files_that_windows_still_holds_are_removed_a_moment_later(folders, tmp_path, monkeypatch):
    folder = folders.makePrivateFolder()
    (folder / "source.nrrd").touch()
    remove, attempts = shutil.rmtree, []

    def refuseTwice(path, ignore_errors):
        attempts.append(path)
        if len(attempts) > 2:
            remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", refuseTwice)
    monkeypatch.setattr(folders, "_POLL_SECONDS", 0.001)
    folders.removeFolder(folder)
    assert names_in(tmp_path) == [folder.name]  # elsewhere nothing is gained by waiting
    monkeypatch.setattr(sys, "platform", "win32")
    folders.removeFolder(folder)
    assert names_in(tmp_path) == []


def test_folder_where_windows_lets_nobody_write_is_said_at_once(folders, tmp_path, monkeypatch):
    attempts = []

    def refuse(path, *_arguments, **_options):
        attempts.append(path)
        raise PermissionError(13, "Access is denied", str(path))

    (tmp_path / "x").mkdir()
    monkeypatch.setattr("os.mkdir", refuse)
    with pytest.raises(PermissionError, match="Access is denied"):
        folders.makePrivateFolder()
    assert len(attempts) <= 2  # its parent's, and its own
