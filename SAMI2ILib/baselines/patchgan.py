"""PatchGAN: judges overlapping patches of 70x70 pixels, each by one logit."""

from torch import Tensor, nn

from SAMI2ILib.baselines.generator import draw_normal_weights, to_signed
from SAMI2ILib.baselines.pix2pix import normalize

_SLOPE = 0.2  # of the leaky rectifiers
_WIDTHS = (1, 2, 4, 8)  # of the four layers, in widths of the first
_STRIDES = (2, 2, 2, 1)


class PatchGan(nn.Module):
    """Tell real slices from translated ones, patch by patch.

    Args:
        channels: Of the images: 1, or more where the source is judged together with its
            translation.
        width: Channels of the first layer.
        affine: Normalize with a learned scale and offset, as Pix2Pix does; CycleGAN does not.
        instance_norm: Normalize each image by itself; false normalizes over the batch.

    Source:
        Pix2Pix, arXiv 1611.07004, Sec. 6.1.2 (70x70 discriminator); CycleGAN, arXiv 1703.10593,
        Sec. 7.2.
    """

    def __init__(
        self, channels: int, width: int = 64, *, affine: bool = True, instance_norm: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        entering = channels
        for number, (factor, stride) in enumerate(zip(_WIDTHS, _STRIDES, strict=True)):
            leaving = factor * width
            # a norm with an offset makes the bias redundant; the first layer has none
            bias = number == 0 or not affine
            layers.append(nn.Conv2d(entering, leaving, 4, stride, 1, bias=bias))
            if number:
                layers.append(
                    normalize(leaving, instance_norm) if affine else nn.InstanceNorm2d(leaving)
                )
            layers.append(nn.LeakyReLU(_SLOPE))
            entering = leaving
        layers.append(nn.Conv2d(entering, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        draw_normal_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Judge images.

        Args:
            images: (B, channels, H, W) float in [0, 1]; H and W of 32 pixels at least.

        Returns:
            (B, 1, H / 8 - 2, W / 8 - 2) float32 logits, positive for "real".
        """
        logits: Tensor = self.layers(to_signed(images))
        return logits.float()
