"""Mask unit attention (MUA): self-attention inside non-overlapping windows."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.models.attention import attend, merge_heads, split_heads


def to_windows(tokens: Tensor, window: int, shift: int = 0) -> Tensor:
    """Cut maps into windows; the inverse of `from_windows`.

    Where the windows do not fit, the map is filled up with zeros at the bottom and right, as
    SAM2 does; with a shift also at the top and left.

    Args:
        tokens: (B, H, W, C) float.
        window: Side of a window in tokens.
        shift: Row and column of the first window border inside the map; 0 for a border at the edge.

    Returns:
        (B * windows, window * window, C), row by row.
    """
    top, bottom = _padding(tokens.shape[1], window, shift)
    left, right = _padding(tokens.shape[2], window, shift)
    if top or bottom or left or right:
        tokens = F.pad(tokens, (0, 0, left, right, top, bottom))
    batch, height, width, channels = tokens.shape
    rows, columns = height // window, width // window
    # (B, rows * w, columns * w, C) -> (B, rows, columns, w, w, C)
    windows = tokens.reshape(batch, rows, window, columns, window, channels).transpose(2, 3)
    return windows.reshape(batch * rows * columns, window * window, channels)


def from_windows(windows: Tensor, window: int, height: int, width: int, shift: int = 0) -> Tensor:
    """Put windows back into maps; the inverse of `to_windows`.

    Args:
        windows: (B * windows, window * window, C) float, row by row.
        window: Side of a window in tokens.
        height: Height of the map before it was cut.
        width: Width of the map before it was cut.
        shift: As given to `to_windows`.

    Returns:
        (B, height, width, C).
    """
    top, bottom = _padding(height, window, shift)
    left, right = _padding(width, window, shift)
    rows = (top + height + bottom) // window
    columns = (left + width + right) // window
    # (B * rows * columns, w * w, C) -> (B, rows, w, columns, w, C)
    tokens = windows.reshape(-1, rows, columns, window, window, windows.shape[-1]).transpose(2, 3)
    tokens = tokens.reshape(-1, rows * window, columns * window, windows.shape[-1])
    return tokens[:, top : top + height, left : left + width]


def _padding(size: int, window: int, shift: int) -> tuple[int, int]:
    """Return how many tokens to add before and after an axis so that windows fill it."""
    before = -shift % window
    return before, -(before + size) % window


class MaskUnitAttention(nn.Module):
    """Self-attention of each token with the tokens of its own window.

    No mask, no relative position and no pooling of queries: with equal weights this is the
    windowed attention of SAM2's trunk, for maps of every size. Where the window does not divide
    the map, zeros fill the last windows and take part in the attention, as they do there.

    Args:
        channels: Channels in and out.
        num_heads: Divides `channels`.
        window: Side of a window in tokens.
        shifted: Move the window borders by half a window, which removes seams between layers.
        position_embedding: Learn an embedding of the place in the window, added to the input.

    Source:
        SAM-I2I, Sec. 2.2. Differs: `shifted` and `position_embedding`, both off, are ours.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        window: int,
        *,
        shifted: bool = False,
        position_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.position: nn.Parameter | None = None
        if position_embedding:
            self.position = nn.Parameter(torch.zeros(1, window * window, channels))
            nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend inside the windows.

        Args:
            tokens: (B, H, W, C) float, any height and width.

        Returns:
            (B, H, W, C).
        """
        _, height, width, _ = tokens.shape
        windows = to_windows(tokens, self.window, self.shift)
        if self.position is not None:
            windows = windows + self.position
        query, key, value = split_heads(self.qkv(windows), self.num_heads)
        attended = self.proj(merge_heads(attend(query, key, value)))
        return from_windows(attended, self.window, height, width, self.shift)
