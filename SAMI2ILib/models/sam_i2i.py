"""SAM-I2I: the generator, which is the encoder, the decoder and nothing else."""

import math

from torch import Tensor, nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.models.decoder import Decoder, DecoderConfig
from SAMI2ILib.models.encoder import Encoder
from SAMI2ILib.models.trunk import build_trunk
from SAMI2ILib.models.variants import HieraConfig


class SamI2I(nn.Module):
    """Translate slices of one contrast into another.

    Args:
        encoder: Its maps feed the decoder; both may be shared with other networks.
        decoder: Built for the encoder's channels.

    Raises:
        InputError: The decoder was built for other channels than the encoder has.

    Source:
        SAM-I2I, Fig. 1 and Sec. 2.2.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        if decoder.config.encoder_channels != encoder.channels:
            raise InputError(
                f"The decoder expects maps of {decoder.config.encoder_channels} channels, the "
                f"encoder gives {encoder.channels}."
            )
        if encoder.upscale != decoder.config.encoder_upscale:
            raise InputError(
                f"The decoder expects slices enlarged by {decoder.config.encoder_upscale}, the "
                f"encoder enlarges them by {encoder.upscale}.",
                "Build the encoder with the decoder's encoder_upscale.",
            )
        self.encoder = encoder
        self.decoder = decoder

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return math.lcm(self.encoder.size_multiple, self.decoder.config.detail_multiple)

    def forward(self, slices: Tensor) -> Tensor:
        """Translate slices.

        Args:
            slices: (B, 1, H, W) gray, or (B, 3, H, W) with the slice and its two neighbors; float
                in [0, 1]. H and W are multiples of `size_multiple`.

        Returns:
            (B, 1, H, W) float32 in [0, 1].

        Raises:
            ShapeError: The slices have another number of channels, or a size that the encoder
                cannot take.
        """
        return self.decoder(self.encoder(slices), slices)  # type: ignore[no-any-return]


def build_sam_i2i(
    encoder: HieraConfig,
    decoder: DecoderConfig,
    *,
    frozen: bool = True,
    mean_intensity: float | None = None,
) -> SamI2I:
    """Build a generator with random weights.

    Args:
        encoder: Size of the trunk.
        decoder: Sizes of the decoder.
        frozen: As in `Encoder`.
        mean_intensity: As in `Decoder`.

    Returns:
        The generator, its encoder enlarging slices as the decoder expects.

    Raises:
        InputError: The two do not fit each other.
        MissingError: The `sam2` package is not installed.
    """
    trunk = Encoder(build_trunk(encoder), frozen, upscale=decoder.encoder_upscale)
    return SamI2I(trunk, Decoder(decoder, mean_intensity))
