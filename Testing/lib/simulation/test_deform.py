"""Deformations: invertible, centered, and widening what they should."""

from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.data.simulation.deform import (
    brain_shift_for_csf,
    random_deformation,
    rotation_matrix,
)
from SAMI2ILib.data.simulation.tissues import Tissue

AXIS = np.arange(-80.0, 81.0, 4.0)
POINTS = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), axis=-1)


def determinants(deformation) -> np.ndarray:
    moved = deformation.pull(POINTS)
    steps = [np.gradient(moved, 4.0, axis=axis) for axis in range(3)]
    return np.linalg.det(np.stack(steps, axis=-1))


def draw(anatomy, seed=0, **options):
    defaults = {"amount": 1.0, "mirror": False, "ventricles_mm": 0.0, "brain_mm": 0.0}
    return random_deformation(anatomy, np.random.default_rng(seed), **(defaults | options))


def test_no_deformation_only_centers_the_brain(anatomy):
    pulled = draw(anatomy, amount=0.0).pull(np.zeros(3))
    np.testing.assert_allclose(pulled, 0.0, atol=4.0)  # the ball's center, to a voxel
    shifted = replace(anatomy, ijk_to_ras=anatomy.ijk_to_ras + 10 * np.eye(4, k=3))
    moved = draw(shifted, amount=0.0).pull(np.zeros(3))
    np.testing.assert_allclose(moved - pulled, [10, 0, 0], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_deformation_never_folds_even_when_strong(anatomy, seed):
    strong = draw(anatomy, seed, amount=2.5, ventricles_mm=6.0, brain_mm=5.0)
    assert determinants(strong).min() > 0


def test_mirror_turns_every_point_inside_out(anatomy):
    assert determinants(draw(anatomy, mirror=True)).max() < 0


def test_widened_ventricle_reaches_further_out(anatomy):
    wall = np.array([[0.0, 0.0, 17.0]])  # 3 mm outside of the ball of 14 mm
    widened = draw(anatomy, amount=0.0, ventricles_mm=4.0).pull(wall)
    same = draw(anatomy, amount=0.0).pull(wall)
    assert np.linalg.norm(same) - np.linalg.norm(widened) > 1.5


def test_brain_moves_towards_the_skull_when_there_is_more_csf_than_wanted(anatomy):
    assert brain_shift_for_csf(anatomy, 0.05) > 0 > brain_shift_for_csf(anatomy, 0.5)


def test_brain_does_not_move_when_there_is_none(anatomy):
    tissue = np.full_like(anatomy.tissue_kji, Tissue.FAT)
    assert brain_shift_for_csf(replace(anatomy, tissue_kji=tissue), 0.1) == 0.0


def test_rotation_about_superior_takes_right_to_anterior():
    np.testing.assert_allclose(
        rotation_matrix(np.array([0, 0, 90.0])) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )


def test_ventricles_are_left_alone_when_there_are_none(anatomy):
    tissue = np.where(anatomy.is_any(Tissue.VENTRICLE), Tissue.WHITE_MATTER, anatomy.tissue_kji)
    plain = replace(anatomy, tissue_kji=tissue.astype(np.uint8))
    assert draw(plain, ventricles_mm=3.0).local == ()
