"""The head built around the MNI152 brain, and the sample that is shipped."""

import importlib.machinery
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.data.simulation import mni
from SAMI2ILib.data.simulation.anatomy import Anatomy, brain_of
from SAMI2ILib.data.simulation.sample import simulate_sample
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import MissingError

needs_nilearn = pytest.mark.skipif(
    importlib.util.find_spec("nilearn") is None, reason="nilearn, which carries the maps, is absent"
)


@pytest.fixture(scope="module")
def head() -> Anatomy:
    return mni.mni_anatomy(np.random.default_rng(0))


def milliliters(anatomy: Anatomy, *tissues: Tissue) -> float:
    return np.count_nonzero(anatomy.is_any(*tissues)) / 1000


@needs_nilearn
def test_mni_head_has_the_volumes_of_an_adult(head):
    assert 350 < milliliters(head, Tissue.WHITE_MATTER) < 750
    assert 500 < milliliters(head, Tissue.GRAY_MATTER) < 1000
    assert 5 < milliliters(head, Tissue.VENTRICLE) < 45
    assert 80 < milliliters(head, Tissue.CSF) < 400
    assert 8 < milliliters(head, Tissue.EYE) < 20
    assert 2500 < np.count_nonzero(head.tissue_kji) / 1000 < 6000


@needs_nilearn
def test_mni_head_lies_in_mni_space(head):
    def at(x, y, z):
        i, j, k = np.rint(np.linalg.inv(head.ijk_to_ras) @ [x, y, z, 1])[:3].astype(int)
        return Tissue(head.tissue_kji[k, j, i])

    assert at(25, 20, 22) == at(-25, 20, 22) == Tissue.WHITE_MATTER
    assert at(11, -18, 7) == Tissue.DEEP_GRAY
    assert at(0, -27, -35) == Tissue.BRAIN_STEM
    assert at(7, 5, 18) == Tissue.VENTRICLE


@needs_nilearn
def test_brain_of_the_mni_head_is_wrapped_in_skull_and_skin(head):
    brain = brain_of(head)
    assert 1200 < np.count_nonzero(brain) / 1000 < 2200
    rows = np.nonzero(brain.any(axis=(0, 1)))[0]
    middle_k, middle_j = (size // 2 for size in head.shape_kji[:2])
    line = head.tissue_kji[middle_k + 30, middle_j, : rows[0]]
    order = [Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.CORTICAL_BONE]
    assert [int(np.argmax(line == tissue)) for tissue in order] == sorted(
        int(np.argmax(line == tissue)) for tissue in order
    )
    assert set(order) <= set(line.tolist())


@needs_nilearn
def test_shipped_sample_is_what_the_command_makes(sample):
    for name, made in simulate_sample().volumes().items():
        if name == "tissue":
            continue
        shipped = sample(name)
        np.testing.assert_allclose(shipped.ijk_to_ras, made.ijk_to_ras, atol=1e-4)
        # Another version of a numerical library may round a voxel the other way.
        assert np.abs(shipped.array_kji - made.array_kji).mean() < 0.02


def test_shipped_sample_stays_below_2_megabytes_with_its_notice():
    files = list(asset_path("sample").iterdir())
    assert sum(file.stat().st_size for file in files) <= 2_000_000
    notice = asset_path("sample", "LICENSE-MNI152.txt").read_text(encoding="utf-8")
    assert "Louis Collins, McConnell Brain Imaging Centre" in notice


@pytest.fixture
def no_cache():
    mni._load_template.cache_clear()
    yield
    mni._load_template.cache_clear()


def test_missing_nilearn_is_said_with_the_way_to_get_it(monkeypatch, no_cache):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingError, match="nilearn package is not installed"):
        mni.mni_anatomy(np.random.default_rng(0))


def test_nilearn_without_the_maps_is_said(monkeypatch, no_cache, tmp_path: Path):
    spec = importlib.machinery.ModuleSpec("nilearn", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    with pytest.raises(MissingError, match="does not carry mni_icbm152_t1"):
        mni.mni_anatomy(np.random.default_rng(0))
