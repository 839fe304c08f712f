"""One shared encoder with a decoder a target: what is trained together."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.models import (
    HIERA_VARIANTS,
    Decoder,
    DecoderConfig,
    Encoder,
    HieraConfig,
    SamI2I,
    build_trunk,
    load_trunk,
    load_trunk_tensors,
)
from SAMI2ILib.models.clip import load_clip
from SAMI2ILib.models.clip_encoder import ClipEncoderConfig, build_clip_encoder
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.starting_weights import CLIP_VARIANT, StartingWeights, clip_of
from SAMI2ILib.weights import read_tensors

TRUNK = "encoder.trunk."
"""What the names of the trunk's weights begin with."""


class JointTranslator(nn.Module):
    """Translates one source into several targets; the encoder runs once for all of them.

    Args:
        encoder: Shared.
        decoders: One for each target, by its name.
    """

    def __init__(self, encoder: Encoder, decoders: Mapping[str, Decoder]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleDict(decoders)

    def forward(self, source: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            source: (B, C, H, W) float32 in [0, 1], C 1 or 3.
            wanted: (B, T) bool, which target is needed of which source; the others are not
                computed and stay 0. None needs all.

        Returns:
            (B, T, H, W) float32 in [0, 1], the targets in the order of the decoders.
        """
        features = self.encoder(source)
        outputs = []
        for n, decoder in enumerate(self.decoders.values()):
            if wanted is None or bool(wanted[:, n].all()):
                outputs.append(decoder(features, source))
                continue
            rows = wanted[:, n].nonzero()[:, 0]
            output = torch.zeros_like(source[:, :1], dtype=torch.float32)
            if len(rows):
                part = decoder([feature[rows] for feature in features], source[rows])
                output = output.index_copy(0, rows, part)
            outputs.append(output)
        return torch.cat(outputs, dim=1)

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return self.encoder.size_multiple

    @property
    def frozen_prefix(self) -> str:
        """What the names of the weights that never change begin with; empty where all do."""
        return TRUNK if self.encoder.frozen else ""

    def begin_at(self, means: Mapping[str, float]) -> None:
        """Let the decoders begin at the mean intensities of their targets."""
        for target, mean in means.items():
            self.translator(target).decoder.set_mean_intensity(mean)

    def of_target(self, target: str) -> Iterator[nn.Parameter]:
        """What is trained for one target alone."""
        return self.decoders[target].parameters()

    def enter(self, spent: float) -> None:
        """Nothing: it is trained in one stage."""

    def translator(self, target: str) -> SamI2I:
        """The generator for one target, sharing its weights with this network."""
        decoder = self.decoders[target]
        if not isinstance(decoder, Decoder):
            raise TypeError(f"The decoder of {target} is a {type(decoder).__name__}.")
        return SamI2I(self.encoder, decoder)


def build_network(config: TrainingConfig, weights: StartingWeights) -> JointTranslator:
    """Build the network of a configuration with its first weights, drawn from `config.seed`.

    Args:
        config: Its encoder, decoder and targets.
        weights: The files that it starts from.

    Raises:
        InputError: The encoder's variant is unknown.
        ModelError: The encoder's file holds another network.
    """
    torch.manual_seed(config.seed)
    mirrored = hiera_of(config)
    options = DecoderConfig.for_encoder(
        mirrored, **asdict(config.decoder), slice_channels=config.context_slices
    )
    encoder = _build_encoder(config, weights, mirrored)
    return JointTranslator(encoder, {target: Decoder(options) for target in config.targets})


def clip_encoder_of(config: TrainingConfig) -> ClipEncoderConfig | None:
    """The CLIP that a configuration takes for its encoder; None where it takes a Hiera trunk."""
    variant = config.encoder.variant
    if not variant.startswith(CLIP_VARIANT):
        return None
    clip = clip_of(variant.removeprefix(CLIP_VARIANT))
    return ClipEncoderConfig(clip.model, clip.pretrained, hiera_of(config).channels)


def hiera_of(config: TrainingConfig) -> HieraConfig:
    """The trunk whose widths the decoder mirrors; behind CLIP by default SAM2's `base_plus`.

    Raises:
        InputError: The encoder's variant is unknown.
    """
    options = config.encoder
    if options.hiera is not None:
        return options.hiera
    if options.variant.startswith(CLIP_VARIANT):
        return HIERA_VARIANTS["base_plus"]
    if options.variant not in HIERA_VARIANTS:
        raise InputError(
            f"'encoder.variant' is '{options.variant}', which is no trunk.",
            f"Choose one of {', '.join(HIERA_VARIANTS)}, custom, or clip:MODEL/PRETRAINED.",
        )
    return HIERA_VARIANTS[options.variant]


def _build_encoder(config: TrainingConfig, weights: StartingWeights, hiera: HieraConfig) -> Encoder:
    upscale = config.decoder.encoder_upscale
    clip = clip_encoder_of(config)
    if clip is not None:
        if weights.encoder is None:
            raise TypeError("find_weights gives the file of a CLIP encoder, or says that it lacks.")
        return build_clip_encoder(load_clip(weights.encoder, clip.clip), clip, upscale=upscale)
    if weights.encoder is None:
        trunk = build_trunk(hiera)
        _spread_patch_embedding(trunk)
    elif weights.is_own_encoder:
        own = {name: torch.from_numpy(w) for name, w in read_tensors(weights.encoder).items()}
        trunk = load_trunk_tensors(own, hiera)
    else:
        trunk = load_trunk(weights.encoder, hiera)
    return Encoder(trunk, config.encoder.frozen, upscale=upscale)


def _spread_patch_embedding(trunk: nn.Module) -> None:
    """Give each channel of a new trunk its own offset.

    Every layer normalizes a token over its channels. Without offsets the token of a flat patch is a
    multiple of one vector, and after the normalization only the sign of its intensity is left.
    """
    bias = trunk.get_parameter("patch_embed.proj.bias")
    nn.init.normal_(bias, std=1.0)
