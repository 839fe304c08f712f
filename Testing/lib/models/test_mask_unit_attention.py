"""Mask unit attention: against the windowed attention of `sam2`, and its two switches."""

import pytest
import torch

from SAMI2ILib.models.mask_unit_attention import MaskUnitAttention, from_windows, to_windows


def test_windows_hold_neighboring_tokens_row_by_row() -> None:
    tokens = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert to_windows(tokens, 2)[..., 0].tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]


def test_windows_begin_inside_the_map_when_shifted() -> None:
    tokens = torch.arange(1.0, 17.0).reshape(1, 4, 4, 1)
    windows = to_windows(tokens, 2, shift=1)[..., 0].tolist()
    assert len(windows) == 9
    assert windows[0] == [0, 0, 0, 1]
    assert windows[4] == [6, 7, 10, 11]
    assert windows[8] == [16, 0, 0, 0]


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12), (7, 10), (3, 2), (1, 1)])
def test_windows_are_put_back_where_they_were_cut(height: int, width: int, shift: int) -> None:
    tokens = torch.randn(2, height, width, 3)
    windows = to_windows(tokens, 4, shift)
    assert windows.shape[1:] == (16, 3)
    assert torch.equal(from_windows(windows, 4, height, width, shift), tokens)


@pytest.mark.parametrize("window", [4, 8, 16])
@pytest.mark.parametrize(("height", "width"), [(16, 32), (24, 20), (6, 10)])
def test_attention_equals_the_windowed_attention_of_sam2(
    height: int, width: int, window: int
) -> None:
    from sam2.modeling.backbones.hieradet import MultiScaleAttention
    from sam2.modeling.backbones.utils import window_partition, window_unpartition

    torch.manual_seed(0)
    theirs = MultiScaleAttention(16, 16, num_heads=2)
    ours = MaskUnitAttention(16, 2, window)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    tokens = torch.randn(2, height, width, 16)
    windows, padded = window_partition(tokens, window)
    expected = window_unpartition(theirs(windows), window, padded, (height, width))
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=3e-6)  # float32 rounding


def test_tokens_see_nothing_outside_their_window() -> None:
    torch.manual_seed(0)
    attention = MaskUnitAttention(8, 2, 4)
    tokens = torch.randn(1, 8, 8, 8)
    changed = tokens.clone()
    changed[:, :4, :4] += 1
    difference = (attention(tokens) - attention(changed)).abs().amax(-1)[0]
    assert difference[:4, :4].min() > 0
    assert difference[4:].max() == 0
    assert difference[:, 4:].max() == 0


def test_shifted_windows_cross_the_borders_of_the_others() -> None:
    torch.manual_seed(0)
    attention = MaskUnitAttention(8, 2, 4, shifted=True)
    tokens = torch.randn(1, 8, 8, 8)
    changed = tokens.clone()
    changed[:, 3, 3] += 1
    difference = (attention(tokens) - attention(changed)).abs().amax(-1)[0]
    assert difference[2:6, 2:6].min() > 0
    difference[2:6, 2:6] = 0
    assert difference.max() == 0


def test_position_embedding_tells_tokens_of_one_window_apart() -> None:
    torch.manual_seed(0)
    tokens = torch.ones(1, 8, 8, 8)
    with torch.no_grad():
        flat = MaskUnitAttention(8, 2, 4)(tokens)[0]
        attention = MaskUnitAttention(8, 2, 4, position_embedding=True)
        attention.position.normal_()  # type: ignore[union-attr]
        embedded = attention(tokens)[0]
    assert torch.allclose(flat, flat[0, 0], atol=1e-6)
    assert not torch.allclose(embedded[0, 0], embedded[0, 1], atol=1e-3)
    torch.testing.assert_close(embedded[:4, :4], embedded[4:, 4:])
