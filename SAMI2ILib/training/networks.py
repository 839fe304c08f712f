"""One shared encoder with a decoder a target: what is trained together."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.models import (
    HIERA_VARIANTS,
    Decoder,
    DecoderConfig,
    Encoder,
    SamI2I,
    build_trunk,
    load_trunk,
)
from SAMI2ILib.training.config import TrainingConfig


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

    def translator(self, target: str) -> SamI2I:
        """The generator for one target, sharing its weights with this network."""
        decoder = self.decoders[target]
        if not isinstance(decoder, Decoder):
            raise TypeError(f"The decoder of {target} is a {type(decoder).__name__}.")
        return SamI2I(self.encoder, decoder)


def build_network(config: TrainingConfig) -> JointTranslator:
    """Build the network of a configuration with its first weights, drawn from `config.seed`.

    Raises:
        InputError: The encoder's variant is unknown, or one of random values is to be frozen.
    """
    options = config.encoder
    if options.variant not in HIERA_VARIANTS:
        raise InputError(
            f"'encoder.variant' is '{options.variant}', which is no trunk.",
            f"Choose one of {', '.join(HIERA_VARIANTS)}.",
        )
    if options.frozen and not options.checkpoint:
        raise InputError(
            "'encoder.frozen' is true, but there is no 'encoder.checkpoint' to start from.",
            "Name a SAM2 checkpoint, or set frozen = false to train the encoder too.",
        )
    torch.manual_seed(config.seed)
    hiera = HIERA_VARIANTS[options.variant]
    trunk = (
        load_trunk(Path(options.checkpoint), hiera) if options.checkpoint else build_trunk(hiera)
    )
    if not options.checkpoint:
        _spread_patch_embedding(trunk)
    encoder = Encoder(trunk, options.frozen, upscale=config.decoder.encoder_upscale)
    decoder = DecoderConfig.for_encoder(
        hiera, **asdict(config.decoder), slice_channels=config.context_slices
    )
    return JointTranslator(encoder, {target: Decoder(decoder) for target in config.targets})


def _spread_patch_embedding(trunk: nn.Module) -> None:
    """Give each channel of a new trunk its own offset.

    Every layer normalizes a token over its channels. Without offsets the token of a flat patch is a
    multiple of one vector, and after the normalization only the sign of its intensity is left.
    """
    bias = trunk.get_parameter("patch_embed.proj.bias")
    nn.init.normal_(bias, std=1.0)
