"""Slices with neighbors and overlapped tiles, and their exact inverses."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import from_slices, plan_tiles, to_slices

STACK = np.arange(4, dtype=np.float32).reshape(4, 1, 1)


def test_slices_carry_their_neighbors_and_repeat_the_outermost():
    channels = to_slices(STACK, context=3)[:, :, 0, 0]
    assert channels.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    wide = to_slices(STACK, context=5)[:, :, 0, 0]
    assert wide[0].tolist() == [0, 0, 0, 1, 2]


def test_only_the_asked_slices_are_cut_in_the_asked_order():
    assert to_slices(STACK, 3, [3, 0])[:, :, 0, 0].tolist() == [[2, 3, 3], [0, 0, 1]]
    assert to_slices(STACK, 1, [2])[:, :, 0, 0].tolist() == [[2]]
    assert to_slices(STACK, 3, []).shape == (0, 3, 1, 1)


@pytest.mark.parametrize("context", [1, 3, 5, 7])
@pytest.mark.parametrize("shape_ijk", [(5, 4, 6), (5, 4, 1), (1, 1, 1)])
def test_from_slices_undoes_to_slices_bit_for_bit(context, shape_ijk, noise):
    array = noise(shape_ijk).array_kji
    assert np.array_equal(from_slices(to_slices(array, context)), array)


@pytest.mark.parametrize("context", [0, -1, 2])
def test_an_even_context_is_refused(context):
    with pytest.raises(InputError, match="odd and positive"):
        to_slices(STACK, context)


def test_wrong_shapes_and_indices_are_refused():
    with pytest.raises(ShapeError, match=r"must be \(K, J, I\)"):
        to_slices(STACK[0])
    with pytest.raises(InputError, match="must lie in 0 to 3"):
        to_slices(STACK, 1, [4])
    with pytest.raises(ShapeError, match="odd C"):
        from_slices(np.zeros((4, 2, 3, 3)))
    with pytest.raises(ShapeError, match="odd C"):
        from_slices(STACK)


def test_a_smaller_slice_lies_in_the_middle_of_zeros():
    plan = plan_tiles(2, 3, 4, 0)
    tiles = plan.cut(np.ones((1, 1, 2, 3)))
    assert tiles[0, 0].tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_tiles_are_few_and_evenly_placed():
    plan = plan_tiles(256, 300, 256, 32)
    assert plan.rows == (0,)
    assert plan.columns == (0, 44)
    assert plan_tiles(700, 10, 256, 32).rows == (0, 222, 444)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    size=st.integers(1, 40),
    overlap=st.integers(0, 39),
)
def test_an_identity_network_returns_slices_of_any_size(height, width, size, overlap):
    overlap = min(overlap, size - 1)
    plan = plan_tiles(height, width, size, overlap)
    slices = np.random.default_rng(0).random((2, 1, height, width), dtype=np.float32)
    merged = plan.merge(plan.cut(slices))
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged, slices, atol=1e-6)
    if plan.tile_count == 1:
        assert np.array_equal(merged, slices)
    for starts in (plan.rows, plan.columns):
        assert all(b - a <= size - overlap for a, b in itertools.pairwise(starts))


def test_one_tile_is_merged_bit_for_bit_when_it_covers_the_slice(noise):
    slices = to_slices(noise((31, 29, 3)).array_kji)
    plan = plan_tiles(29, 31, 32, 8)
    assert np.array_equal(plan.merge(plan.cut(slices)), slices)


def test_merging_blends_without_a_step():
    plan = plan_tiles(8, 80, 48, 16)
    tiles = np.zeros((2, 1, 48, 48), dtype=np.float32)
    tiles[1] = 1.0
    row = plan.merge(tiles)[0, 0, 4]
    assert row[0] == 0.0
    assert row[-1] == 1.0
    assert np.all(np.diff(row) >= 0)
    assert np.diff(row).max() < 0.15


def test_merge_keeps_the_order_of_slices_and_channels():
    plan = plan_tiles(10, 20, 12, 4)
    slices = np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1) * np.ones((10, 20), "f4")
    merged = plan.merge(plan.cut(slices))
    np.testing.assert_allclose(merged, slices, atol=1e-6)


def test_wrong_tile_shapes_are_refused():
    plan = plan_tiles(10, 20, 12, 4)
    with pytest.raises(ShapeError, match=r"slices must be \(B, C, 10, 20\)"):
        plan.cut(np.zeros((1, 1, 20, 10)))
    with pytest.raises(ShapeError, match=r"tiles must be \(B \* 2, C, 12, 12\)"):
        plan.merge(np.zeros((3, 1, 12, 12)))


def test_impossible_plans_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        plan_tiles(0, 5, 4, 0)
    with pytest.raises(InputError, match="overlap must be 0 to 3"):
        plan_tiles(5, 5, 4, 4)
