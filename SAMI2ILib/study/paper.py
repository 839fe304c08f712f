"""What the paper compared and what it found: systems, directions, and the figures of its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from SAMI2ILib.errors import InputError
from SAMI2ILib.weights.spec import Family

SOURCE: Final = 'Huo, Ourselin, Sparks, "SAM-I2I", arXiv 2411.12755'


class Direction(NamedTuple):
    """From which contrast to which."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.source} → {self.target}"


class Figures(NamedTuple):
    """One cell of the paper's tables."""

    psnr: float
    ssim: float
    nrmse: float


@dataclass(frozen=True)
class ComparedSystem:
    """One row of the paper's tables.

    Attributes:
        name: In options, ids and files.
        title: In tables.
        family: Of its training.
        encoder: As `encoder.variant` of the training configuration has it; empty leaves it to the
            recipe.
        encoder_title: In Table 2; empty for a system that is not in it.
    """

    name: str
    title: str
    family: Family = "sam-i2i"
    encoder: str = ""
    encoder_title: str = ""


SYSTEMS: Final[dict[str, ComparedSystem]] = {
    system.name: system
    for system in (
        ComparedSystem("unet", "UNet", "unet"),
        ComparedSystem("pix2pix", "Pix2Pix", "pix2pix"),
        ComparedSystem("cyclegan", "CycleGAN", "cyclegan"),
        ComparedSystem("resvit", "ResViT", "resvit"),
        ComparedSystem("sam-i2i", "SAM-I2I", encoder_title="SAM2 Hiera"),
        ComparedSystem(
            "rn101", "SAM-I2I, RN101", encoder="clip:RN101/openai", encoder_title="CLIP RN101"
        ),
        ComparedSystem(
            "vit-b-16",
            "SAM-I2I, ViT-B-16",
            encoder="clip:ViT-B-16/laion2b_s34b_b88k",
            encoder_title="CLIP ViT-B-16",
        ),
    )
}
"""By name. No RN101 trained on LAION-2B exists: OpenAI's stands for it."""

TABLE_1: Final = ("unet", "pix2pix", "cyclegan", "resvit", "sam-i2i")
"""The systems of the paper's Table 1, in its order."""
TABLE_2: Final = ("rn101", "vit-b-16", "sam-i2i")
"""The encoders of the paper's Table 2."""
DIRECTIONS: Final = (
    Direction("T1", "T2"),
    Direction("T2", "T1"),
    Direction("T1", "PD"),
    Direction("PD", "T1"),
)

_ROWS: Final[Mapping[str, tuple[Figures, ...]]] = {
    "unet": (
        Figures(27.00, 0.914, 0.2132),
        Figures(29.09, 0.946, 0.0901),
        Figures(27.06, 0.895, 0.1205),
        Figures(29.03, 0.943, 0.0901),
    ),
    "pix2pix": (
        Figures(27.15, 0.920, 0.2100),
        Figures(29.62, 0.946, 0.0841),
        Figures(27.77, 0.914, 0.1110),
        Figures(29.33, 0.945, 0.0870),
    ),
    "cyclegan": (
        Figures(27.60, 0.928, 0.1997),
        Figures(29.77, 0.950, 0.0829),
        Figures(27.97, 0.919, 0.1082),
        Figures(29.80, 0.949, 0.0822),
    ),
    "resvit": (
        Figures(27.89, 0.928, 0.1925),
        Figures(30.19, 0.951, 0.0786),
        Figures(28.20, 0.915, 0.1055),
        Figures(30.20, 0.951, 0.0786),
    ),
    "sam-i2i": (
        Figures(28.01, 0.931, 0.1904),
        Figures(30.53, 0.955, 0.0757),
        Figures(28.58, 0.926, 0.1013),
        Figures(30.42, 0.953, 0.0767),
    ),
    "rn101": (
        Figures(27.68, 0.928, 0.1974),
        Figures(30.21, 0.953, 0.0781),
        Figures(28.24, 0.923, 0.1052),
        Figures(30.11, 0.952, 0.0795),
    ),
    "vit-b-16": (
        Figures(27.31, 0.924, 0.2059),
        Figures(30.09, 0.951, 0.0793),
        Figures(28.09, 0.920, 0.1069),
        Figures(30.02, 0.951, 0.0803),
    ),
}


def published(system: str, direction: Direction) -> Figures | None:
    """The paper's figures; None for a direction that it did not measure."""
    row = dict(zip(DIRECTIONS, _ROWS[system], strict=True))
    return row.get(direction)


def parse_directions(text: str) -> tuple[Direction, ...]:
    """Read "T1-T2,T2-T1".

    Raises:
        InputError: A part is no direction, or comes twice.
    """
    found: list[Direction] = []
    for part in text.split(","):
        source, _, target = part.strip().partition("-")
        direction = Direction(source, target)
        if not (source.isalnum() and target.isalnum()) or source == target or direction in found:
            raise InputError(
                f"--tasks {text}: '{part.strip()}' is no direction, or comes twice.",
                f"Write them as {','.join(map(str, DIRECTIONS))}.",
            )
        found.append(direction)
    return tuple(found)


def parse_systems(text: str) -> tuple[str, ...]:
    """Read "unet,sam-i2i"; the order is that of the paper.

    Raises:
        InputError: A name is none of `SYSTEMS`.
    """
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in SYSTEMS:
            raise InputError(
                f"--systems {text}: there is no system '{name}'.",
                f"Choose from {','.join(SYSTEMS)}.",
            )
    return tuple(name for name in SYSTEMS if name in names)
