"""CycleGAN: one generator of residual blocks a direction, trained without pairs."""

from dataclasses import dataclass

from torch import Tensor, nn

from SAMI2ILib.baselines.generator import (
    Generator,
    SliceConfig,
    draw_normal_weights,
    from_signed,
    to_signed,
)
from SAMI2ILib.baselines.residual import (
    MIDDLE,
    SMALLEST_MULTIPLE,
    ResidualBlock,
    decoding_layers,
    encoding_layers,
)
from SAMI2ILib.models.config_json import check_integer


@dataclass(frozen=True)
class CycleGanConfig(SliceConfig):
    """Sizes of one generator.

    Args:
        slice_channels: As in `SliceConfig`, as is `width`.
        width: Channels of the first layer; the residual blocks have four times as many.
        blocks: How many residual blocks: nine for slices of 256x256, by the paper.

    Raises:
        InputError: A value is of the wrong type or out of range.
    """

    blocks: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("blocks", self.blocks, 1)

    @property
    def size_multiple(self) -> int:
        """As in `SliceConfig`."""
        return SMALLEST_MULTIPLE


class CycleGanGenerator(Generator):
    """Translate slices in one direction.

    Args:
        config: Its sizes.

    Source:
        Zhu et al., arXiv 1703.10593, Sec. 7.2. Differs: one channel.
    """

    def __init__(self, config: CycleGanConfig) -> None:
        super().__init__(config)
        width = config.width
        self.encode = encoding_layers(config.slice_channels, width, nn.InstanceNorm2d, bias=True)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(MIDDLE * width, nn.InstanceNorm2d, bias=True)
                for _ in range(config.blocks)
            )
        )
        self.decode = decoding_layers(width, nn.InstanceNorm2d, bias=True)
        draw_normal_weights(self)

    def translate(self, slices: Tensor) -> Tensor:
        """As `Generator.translate`."""
        return from_signed(self.decode(self.blocks(self.encode(to_signed(slices)))))
