"""Smooth fields and separable interpolation."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.fields import (
    apply_separable,
    bspline_matrix,
    linear_matrix,
    smooth_noise,
)


def test_bspline_matrix_reproduces_a_straight_line():
    matrix = bspline_matrix(11, spacing=4.0)
    positions = (np.arange(matrix.shape[1]) - 1) * 4.0
    np.testing.assert_allclose(matrix @ (3 + 2 * positions), 3 + 2 * np.arange(11), rtol=1e-5)


def test_linear_matrix_interpolates_between_nodes_and_clamps_outside():
    matrix = linear_matrix(np.array([-1.0, 0.25, 1.5, 9.0]), 3)
    np.testing.assert_allclose(matrix @ [10, 20, 40], [10, 12.5, 30, 40])


def test_apply_separable_equals_einsum():
    rng = np.random.default_rng(0)
    lattice = rng.standard_normal((3, 4, 5)).astype(np.float32)
    k, j, i = (rng.standard_normal((n, m)).astype(np.float32) for n, m in ((6, 3), (7, 4), (8, 5)))
    expected = np.einsum("kji,Kk,Jj,Ii->KJI", lattice, k, j, i)
    np.testing.assert_allclose(apply_separable(lattice, k, j, i), expected, atol=1e-4)


@pytest.mark.parametrize("scale", [2.5, 6.0])
def test_smooth_noise_has_zero_mean_unit_variance_and_its_scale(scale):
    noise = smooth_noise((90, 90, 90), scale, np.random.default_rng(1))
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(1.0, abs=0.06)
    near = np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]
    far_step = int(5 * scale)
    far = np.corrcoef(noise[:, :, :-far_step].ravel(), noise[:, :, far_step:].ravel())[0, 1]
    assert near > 0.8
    assert abs(far) < 0.1
