"""The generator with everything computed that does not depend on the slice.

Norms are folded into the layers behind them, the scale of attention into the queries, the
standardization of the input and the position embedding into one map, and the coarse half of each
fusion is multiplied before it is enlarged. Everything that is added to the tokens has mean 0 over
the channels, which no norm behind can tell; so the norms have no mean to subtract. What is left is
the same function with fewer operations; only the rounding differs.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.models.decoder import Decoder, FusionBlock, MaskUnitLayer
from SAMI2ILib.models.detail_branch import DetailBranch, NormalizedLayer
from SAMI2ILib.models.encoder import Encoder
from SAMI2ILib.models.mask_unit_attention import MaskUnitAttention
from SAMI2ILib.models.sam_i2i import SamI2I

POOL = 2
"""By how much SAM2's trunk halves its maps between stages."""


@dataclass(frozen=True, eq=False)
class Linear:
    """`x @ weight.T + bias`; weight (out, in), bias (out,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution of (B, C, H, W) that repeats the border, or fills it with zeros."""

    weight: Tensor
    bias: Tensor | None
    stride: int = 1
    padding: int = 0
    repeat_border: bool = False


@dataclass(frozen=True, eq=False)
class Refinement:
    """`x + second(gelu(first(x)))`, or `relu(second(relu(first(x))))` where `rectified`."""

    first: Convolution
    second: Convolution
    rectified: bool


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention inside windows of a map; over the whole map where `window` is 0.

    Attributes:
        query: Scaled already.
        key: Without its bias, which no softmax sees; so zeros beside the map stay zeros.
        value: Without its bias, which is part of `output`.
        output: The projection of the joined heads.
        heads: Number of heads.
        window: Side of a window in tokens of the keys' map.
        shift: First window border inside the map.
        pooled: The queries are pooled 2x2 first.
        place_query, place_key, place_value: What the learned position in the window adds,
            (1, heads, window**2, D); None without one.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int
    window: int
    shift: int = 0
    pooled: bool = False
    place_query: Tensor | None = None
    place_key: Tensor | None = None
    place_value: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """A transformer layer; `shortcut` where it changes the channels.

    What it adds to the tokens has mean 0 over the channels; a pooled shortcut has not.
    """

    attention: Attention
    shortcut: Linear | None
    widen: Linear
    narrow: Linear


@dataclass(frozen=True, eq=False)
class Fusion:
    """`enlarge(low(norm(coarse))) + high(norm(fine))`, then layers."""

    low: Linear
    high: Linear
    layers: tuple[Layer, ...]


@dataclass(frozen=True, eq=False)
class Detail:
    """The detail branch, finest level first; the decoder's map joins at one of them."""

    map_level: int
    stem: Convolution
    halve: tuple[Convolution, ...]
    down: tuple[tuple[Refinement, ...], ...]
    join_image: Convolution
    join_map: Linear
    join_kept: tuple[Convolution, ...]
    join_coarse: tuple[Convolution, ...]
    up: tuple[tuple[Refinement, ...], ...]


@dataclass(frozen=True, eq=False)
class Generator:
    """SAM-I2I for slices of one size.

    Attributes:
        slice_shape: (C, H, W) of a slice.
        upscale: How much the slice is enlarged before the patches.
        patches: Convolution of the enlarged slice.
        place: (H', W', C') what position and standardization add to each patch.
        layers: Of the trunk.
        stage_ends: Numbers of the layers whose result is a map of the pyramid.
        fusions: Coarsest first.
        detail: None where the decoder has no detail branch.
        output: The last convolution.
    """

    slice_shape: tuple[int, int, int]
    upscale: int
    patches: Convolution
    place: Tensor
    layers: tuple[Layer, ...]
    stage_ends: tuple[int, ...]
    fusions: tuple[Fusion, ...]
    detail: Detail | None
    output: Convolution

    def map_size(self, level: int) -> tuple[int, int]:
        """Height and width in tokens of a map of the pyramid, 0 the finest."""
        height, width, _ = self.place.shape
        return height // POOL**level, width // POOL**level


def can_be_folded(network: nn.Module) -> bool:
    """Whether a network is SAM-I2I with a trunk of SAM2."""
    return isinstance(network, SamI2I) and network.encoder.projection is None


