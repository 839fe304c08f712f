"""One simulated head: contrast, reproducibility, geometry, lesions."""

from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.data.simulation.head import SimulatedHead, simulate_head
from SAMI2ILib.data.simulation.lesions import random_tumor, random_white_matter_lesions
from SAMI2ILib.data.simulation.options import (
    HeadOptions,
    ScanOptions,
    ixi_options,
    random_options,
)
from SAMI2ILib.data.simulation.signal import ENHANCED_T1, FLAIR, IXI_T2
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import resample

COARSE = HeadOptions(
    spacing_mm=4.0,
    slice_spacing_mm=4.0,
    slice_thickness_mm=4.0,
    height_mm=400.0,
    blur_mm=1.0,
    deformation=0.3,
)
CLEAN = replace(COARSE, noise=(0.0, 0.0, 0.0), bias=0.0, texture=0.0, tissue_jitter=0.0)


@pytest.fixture(scope="module")
def clean(anatomy) -> SimulatedHead:
    return simulate_head(anatomy, 1, CLEAN)


def mean_of(head: SimulatedHead, contrast: str, tissue: Tissue) -> float:
    inside = head.tissue.array_kji == tissue
    return float(head.volumes()[contrast].array_kji[inside].mean())


def test_contrasts_look_like_t1_t2_and_pd(clean):
    white, gray, csf = Tissue.WHITE_MATTER, Tissue.GRAY_MATTER, Tissue.VENTRICLE
    assert mean_of(clean, "T1", white) > mean_of(clean, "T1", gray) > mean_of(clean, "T1", csf)
    assert mean_of(clean, "T2", csf) > mean_of(clean, "T2", gray) > mean_of(clean, "T2", white)
    assert mean_of(clean, "PD", gray) > mean_of(clean, "PD", white)


def test_further_contrasts_lie_beside_the_three_and_change_none_of_them(anatomy, clean):
    scans = {"FLAIR": ScanOptions(FLAIR, 0.0, 300.0), "T1CE": ScanOptions(ENHANCED_T1, 0.0)}
    head = simulate_head(anatomy, 1, replace(CLEAN, further=scans))
    for contrast in ("T1", "T2", "PD"):
        plain = clean.volumes()[contrast].array_kji
        np.testing.assert_array_equal(head.volumes()[contrast].array_kji, plain)
    assert list(head.further) == ["FLAIR", "T1CE"]
    white, fluid = Tissue.WHITE_MATTER, Tissue.VENTRICLE
    assert mean_of(head, "FLAIR", white) == pytest.approx(300, rel=0.05)
    assert mean_of(head, "FLAIR", fluid) < 0.3 * mean_of(head, "FLAIR", white)
    assert mean_of(head, "T1CE", fluid) < 0.5 * mean_of(head, "T1CE", white)


def test_a_further_contrast_cannot_take_the_name_of_one_of_the_three():
    with pytest.raises(InputError, match="further must not name 'PD'"):
        HeadOptions(further={"PD": ScanOptions(FLAIR)})


def test_white_matter_has_the_intensity_that_was_asked_for(clean):
    assert mean_of(clean, "T1", Tissue.WHITE_MATTER) == pytest.approx(400, rel=0.05)
    assert mean_of(clean, "PD", Tissue.WHITE_MATTER) == pytest.approx(600, rel=0.05)


def test_volumes_are_whole_numbers_on_one_grid(clean):
    for volume in clean.volumes().values():
        assert volume.grid.is_same(clean.t1.grid)
        np.testing.assert_array_equal(volume.array_kji, np.rint(volume.array_kji))
        assert volume.array_kji.min() >= 0


def test_same_seed_gives_the_same_voxels_and_another_seed_others(anatomy):
    first, second, other = (simulate_head(anatomy, seed, COARSE) for seed in (5, 5, 6))
    for name, volume in first.volumes().items():
        np.testing.assert_array_equal(volume.array_kji, second.volumes()[name].array_kji)
    assert first.t1.array_kji.shape != other.t1.array_kji.shape or not np.array_equal(
        first.t1.array_kji, other.t1.array_kji
    )


@pytest.mark.parametrize(
    "change",
    [{"orientation": "sagittal"}, {"orientation": "coronal"}, {"tilt_degrees": (9.0, -6.0, 4.0)}],
)
def test_one_head_is_the_same_in_every_orientation(anatomy, clean, change):
    turned = simulate_head(anatomy, 1, replace(CLEAN, **change))
    back = resample(turned.t1, clean.t1.grid)
    inside = clean.brain.array_kji > 0
    same = np.corrcoef(back.array_kji[inside], clean.t1.array_kji[inside])[0, 1]
    assert same > 0.97  # two linear interpolations at 4 mm


