"""Stored numbers, their factor, the window, and the burned-in mark."""

import numpy as np
import pydicom
import pytest

from SAMI2ILib.dicom.corner_mark import corner_mark
from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.dicom.series_header import ExportOptions
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Volume

AXIAL = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def export(record, tmp_path):
    """Export an array; give the first header and its stored numbers."""

    def run(array, **options):
        export_series(Volume(array, AXIAL), record, tmp_path / "out",
                      options=ExportOptions(**options))  # fmt: skip
        dataset = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
        kind = "<i2" if dataset.PixelRepresentation else "<u2"
        stored = np.frombuffer(dataset.PixelData, kind).reshape(dataset.Rows, dataset.Columns)
        return dataset, stored

    return run


def test_a_translation_is_stored_as_its_rounded_values(export):
    dataset, stored = export(np.array([[[0, 0.4, 0.6], [499.5, 999.6, 1000]]]))
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.PixelRepresentation) == (
        1,
        0,
        0,
    )
    assert stored.tolist() == [[0, 0, 1], [500, 1000, 1000]]
    assert (dataset.Rows, dataset.Columns, dataset.BitsStored) == (2, 3, 16)


@pytest.mark.parametrize(
    ("largest", "slope"),
    [(100.0, 2.0**-8), (1.0, 2.0**-14), (0.001, 2.0**-15), (70000.0, 4.0), (1e9, 2.0**15)],
)
def test_other_ranges_get_a_factor_that_keeps_them(export, largest, slope):
    values = np.linspace(0, largest, 12).reshape(1, 3, 4)
    dataset, stored = export(values)
    assert float(dataset.RescaleSlope) == slope
    assert np.abs(stored * slope - values[0]).max() <= slope / 2 * 1.001
    assert stored.max() <= 32767


def test_negative_values_are_stored_signed(export):
    dataset, stored = export(np.array([[[-300.0, 500.0]]]))
    assert dataset.PixelRepresentation == 1
    assert stored.tolist() == [[-300, 500]]
    # From -300 to 499.5 or so: the center in the middle, the width one more.
    assert float(dataset.WindowCenter) == pytest.approx(100.5)
    assert float(dataset.WindowWidth) == pytest.approx(801)


def test_window_reaches_from_zero_to_the_brightest_but_a_few(export):
    values = np.arange(1001.0).reshape(1, 1, 1001)
    dataset, _stored = export(values)
    # The 99.5th percentile of 1 to 1000 is 995.005.
    assert float(dataset.WindowWidth) == pytest.approx(996.0, abs=0.01)
    assert float(dataset.WindowCenter) == pytest.approx(498.0, abs=0.01)


def test_an_empty_volume_is_stored_as_zeros(export):
    dataset, stored = export(np.zeros((1, 4, 4)))
    assert not stored.any()
    assert float(dataset.WindowWidth) >= 1


def test_mark_is_legible_in_every_slice_and_said(record, tmp_path):
    volume = Volume(np.full((3, 40, 330), 600.0), AXIAL)
    export_series(volume, record, tmp_path / "out", options=ExportOptions(burn_in_mark=True))
    mark = corner_mark(40, 330)
    assert mark.shape == (18, 110)  # letters of two pixels a dot from 320 columns on
    for path in (tmp_path / "out").iterdir():
        dataset = pydicom.dcmread(path)
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(40, 330)
        assert dataset.BurnedInAnnotation == "YES"
        assert (stored[:18, :110] == np.where(mark, 600, 0)).all()
        assert (stored[18:] == 600).all()
        assert (stored[:, 110:] == 600).all()


def test_mark_spells_the_word():
    drawn = corner_mark(20, 100)[1:8, 1:]
    letters = ["".join("#" if dot else "." for dot in drawn[row, 12:23]) for row in range(7)]
    assert letters == [  # N and T
        "#...#.#####",
        "##..#...#..",
        "#.#.#...#..",
        "#..##...#..",
        "#...#...#..",
        "#...#...#..",
        "#...#...#..",
    ]


def test_mark_on_a_small_slice_is_refused(export):
    with pytest.raises(InputError, match="24 x 20 pixels are too small for the mark"):
        export(np.zeros((1, 20, 24)), burn_in_mark=True)


def test_a_slice_that_dicom_cannot_hold_is_refused(export):
    with pytest.raises(InputError, match="70000 x 1 pixels; DICOM holds 65535"):
        export(np.zeros((1, 1, 70000)))
