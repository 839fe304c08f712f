"""The folder of a series appears whole or not at all, and replaces nothing."""

import pytest

from SAMI2ILib.dicom import export as export_module
from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.errors import InputError, OutputError
from Testing.lib.files import names_in


def test_folder_holds_one_file_a_slice_and_nothing_is_left_beside_it(make_volume, record, tmp_path):
    steps = []
    folder = tmp_path / "new" / "series"
    exported = export_series(
        make_volume(), record, folder, on_progress=lambda *step: steps.append(step)
    )
    assert exported.count == 5
    assert names_in(folder) == [f"IM0000{n}.dcm" for n in range(1, 6)]
    assert [p.name for p in folder.parent.iterdir()] == ["series"]
    assert steps == [("write", n, 5) for n in range(1, 6)]


def test_an_empty_folder_is_filled(make_volume, record, tmp_path):
    (tmp_path / "out").mkdir()
    assert export_series(make_volume(), record, tmp_path / "out").count == 5


def test_a_folder_that_holds_something_is_refused(make_volume, record, tmp_path):
    (tmp_path / "scan.dcm").write_text("a scan")
    with pytest.raises(InputError, match="is not empty; nothing in it is replaced"):
        export_series(make_volume(), record, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["scan.dcm"]


def test_a_file_in_the_place_of_the_folder_is_refused(make_volume, record, tmp_path):
    (tmp_path / "out").write_text("a scan")
    with pytest.raises(InputError, match="out is not a folder"):
        export_series(make_volume(), record, tmp_path / "out")


def test_what_appears_meanwhile_in_the_folder_is_kept(make_volume, record, tmp_path):
    folder = tmp_path / "out"

    def interfere(_stage, done, _total):
        if done == 5:
            folder.mkdir()
            (folder / "other.dcm").write_text("another series")

    with pytest.raises(OutputError, match="'out' cannot be written"):
        export_series(make_volume(), record, folder, on_progress=interfere)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["other.dcm"]


def test_a_failure_in_the_middle_leaves_nothing(make_volume, record, tmp_path, monkeypatch):
    written = []

    def fail_at_third(dataset, path):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(export_module, "save", fail_at_third)
    with pytest.raises(OutputError, match="No space left"):
        export_series(make_volume(), record, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("cancelled")
def test_cancelling_leaves_nothing(make_volume, record, tmp_path):
    def stop(*_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_series(make_volume(), record, tmp_path / "out", on_progress=stop)
    assert list(tmp_path.iterdir()) == []
