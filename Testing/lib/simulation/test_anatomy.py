"""Anatomy from label maps, and what is varied in it."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.anatomy import (
    Anatomy,
    anatomy_from_labels,
    brain_of,
    crop,
    depth_below_skin,
    vary_cortex,
)
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import Volume, reorient


def volume_ml(anatomy: Anatomy, *tissues: Tissue) -> float:
    return np.count_nonzero(anatomy.is_any(*tissues)) * 0.064  # 4 mm voxels


def tissue_at(anatomy: Anatomy, ras: tuple[float, float, float]) -> int:
    index = np.linalg.inv(anatomy.ijk_to_ras) @ (*ras, 1.0)
    i, j, k = np.rint(index[:3]).astype(int)
    return int(anatomy.tissue_kji[k, j, i])


def test_label_numbers_become_tissues_in_their_place(anatomy):
    assert tissue_at(anatomy, (0, 0, 0)) == Tissue.VENTRICLE
    assert tissue_at(anatomy, (0, 38, 0)) == Tissue.WHITE_MATTER
    assert tissue_at(anatomy, (0, 0, 64)) == Tissue.GRAY_MATTER
    assert tissue_at(anatomy, (0, 0, -70)) == Tissue.CSF
    assert tissue_at(anatomy, (0, 74, 0)) == Tissue.CORTICAL_BONE


def test_soft_tissue_is_split_into_fat_and_muscle_only(anatomy, label_map):
    soft = np.count_nonzero(label_map.array_kji == 507)
    assert np.count_nonzero(anatomy.is_any(Tissue.FAT, Tissue.MUSCLE)) == soft
    assert anatomy.tissue_kji.max() < len(Tissue)


def test_orientation_of_the_label_map_does_not_matter(anatomy, label_map):
    turned = anatomy_from_labels(reorient(label_map, "LIA"), np.random.default_rng(0))
    np.testing.assert_array_equal(turned.tissue_kji, anatomy.tissue_kji)
    np.testing.assert_allclose(turned.ijk_to_ras, anatomy.ijk_to_ras)


def test_specks_outside_the_head_are_dropped(label_map):
    with_speck = label_map.array_kji.copy()
    with_speck[1:4, 1:4, 1:4] = 24
    anatomy = anatomy_from_labels(label_map.with_array(with_speck), np.random.default_rng(0))
    assert tissue_at(anatomy, (0, 0, 0)) == Tissue.VENTRICLE
    assert anatomy.shape_kji < with_speck.shape


def test_sinuses_do_not_count_as_outside_when_depth_is_measured():
    tissue = np.zeros((40, 40, 40), np.uint8)
    tissue[6:34, 6:34, 6:34] = Tissue.MUSCLE
    tissue[18:22, 18:22, 18:22] = Tissue.AIR
    depth = depth_below_skin(tissue)
    assert depth[20, 20, 20] == pytest.approx(14, abs=2)
    assert depth[2, 2, 2] == 0


def test_sulci_widen_and_narrow_when_asked(anatomy):
    csf = [
        volume_ml(vary_cortex(anatomy, np.random.default_rng(0), sulci), Tissue.CSF, Tissue.DURA)
        for sulci in (-0.3, 0.0, 0.3)
    ]
    assert csf[0] < csf[1] < csf[2]


def test_brain_holds_brain_tissue_and_ventricles_but_no_skull(anatomy):
    brain = brain_of(anatomy)
    inner = anatomy.is_any(Tissue.WHITE_MATTER, Tissue.VENTRICLE)
    assert brain[inner].all()
    assert not brain[anatomy.is_any(Tissue.CORTICAL_BONE, Tissue.SKIN, Tissue.AIR)].any()


def test_brain_closes_a_narrow_sulcus_but_not_the_space_around(anatomy):
    tissue = anatomy.tissue_kji.copy()
    middle = anatomy.shape_kji[2] // 2
    cut = tissue[:, :, middle]
    cut[np.isin(cut, (Tissue.GRAY_MATTER, Tissue.WHITE_MATTER))] = Tissue.CSF
    split = Anatomy(tissue, anatomy.ijk_to_ras, "split")
    brain = brain_of(split)
    deep = tissue_at(split, (0, 0, 0)) is not None and brain[tuple(np.array(brain.shape) // 2)]
    assert deep
    assert not brain[:3].any()


def test_brain_is_empty_when_the_anatomy_has_none():
    tissue = np.full((12, 12, 12), Tissue.MUSCLE, np.uint8)
    assert not brain_of(Anatomy(tissue, np.eye(4), "leg")).any()


def test_anatomy_refuses_a_slice():
    with pytest.raises(ShapeError, match="at least 8 voxels a side"):
        Anatomy(np.zeros((1, 20, 20), np.uint8), np.eye(4), "slice")


def test_unknown_labels_are_named(label_map):
    labels = label_map.array_kji.copy()
    labels[25, 25, 25] = 999
    with pytest.raises(InputError, match=r"does not know: \[999\]"):
        anatomy_from_labels(label_map.with_array(labels), np.random.default_rng(0))


def test_negative_labels_are_refused(label_map):
    with pytest.raises(InputError, match=r"does not know: \[-2,"):
        anatomy_from_labels(label_map.with_array(label_map.array_kji - 2), np.random.default_rng(0))


def test_empty_label_map_is_refused():
    empty = Volume(np.zeros((20, 20, 20), np.float32), np.eye(4), "empty.nii")
    with pytest.raises(InputError, match=r"'empty\.nii' is empty"):
        anatomy_from_labels(empty, np.random.default_rng(0))


def test_crop_refuses_air():
    with pytest.raises(InputError, match="anatomy is empty"):
        crop(Anatomy(np.zeros((9, 9, 9), np.uint8), np.eye(4), "air"))