def test_skull_is_zero_when_stripped(anatomy):
    head = simulate_head(anatomy, 1, replace(COARSE, skull_stripped=True))
    assert (head.t1.array_kji[head.brain.array_kji == 0] == 0).all()
    assert (head.t2.array_kji[head.brain.array_kji == 1] > 0).mean() > 0.99


def test_coil_brightens_the_skin_of_its_contrast_alone(anatomy):
    plain, shaded = (simulate_head(anatomy, 1, replace(CLEAN, coil=(0, 0, c))) for c in (0.0, 0.8))
    np.testing.assert_array_equal(shaded.t1.array_kji, plain.t1.array_kji)
    fat = plain.tissue.array_kji == Tissue.FAT
    deep = plain.tissue.array_kji == Tissue.WHITE_MATTER
    gain = [shaded.pd.array_kji[r].mean() / plain.pd.array_kji[r].mean() for r in (fat, deep)]
    assert gain[0] > 1.4
    assert gain[1] < 1.2


def test_mirrored_head_is_the_mirror_image(anatomy):
    flat = replace(CLEAN, deformation=0.0, sulci=0.0)
    plain, mirrored = (simulate_head(anatomy, 1, replace(flat, mirror=m)) for m in (False, True))
    assert plain.t1.array_kji.shape == mirrored.t1.array_kji.shape
    flipped = resample(mirrored.t1, plain.t1.grid).array_kji[:, :, ::-1]
    inside = plain.brain.array_kji > 0
    assert np.corrcoef(flipped[inside], plain.t1.array_kji[inside])[0, 1] > 0.97


def test_wider_ventricles_hold_more_csf(anatomy):
    counts = [
        np.count_nonzero(
            simulate_head(anatomy, 1, replace(CLEAN, ventricles_mm=mm)).tissue.array_kji
            == Tissue.VENTRICLE
        )
        for mm in (-2.0, 0.0, 5.0)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_lesions_lie_in_white_matter_and_mostly_near_the_ventricle(anatomy):
    blobs = random_white_matter_lesions(anatomy, np.random.default_rng(0), 40)
    assert len(blobs) == 40
    white = anatomy.is_any(Tissue.WHITE_MATTER)
    for blob in blobs:
        assert (blob.fraction[~white[blob.box]] == 0).all()
        assert blob.fraction.min() >= 0
        assert blob.fraction.max() <= 1


def test_tumor_is_bright_in_t2_and_dark_in_t1(anatomy, clean):
    sick = simulate_head(anatomy, 1, replace(CLEAN, tumor=True))
    mass = np.isin(sick.tissue.array_kji, (Tissue.OEDEMA, Tissue.TUMOR))
    mass &= clean.tissue.array_kji == Tissue.WHITE_MATTER
    assert mass.sum() > 50
    assert sick.t2.array_kji[mass].mean() > 1.3 * clean.t2.array_kji[mass].mean()
    assert sick.t1.array_kji[mass].mean() < 0.9 * clean.t1.array_kji[mass].mean()


def test_no_lesion_and_no_tumor_when_there_is_no_white_matter(anatomy):
    tissue = np.full_like(anatomy.tissue_kji, Tissue.FAT)
    rng = np.random.default_rng(0)
    assert random_white_matter_lesions(replace(anatomy, tissue_kji=tissue), rng, 3) == []
    assert random_tumor(replace(anatomy, tissue_kji=tissue), rng) == []


def test_random_options_are_wide_and_reproducible():
    drawn = [random_options(np.random.default_rng(seed)) for seed in range(60)]
    assert drawn[3] == random_options(np.random.default_rng(3))
    assert {options.orientation for options in drawn} == {"axial", "sagittal", "coronal"}
    assert {options.t1.kind for options in drawn} >= {"spin-echo", "inversion-prepared"}
    assert 0.1 < np.mean([options.skull_stripped for options in drawn]) < 0.5
    assert max(options.slice_spacing_mm for options in drawn) > 4
    assert all(80 <= options.t2.parameters["te_ms"] <= 120 for options in drawn)


def test_ixi_options_have_one_protocol():
    drawn = [ixi_options(np.random.default_rng(seed)) for seed in range(5)]
    assert len({options.t1.parameters["ti_ms"] for options in drawn}) == 1
    assert len({options.csf_share for options in drawn}) == 5


@pytest.mark.parametrize("field", ["lesions", "deformation", "bias", "texture", "csf_share"])
def test_negative_amounts_are_refused(field):
    with pytest.raises(InputError, match=f"{field} must be 0 to 1000"):
        HeadOptions(**{field: -1})


def test_further_contrasts_are_checked_too():
    with pytest.raises(InputError, match="coil must be 0 to 1000"):
        HeadOptions(further={"FLAIR": ScanOptions(IXI_T2, coil=-1.0)})


def test_zero_thickness_is_refused():
    with pytest.raises(InputError, match=r"must be 0\.2 to 400 mm"):
        HeadOptions(slice_thickness_mm=0.0)
