"""The systems that the paper compares SAM-I2I with, written from their own papers.

Each generator maps slices (B, C, H, W) in [0, 1] to (B, 1, H, W) float32 in [0, 1], as SAM-I2I
does, so that data, training, model files and `translate` are the same for all.
"""

from collections.abc import Mapping
from typing import Any, Final

from SAMI2ILib.baselines.cyclegan import CycleGanConfig, CycleGanGenerator
from SAMI2ILib.baselines.generator import Generator
from SAMI2ILib.baselines.patchgan import PatchGan
from SAMI2ILib.baselines.pix2pix import Pix2PixConfig, Pix2PixGenerator
from SAMI2ILib.baselines.resvit import ResVit, ResVitConfig
from SAMI2ILib.baselines.unet import UNet, UNetConfig

GeneratorConfig = UNetConfig | Pix2PixConfig | CycleGanConfig | ResVitConfig

GENERATOR_CONFIGS: Final[dict[str, type[GeneratorConfig]]] = {
    "unet": UNetConfig,
    "pix2pix": Pix2PixConfig,
    "cyclegan": CycleGanConfig,
    "resvit": ResVitConfig,
}
"""By the family of a model file: the sizes of its generator."""


def build_generator(config: GeneratorConfig) -> Generator:
    """Build the generator of a configuration with random weights."""
    match config:
        case UNetConfig():
            return UNet(config)
        case Pix2PixConfig():
            return Pix2PixGenerator(config)
        case CycleGanConfig():
            return CycleGanGenerator(config)
        case ResVitConfig():
            return ResVit(config)


def generator_from_json(family: str, values: Mapping[str, Any]) -> Generator:
    """Build the generator that a model file describes, with random weights.

    Args:
        family: A key of `GENERATOR_CONFIGS`.
        values: What the configuration's `to_json` returned.

    Raises:
        InputError: An entry is unknown, missing or not allowed.
    """
    return build_generator(GENERATOR_CONFIGS[family].from_json(values))


__all__ = [
    "GENERATOR_CONFIGS",
    "CycleGanConfig",
    "CycleGanGenerator",
    "Generator",
    "GeneratorConfig",
    "PatchGan",
    "Pix2PixConfig",
    "Pix2PixGenerator",
    "ResVit",
    "ResVitConfig",
    "UNet",
    "UNetConfig",
    "build_generator",
    "generator_from_json",
]
