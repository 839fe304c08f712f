"""ResViT: residual convolutions with one vision transformer, shared by two of the blocks."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.baselines.generator import (
    Generator,
    SliceConfig,
    draw_normal_weights,
    from_signed,
    to_signed,
)
from SAMI2ILib.baselines.pix2pix import check_dropout
from SAMI2ILib.baselines.residual import (
    MIDDLE,
    SMALLEST_MULTIPLE,
    STRIDE,
    ResidualBlock,
    decoding_layers,
    encoding_layers,
    rising_layers,
)
from SAMI2ILib.errors import InputError
from SAMI2ILib.models.attention import attend, merge_heads, split_heads
from SAMI2ILib.models.config_json import check_integer, check_integers

TOKEN_STRIDE = 4
"""Pixels of the middle along one token."""

_TOKEN_WIDTH = 16  # channels that become a token, in widths of the first layer
_NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class ResVitConfig(SliceConfig):
    """Sizes of the generator.

    Args:
        slice_channels: As in `SliceConfig`, as is `width`.
        width: Channels of the first layer; the blocks have four times as many.
        blocks: How many aggregated residual transformer (ART) blocks.
        transformer_blocks: Numbers of the blocks that carry the transformer, counted from 1; empty
            is the network of the first stage of training.
        hidden: Channels of a token.
        layers: Layers of the transformer.
        heads: Attention heads; they divide `hidden`.
        mlp: Channels inside the transformer's perceptrons.
        grid: Tokens along each side that the position embedding is learned for.
        dropout: Part of the values that is dropped in the transformer's perceptrons in training.

    Raises:
        InputError: A value is of the wrong type or cannot work with the others.
    """

    blocks: int = 9
    transformer_blocks: tuple[int, ...] = (1, 6)
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    mlp: int = 3072
    grid: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "hidden", "layers", "heads", "mlp", "grid"):
            check_integer(name, getattr(self, name), 1)
        check_integers("transformer_blocks", self.transformer_blocks, 1)
        check_dropout(self.dropout)
        if self.hidden % self.heads:
            raise InputError(f"heads must divide hidden, got {self.heads} for {self.hidden}.")
        if any(number > self.blocks for number in self.transformer_blocks):
            raise InputError(
                f"transformer_blocks must be numbers from 1 to {self.blocks}, got "
                f"{self.transformer_blocks}."
            )

    @property
    def size_multiple(self) -> int:
        """As in `SliceConfig`."""
        return STRIDE * TOKEN_STRIDE if self.transformer_blocks else SMALLEST_MULTIPLE


class ResVit(Generator):
    """Translate slices by ResViT.

    Args:
        config: Its sizes.

    Attributes:
        uses_transformer: Whether the blocks that carry the transformer ask it; false computes what
            the first stage of training does.

    Source:
        Dalmaz et al., arXiv 2106.16031, Sec. II and III. Differs: one source contrast and one
        target; the position embedding is interpolated to slices of other sizes than the grid's.
    """

    def __init__(self, config: ResVitConfig) -> None:
        super().__init__(config)
        has_transformer = bool(config.transformer_blocks)
        width, middle = config.width, MIDDLE * config.width
        self.encode = encoding_layers(config.slice_channels, width, nn.BatchNorm2d, bias=False)
        self.blocks = nn.ModuleList(
            ResidualBlock(middle, nn.BatchNorm2d, bias=False) for _ in range(config.blocks)
        )
        self.decode = decoding_layers(width, nn.BatchNorm2d, bias=False)
        self.branches = nn.ModuleDict(
            {str(number): _Branch(config) for number in sorted(set(config.transformer_blocks))}
        )
        draw_normal_weights(self)
        self.transformer = Transformer(config) if has_transformer else None
        self.uses_transformer = has_transformer

    def translate(self, slices: Tensor) -> Tensor:
        """As `Generator.translate`."""
        features = self.encode(to_signed(slices))
        for number, block in enumerate(self.blocks, start=1):
            if self.uses_transformer and str(number) in self.branches:
                features = self.branches[str(number)](features, self.transformer)
            features = block(features)
        return from_signed(self.decode(features))

    def learn_transformer(self, learn: bool) -> None:
        """Enter the second stage of training, or the first, in which the transformer rests."""
        self.uses_transformer = learn
        for part in (self.branches, self.transformer):
            if part is not None:
                part.requires_grad_(learn)

    def without_transformer(self) -> "ResVit":
        """Give the network of the first stage: what this one computes while it rests."""
        config = self.config
        if not isinstance(config, ResVitConfig):
            raise TypeError(f"The configuration of a ResViT is a {type(config).__name__}.")
        small = ResVit(replace(config, transformer_blocks=()))
        state = self.state_dict()
        small.load_state_dict({name: state[name] for name in small.state_dict()})
        return small


class _Branch(nn.Module):
    """The part of an ART block that is its own: to tokens, back, and the channel compression.

    Source:
        ResViT, Sec. II-B (Fig. 2), Eq. 2 to 6.
    """

    def __init__(self, config: ResVitConfig) -> None:
        super().__init__()
        middle, token = MIDDLE * config.width, _TOKEN_WIDTH * config.width
        half = token // 2
        self.down = nn.Sequential(
            nn.Conv2d(middle, half, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, token, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(token),
            nn.ReLU(),
        )
        self.embed = nn.Conv2d(token, config.hidden, 1)
        self.position = nn.Parameter(torch.zeros(1, config.hidden, config.grid, config.grid))
        self.dropout = nn.Dropout(config.dropout)
        self.up = nn.Sequential(
            *rising_layers(config.hidden, half, nn.BatchNorm2d, bias=False),
            *rising_layers(half, middle, nn.BatchNorm2d, bias=False),
        )
        self.compress = nn.Sequential(
            nn.Conv2d(2 * middle, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(2 * middle, middle, 1, bias=False), nn.BatchNorm2d(middle)
        )

    def forward(self, features: Tensor, transformer: nn.Module) -> Tensor:
        """Map (B, C, h, w) to the same size, with what the transformer sees in it."""
        embedded = self.embed(self.down(features))  # (B, D, h / 4, w / 4)
        height, width = embedded.shape[-2:]
        # (B, D, h / 4, w / 4) -> (B, T, D)
        tokens = (embedded + self._positions(height, width)).flatten(2).transpose(1, 2)
        tokens = transformer(self.dropout(tokens))
        # (B, T, D) -> (B, D, h / 4, w / 4)
        seen = self.up(tokens.transpose(1, 2).unflatten(2, (height, width)))
        both = torch.cat([seen, features], dim=1)
        return F.relu(self.compress(both) + self.shortcut(both))

    def _positions(self, height: int, width: int) -> Tensor:
        if self.position.shape[-2:] == (height, width):
            return self.position
        return F.interpolate(
            self.position, size=(height, width), mode="bilinear", align_corners=False
        )


class Transformer(nn.Module):
    """The encoder of a vision transformer, under the names that `timm` gives its layers.

    Args:
        config: Its sizes.

    Source:
        Dosovitskiy et al., arXiv 2010.11929, Eq. 2 to 4. Differs: no class token.
    """

    def __init__(self, config: ResVitConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_TransformerLayer(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.hidden, eps=_NORM_EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, D) to the same size."""
        return self.norm(self.blocks(tokens))  # type: ignore[no-any-return]


class _TransformerLayer(nn.Module):
    def __init__(self, config: ResVitConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden, eps=_NORM_EPSILON)
        self.attn = _Attention(config.hidden, config.heads)
        self.norm2 = nn.LayerNorm(config.hidden, eps=_NORM_EPSILON)
        self.mlp = _Perceptron(config)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))  # type: ignore[no-any-return]


class _Attention(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.proj = nn.Linear(hidden, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        attended = attend(*split_heads(self.qkv(tokens), self.heads))
        return self.proj(merge_heads(attended))  # type: ignore[no-any-return]


class _Perceptron(nn.Module):
    def __init__(self, config: ResVitConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden, config.mlp)
        self.fc2 = nn.Linear(config.mlp, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        inside = self.dropout(F.gelu(self.fc1(tokens)))
        return self.dropout(self.fc2(inside))  # type: ignore[no-any-return]
