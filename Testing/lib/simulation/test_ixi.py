"""The IXI-like folder: names, grids, known movement, faults."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.simulation import ixi
from SAMI2ILib.data.simulation.ixi import draw_subjects, simulate_ixi
from SAMI2ILib.data.simulation.sources import find_label_maps
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Volume, axis_codes, read_volume, resample
from Testing.lib.files import names_in

NAME = re.compile(r"IXI\d{3}-(Guys|HH|IOP)-\d{4}-(T1|T2|PD)\.nii\.gz")


@pytest.fixture(scope="module")
def folder(label_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ixi")
    sources = find_label_maps(label_folder)
    assert simulate_ixi(folder, sources=sources, count=3, matrix=64, faults=True, workers=1) == 3
    return folder


def names(folder: Path, contrast: str) -> list[str]:
    return names_in(folder / f"IXI-{contrast}")


def test_files_are_named_as_ixi_names_them(folder):
    assert all(NAME.fullmatch(name) for c in ("T1", "T2", "PD") for name in names(folder, c))
    assert len(names(folder, "T1")) == len(names(folder, "T2")) == 3


def test_t1_is_sagittal_and_t2_and_pd_share_an_axial_grid(folder):
    subject = names(folder, "PD")[0].removesuffix("-PD.nii.gz")
    t1, t2, pd = (
        read_volume(folder / f"IXI-{c}" / f"{subject}-{c}.nii.gz") for c in ("T1", "T2", "PD")
    )
    assert axis_codes(t1.ijk_to_ras) == "PSR"
    assert t1.grid.shape_ijk == (64, 64, 38)  # 256 x 256 x 150 over four, rounded
    np.testing.assert_allclose(t1.spacing_mm, (3.75, 3.75, 4.8), atol=1e-4)
    assert axis_codes(t2.ijk_to_ras) == "LPS"
    assert t2.grid.shape_ijk == (64, 64, 32)
    assert pd.grid.is_same(t2.grid)


def test_one_pd_is_left_out_and_one_t2_is_damaged_when_faults_are_asked_for(folder):
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["subjects"]
    faults = {name: subject["fault"] for name, subject in truth.items()}
    (lacking,) = (name for name, fault in faults.items() if fault == "no PD")
    (damaged,) = (name for name, fault in faults.items() if fault == "corrupt T2")
    assert f"{lacking}-PD.nii.gz" not in names(folder, "PD")
    with pytest.raises(InputError):
        read_volume(folder / "IXI-T2" / f"{damaged}-T2.nii.gz")


def test_true_movement_aligns_the_t2_with_the_t1(
    label_folder, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    moved = replace(
        draw_subjects(1, 0)[0], rotation_degrees=(4.0, -5.0, 6.0), translation_mm=(9.0, -8.0, 7.0)
    )
    draw: Callable[..., list[ixi.IxiSubject]] = lambda *_args, **_options: [moved]  # noqa: E731
    monkeypatch.setattr(ixi, "draw_subjects", draw)
    simulate_ixi(tmp_path, sources=find_label_maps(label_folder), count=1, matrix=64, workers=1)
    t1, t2 = (read_volume(moved.path(tmp_path, c)) for c in ("T1", "T2"))
    aligned = Volume(t2.array_kji, moved.t1_from_t2 @ t2.ijk_to_ras)

    def overlap(volume: Volume) -> float:
        mask = t1.array_kji > 0.15 * t1.array_kji.max()
        onto = resample(volume, t1.grid).array_kji
        other = onto > 0.15 * onto.max()
        seen = resample(Volume(np.ones_like(volume.array_kji), volume.ijk_to_ras), t1.grid)
        inside = seen.array_kji > 0.99
        both, either = (mask & other)[inside].sum(), (mask | other)[inside].sum()
        return float(both / either)

    assert overlap(aligned) > overlap(t2) + 0.05


def test_second_run_keeps_what_is_there(folder, label_folder):
    first = folder / "IXI-T1" / names(folder, "T1")[0]
    before = first.stat().st_mtime_ns
    simulate_ixi(folder, sources=find_label_maps(label_folder), count=3, matrix=64, faults=True)
    assert first.stat().st_mtime_ns == before


def test_subjects_are_unlike_and_the_first_stay_when_there_are_more():
    few, many = draw_subjects(4, 1), draw_subjects(40, 1)
    assert many[:4] == few
    assert len({subject.name for subject in many}) == 40
    assert {subject.name.split("-")[1] for subject in many} == {"Guys", "HH", "IOP"}
    movements = np.array([[*s.rotation_degrees, *s.translation_mm] for s in many])
    assert 0.5 < movements.std() < 1.5
    assert np.abs(movements).max() <= 2.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"count": 2, "faults": True}, "count must be at least 3 with faults, not 2"),
        ({"count": 1, "seed": -1}, "seed must be 0 or more"),
        ({"count": 1, "matrix": 8}, "matrix must lie in 16 to 256"),
        ({"count": 1, "sources": []}, "sources is empty"),
    ],
)
def test_nonsense_is_refused(label_folder, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        simulate_ixi(tmp_path, **({"sources": find_label_maps(label_folder)} | options))
