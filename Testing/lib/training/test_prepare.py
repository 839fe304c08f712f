"""A pair on two grids: registered onto the source, and no loss where the target was not scanned."""

import numpy as np
import pytest

from SAMI2ILib.data.subjects import read_subject
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.training.prepare import prepare_subject

WIDE = np.diag([-4.0, -4.0, 6.0, 1.0])


def write_pair(folder, t1, t2):
    folder.mkdir()
    write_volume(t1, folder / "T1.nii.gz")
    write_volume(t2, folder / "T2.nii.gz")
    return read_subject(folder)


def inverted(head):
    return np.where(head.array_kji > 0, 900 - head.array_kji, 0)


def test_target_is_laid_onto_the_source_and_not_the_other_way_round(tmp_path, make_head):
    head = make_head(ijk_to_ras=WIDE)
    moved = WIDE.copy()
    moved[:3, 3] = (5, -6, 7)
    subject = write_pair(tmp_path / "anna", head, Volume(inverted(head), moved))
    slices, boxes = prepare_subject(subject, "T1", ("T2",))
    # 40 x 48 voxels of 4 mm become pixels of 1 mm
    assert slices.shape[1:] == (3, 192, 160)
    assert len(boxes) == len(slices)
    source, foreground, target = slices[len(slices) // 2].astype(np.float32)
    inside = (foreground > 0) & np.isfinite(target) & (source > 0.1)
    assert np.corrcoef(source[inside], target[inside])[0, 1] < -0.9


def test_target_has_no_value_where_it_was_not_scanned(tmp_path, make_head):
    head = make_head(ijk_to_ras=WIDE)
    lower = Volume(inverted(head)[:14], WIDE, "T2.nii.gz")
    slices, _ = prepare_subject(write_pair(tmp_path / "bert", head, lower), "T1", ("T2",))
    missing = np.isnan(slices[:, 2]).mean(axis=(1, 2))
    assert missing[0] < 0.05
    assert missing[-1] == 1


def test_box_encloses_the_foreground_tightly(tmp_path, make_head):
    head = make_head()
    subject = write_pair(tmp_path / "carl", head, head.with_array(inverted(head)))
    slices, boxes = prepare_subject(subject, "T1", ("T2",))
    for channels, (top, bottom, left, right) in zip(slices, boxes, strict=True):
        rows, columns = np.nonzero(channels[1])
        assert (top, bottom) == (rows.min(), rows.max() + 1)
        assert (left, right) == (columns.min(), columns.max() + 1)


def test_target_of_another_head_is_refused(tmp_path, make_head):
    head = make_head(ijk_to_ras=WIDE)
    far = WIDE.copy()
    far[:3, 3] = 5000
    subject = write_pair(tmp_path / "dora", head, Volume(inverted(head), far))
    with pytest.raises(InputError, match="hardly overlap"):
        prepare_subject(subject, "T1", ("T2",))