@torch.inference_mode()
def fold_generator(network: nn.Module, slice_shape: tuple[int, int, int]) -> Generator:
    """Fold a network for slices of one size.

    Args:
        network: In float32 on the CPU; it is not changed, and the result shares what it can.
        slice_shape: (C, H, W) of a slice.

    Returns:
        The same function, for `program.run_coarse` and `run_fine`; SAM-I2I, Fig. 1, up to rounding.

    Raises:
        InputError: The network is not SAM-I2I with a trunk of SAM2, or the slices do not fit it.
    """
    if not isinstance(network, SamI2I) or not can_be_folded(network):
        raise InputError("Only SAM-I2I networks with a Hiera encoder can be folded.")
    channels, height, width = slice_shape
    multiple = network.size_multiple
    if height % multiple or width % multiple or channels not in (1, 3):
        raise InputError(
            f"slices must be 1 or 3 channels of multiples of {multiple} pixels, got {slice_shape}."
        )
    trunk: Any = network.encoder.trunk
    patches, place = _patches(network.encoder, slice_shape)
    detail, output = _detail_and_output(network.decoder)
    return Generator(
        slice_shape=slice_shape,
        upscale=network.encoder.upscale,
        patches=patches,
        place=place,
        layers=tuple(_trunk_layer(block) for block in trunk.blocks),
        stage_ends=tuple(trunk.stage_ends),
        fusions=tuple(_fusion(block) for block in network.decoder.blocks),  # type: ignore[arg-type]
        detail=detail,
        output=output,
    )


def _patches(encoder: Encoder, slice_shape: tuple[int, int, int]) -> tuple[Convolution, Tensor]:
    """Split the patch embedding into a convolution of the slice and what is constant."""
    trunk: Any = encoder.trunk
    embed: nn.Conv2d = trunk.patch_embed.proj
    channels, height, width = slice_shape
    size = (1, 3, height * encoder.upscale, width * encoder.upscale)
    black = (-encoder.mean / encoder.std).expand(size)
    constant = embed(black)[0].permute(1, 2, 0)  # with zeros around the standardized image
    constant = constant + trunk._get_pos_embed(constant.shape[:2])[0]
    weight = embed.weight / encoder.std
    if channels == 1:
        weight = weight.sum(dim=1, keepdim=True)
    step, border = int(embed.stride[0]), int(embed.padding[0])
    centered = constant - constant.mean(dim=-1, keepdim=True)
    return Convolution(weight - weight.mean(dim=0), None, step, border), centered.contiguous()


def _trunk_layer(block: Any) -> Layer:
    """Fold one block of SAM2's trunk."""
    if block.pool is not None and (block.window_size % POOL or tuple(block.q_stride) != (2, 2)):
        raise InputError(f"A pooled window of {block.window_size} tokens cannot be folded.")
    attention = _attention(
        block.norm1, block.attn, block.window_size, pooled=block.pool is not None
    )
    changes = block.dim != block.dim_out
    return Layer(
        attention,
        _behind(block.norm1, block.proj) if changes else None,
        _behind(block.norm2, block.mlp.layers[0]),
        _centered(block.mlp.layers[1].weight, block.mlp.layers[1].bias),
    )


def _decoder_layer(layer: MaskUnitLayer) -> Layer:
    unit: MaskUnitAttention = layer.attention
    attention = _attention(layer.attention_norm, unit, unit.window, unit.shift, unit.position)
    widen, _, narrow = cast(Iterable[nn.Linear], layer.mlp)
    return Layer(
        attention, None, _behind(layer.mlp_norm, widen), _centered(narrow.weight, narrow.bias)
    )


