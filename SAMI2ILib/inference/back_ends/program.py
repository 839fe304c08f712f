"""SAM-I2I as a sequence of tensor operations, written once for every back end."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from SAMI2ILib.inference.back_ends.folded import (
    Attention,
    Convolution,
    Detail,
    Fusion,
    Generator,
    Layer,
    Linear,
    Refinement,
)
from SAMI2ILib.models.decoder import FUSIONS

T = TypeVar("T")
Size = tuple[int, int]


class Operations(Protocol[T]):
    """What a back end can do with its tensors.

    Images are (B, C, H, W), maps (B, H, W, C), tokens (B * H * W, C): in matrices, a back end
    has no layout of channels to choose.
    """

    def shape(self, x: T) -> tuple[int, ...]:
        """Sizes; the first counts for nothing."""

    def constant(self, value: Tensor) -> T:
        """Bring a constant into the back end."""

    def linear(self, x: T, layer: Linear) -> T:
        """Multiply the last axis."""

    def convolve(self, image: T, layer: Convolution) -> T:
        """Convolve (B, C, H, W)."""

    def center(self, x: T) -> T:
        """Subtract the mean over the last axis."""

    def normalize(self, x: T) -> T:
        """Bring the last axis, of mean 0, to variance 1 (plus 1e-6)."""

    def add(self, x: T, y: T) -> T:
        """Add, with broadcasting."""

    def gelu(self, x: T) -> T:
        """Exact GELU."""

    def relu(self, x: T) -> T:
        """Zero where negative."""

    def sigmoid(self, x: T) -> T:
        """Logistic function."""

    def reshape(self, x: T, shape: Sequence[int]) -> T:
        """Another shape; one size may be -1."""

    def permute(self, x: T, axes: Sequence[int]) -> T:
        """Another order of axes."""

    def pad(self, tokens: T, top: int, bottom: int, left: int, right: int) -> T:
        """Zeros around (B, H, W, C)."""

    def crop(self, tokens: T, top: int, left: int, height: int, width: int) -> T:
        """A part of (B, H, W, C)."""

    def pool(self, tokens: T) -> T:
        """Greatest of each 2x2 tokens."""

    def enlarge(self, image: T, factor: int) -> T:
        """Bilinear, (B, C, H, W), pixel edges aligned."""

    def enlarge_tokens(self, tokens: T) -> T:
        """`enlarge` by 2 of (B, H, W, C)."""

    def attend(self, query: T, key: T, value: T) -> T:
        """`softmax(query @ key.T) @ value`, each (N, heads, tokens, D)."""


def run_coarse(ops: Operations[T], generator: Generator, slices: T) -> tuple[T, T]:
    """Run the encoder and the fusions up to the finest.

    Returns:
        Tokens of the second finest map, and of the finest map of the encoder: (B * H * W, C).
    """
    maps = _encode(ops, generator, slices)
    tokens = maps.pop()
    for level, fusion in enumerate(generator.fusions[:-1]):
        tokens = _fuse(ops, fusion, tokens, maps.pop(), generator.map_size(FUSIONS - 1 - level))
    return tokens, maps.pop()


def run_fine(ops: Operations[T], generator: Generator, slices: T, coarse: T, fine: T) -> T:
    """Run the finest fusion and what follows: what decides the gray levels, so in float32.

    Eight bits of mantissa are too few for the gray levels of an image.
    """
    size = generator.map_size(0)
    tokens = ops.normalize(_fuse(ops, generator.fusions[-1], coarse, fine, size))
    if generator.detail is None:
        image = _to_image(ops, tokens, size)
    else:
        image = _add_detail(ops, generator.detail, slices, tokens, size)
    return ops.sigmoid(ops.convolve(image, generator.output))


def _encode(ops: Operations[T], generator: Generator, slices: T) -> list[T]:
    """Make the feature pyramid, finest first, as tokens (B * H * W, C)."""
    enlarged = ops.enlarge(slices, generator.upscale) if generator.upscale > 1 else slices
    patches = ops.permute(ops.convolve(enlarged, generator.patches), (0, 2, 3, 1))
    height, width = generator.map_size(0)
    channels = generator.place.shape[-1]
    place = ops.reshape(ops.constant(generator.place), (1, height * width, channels))
    tokens = ops.add(ops.reshape(patches, (-1, height * width, channels)), place)
    tokens = ops.reshape(tokens, (-1, channels))
    maps = []
    level = 0
    for number, layer in enumerate(generator.layers):
        tokens = _transform(ops, layer, tokens, generator.map_size(level))
        level += layer.attention.pooled
        if number in generator.stage_ends:
            maps.append(tokens)
    return maps


def _fuse(ops: Operations[T], fusion: Fusion, coarse: T, fine: T, size: Size) -> T:
    low = ops.linear(ops.normalize(coarse), fusion.low)
    low = ops.enlarge_tokens(_to_map(ops, low, (size[0] // 2, size[1] // 2)))
    high = ops.linear(ops.normalize(fine), fusion.high)
    tokens = ops.add(high, _to_tokens(ops, low))
    for layer in fusion.layers:
        tokens = _transform(ops, layer, tokens, size)
    return tokens


def _transform(ops: Operations[T], layer: Layer, tokens: T, size: Size) -> T:
    normed = ops.normalize(tokens)
    if layer.shortcut is not None:
        tokens = ops.linear(normed, layer.shortcut)
    if layer.attention.pooled:
        tokens = ops.center(_to_tokens(ops, ops.pool(_to_map(ops, tokens, size))))
    tokens = ops.add(tokens, _attend(ops, layer.attention, normed, size))
    hidden = ops.gelu(ops.linear(ops.normalize(tokens), layer.widen))
    return ops.add(tokens, ops.linear(hidden, layer.narrow))


def _attend(ops: Operations[T], attention: Attention, normed: T, size: Size) -> T:
    key, value = (ops.linear(normed, layer) for layer in (attention.key, attention.value))
    query = ops.linear(normed, attention.query)
    query_size, query_windows = size, Windows(attention.window, attention.shift)
    if attention.pooled:
        query = _to_tokens(ops, ops.pool(_to_map(ops, query, size)))
        query_size = size[0] // 2, size[1] // 2
        query_windows = Windows(attention.window // 2, attention.shift // 2)
    windows, heads = Windows(attention.window, attention.shift), attention.heads
    attended = ops.attend(
        _to_windows(ops, query, query_size, query_windows, heads, attention.place_query),
        _to_windows(ops, key, size, windows, heads, attention.place_key),
        _to_windows(ops, value, size, windows, heads, attention.place_value),
    )
    tokens = _from_windows(ops, attended, query_size, query_windows, heads)
    return ops.linear(tokens, attention.output)


class Windows(NamedTuple):
    """Windows of `side` tokens, the first border at `shift`; side 0 is one window for all."""

    side: int
    shift: int

    def padding(self, size: Size) -> tuple[tuple[int, int], tuple[int, int]]:
        """Tokens to add above and below, left and right, so that windows fill a map."""
        before = -self.shift % self.side
        rows, columns = (-(before + length) % self.side for length in size)
        return (before, rows), (before, columns)


def _to_windows(
    ops: Operations[T], tokens: T, size: Size, windows: Windows, heads: int, place: Tensor | None
) -> T:
    """Cut (B * H * W, C) into windows and heads: (B * windows, heads, tokens, D)."""
    side, depth = windows.side, ops.shape(tokens)[-1] // heads
    if not side:
        tokens = ops.reshape(tokens, (-1, size[0] * size[1], heads, depth))
        return ops.permute(tokens, (0, 2, 1, 3))
    rows, columns = windows.padding(size)
    if any(rows) or any(columns):
        tokens = ops.pad(_to_map(ops, tokens, size), *rows, *columns)
    across = (size[1] + sum(columns)) // side
    # (B * down, w, across, w, heads, D) -> (B * down, across, heads, w, w, D)
    tokens = ops.reshape(tokens, (-1, side, across, side, heads, depth))
    tokens = ops.permute(tokens, (0, 2, 4, 1, 3, 5))
    tokens = ops.reshape(tokens, (-1, heads, side * side, depth))
    return tokens if place is None else ops.add(tokens, ops.constant(place))


def _from_windows(ops: Operations[T], attended: T, size: Size, windows: Windows, heads: int) -> T:
    """Put windows and heads back into (B * H * W, C); the inverse of `_to_windows`."""
    side, depth = windows.side, ops.shape(attended)[-1]
    if not side:
        return ops.reshape(ops.permute(attended, (0, 2, 1, 3)), (-1, heads * depth))
    rows, columns = windows.padding(size)
    padded = size[0] + sum(rows), size[1] + sum(columns)
    tokens = ops.reshape(attended, (-1, padded[1] // side, heads, side, side, depth))
    tokens = ops.permute(tokens, (0, 3, 1, 4, 2, 5))
    if any(rows) or any(columns):
        tokens = ops.reshape(tokens, (-1, *padded, heads * depth))
        tokens = ops.crop(tokens, rows[0], columns[0], *size)
    return ops.reshape(tokens, (-1, heads * depth))


def _add_detail(ops: Operations[T], detail: Detail, slices: T, tokens: T, size: Size) -> T:
    image = ops.convolve(slices, detail.stem)
    kept = []
    for level, layers in enumerate(detail.down):
        if level:
            kept.append(image)
            image = ops.convolve(image, detail.halve[level - 1])
        image = _refine(ops, layers, image)
        if level == detail.map_level:
            decoded = _to_image(ops, ops.linear(tokens, detail.join_map), size)
            image = ops.add(ops.convolve(image, detail.join_image), decoded)
    image = _refine(ops, detail.up[-1], image)
    for level in range(len(kept) - 1, -1, -1):
        coarse = ops.enlarge(ops.convolve(image, detail.join_coarse[level]), 2)
        image = ops.add(ops.convolve(kept[level], detail.join_kept[level]), coarse)
        image = _refine(ops, detail.up[level], image)
    return image


def _refine(ops: Operations[T], layers: Sequence[Refinement], image: T) -> T:
    for layer in layers:
        hidden = ops.convolve(image, layer.first)
        if layer.rectified:
            image = ops.relu(ops.convolve(ops.relu(hidden), layer.second))
        else:
            image = ops.add(image, ops.convolve(ops.gelu(hidden), layer.second))
    return image


def _to_map(ops: Operations[T], tokens: T, size: Size) -> T:
    """(B * H * W, C) -> (B, H, W, C)."""
    return ops.reshape(tokens, (-1, *size, ops.shape(tokens)[-1]))


def _to_tokens(ops: Operations[T], tokens: T) -> T:
    """(B, H, W, C) -> (B * H * W, C)."""
    return ops.reshape(tokens, (-1, ops.shape(tokens)[-1]))


def _to_image(ops: Operations[T], tokens: T, size: Size) -> T:
    """(B * H * W, C) -> (B, C, H, W)."""
    return ops.permute(_to_map(ops, tokens, size), (0, 3, 1, 2))