def _attention(
    norm: nn.LayerNorm,
    unit: Any,
    window: int,
    shift: int = 0,
    position: Tensor | None = None,
    pooled: bool = False,
) -> Attention:
    """Fold a norm and the attention behind it."""
    query_weight, key_weight, value_weight = unit.qkv.weight.chunk(3)
    query_bias, _, value_bias = unit.qkv.bias.chunk(3)
    scale = (len(query_weight) // unit.num_heads) ** -0.5
    query_weight, query_bias = query_weight * scale, query_bias * scale
    zeros = torch.zeros_like(query_bias)
    places = [
        None
        if position is None
        else (position[0] @ weight.T)
        .view(1, window**2, unit.num_heads, -1)
        .transpose(1, 2)
        .contiguous()
        for weight in (query_weight, key_weight, value_weight)
    ]
    return Attention(
        _folded(norm, query_weight, query_bias),
        _folded(norm, key_weight, zeros),
        _folded(norm, value_weight, zeros),
        _centered(unit.proj.weight, unit.proj.bias + unit.proj.weight @ value_bias),
        unit.num_heads,
        window,
        shift,
        pooled,
        *places,
    )


def _fusion(block: FusionBlock) -> Fusion:
    """Fold one fusion: enlarging keeps sums of weights, so it may come after the product."""
    low = _behind(block.low_norm, block.low_linear)
    width = block.low_linear.out_features
    join = _centered(block.join.weight, block.join.bias)
    for_low, for_high = join.weight[:, :width], join.weight[:, width:]
    return Fusion(
        Linear(for_low @ low.weight, for_low @ low.bias),
        _folded(block.high_norm, for_high, join.bias),
        tuple(_decoder_layer(layer) for layer in block.layers),  # type: ignore[arg-type]
    )


def _detail_and_output(decoder: Decoder) -> tuple[Detail | None, Convolution]:
    """Fold the last norm into what comes behind it."""
    branch, output = decoder.detail, _convolution(decoder.output)
    if branch is None:
        gain, offset = decoder.norm.weight, decoder.norm.bias
        bias = decoder.output.bias + torch.einsum("oihw,i->o", output.weight, offset)  # type: ignore[operator]
        weight = output.weight * gain.view(1, -1, 1, 1)
        return None, dataclasses.replace(output, weight=weight, bias=bias)
    return _detail(branch, decoder.norm), output


def _detail(branch: DetailBranch, norm: nn.LayerNorm) -> Detail:
    """Cut each joining convolution, 1x1 over two maps, into a part for each map."""
    joins: list[Any] = list(branch.join)
    kept_channels = [join.in_channels // 2 for join in joins]
    image_channels: int = branch.join_map.in_channels - norm.normalized_shape[0]
    matrix = branch.join_map.weight[:, :, 0, 0]
    zeros = torch.zeros(len(matrix))
    return Detail(
        map_level=branch.map_level,
        stem=_convolution(branch.stem),
        halve=tuple(_convolution(layer) for layer in branch.halve),
        down=_levels(branch.down),
        join_image=Convolution(branch.join_map.weight[:, :image_channels], branch.join_map.bias),
        join_map=_folded(norm, matrix[:, image_channels:], zeros),
        join_kept=tuple(
            Convolution(join.weight[:, :count], join.bias)
            for join, count in zip(joins, kept_channels, strict=True)
        ),
        join_coarse=tuple(
            _product(join.weight[:, count:], small)
            for join, count, small in zip(joins, kept_channels, branch.enlarge, strict=True)
        ),
        up=_levels(branch.up),
    )


def _levels(levels: nn.ModuleList) -> tuple[tuple[Refinement, ...], ...]:
    return tuple(tuple(_refinement(layer) for layer in level) for level in levels)  # type: ignore[attr-defined]


def _refinement(layer: Any) -> Refinement:
    first, second = _convolution(layer.first), _convolution(layer.second)
    if isinstance(layer, NormalizedLayer):
        first, second = _scaled(first, layer.first_norm), _scaled(second, layer.second_norm)
    return Refinement(first, second, isinstance(layer, NormalizedLayer))


def _scaled(layer: Convolution, norm: nn.BatchNorm2d) -> Convolution:
    """A convolution with the batch normalization behind it; its own has no bias."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight / torch.sqrt(variance + norm.eps)
    weight = layer.weight * gain.view(-1, 1, 1, 1)
    return dataclasses.replace(layer, weight=weight, bias=norm.bias - gain * mean)


def _convolution(layer: Any) -> Convolution:
    return Convolution(
        layer.weight, layer.bias, layer.stride[0], layer.padding[0], layer.padding_mode != "zeros"
    )


def _product(join: Tensor, small: Any) -> Convolution:
    """Two 1x1 convolutions, the second without a bias of its own, as one."""
    first, second = small.weight[:, :, 0, 0], join[:, :, 0, 0]
    return Convolution((second @ first)[:, :, None, None], second @ small.bias)


def _behind(norm: nn.LayerNorm, layer: nn.Linear) -> Linear:
    return _folded(norm, layer.weight, layer.bias)


def _folded(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> Linear:
    """A linear layer with the gain and offset of the norm in front of it."""
    return Linear(weight * norm.weight, bias + weight @ norm.bias)


def _centered(weight: Tensor, bias: Tensor) -> Linear:
    """A linear layer whose result has mean 0 over its channels."""
    return Linear(weight - weight.mean(dim=0), bias - bias.mean())
