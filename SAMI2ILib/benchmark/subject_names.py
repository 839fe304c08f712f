"""Names of what can be measured; known without loading torch."""

from typing import Final

BUNDLED: Final = "bundled"
"""Stands for the bundled T1 to T2 model, beside ids and files of models."""

TRUNKS: Final = ("tiny", "small", "base_plus", "large")
"""SAM-I2I with one of SAM2's trunks and random weights."""

HEADLESS: Final = ("unet", "resvit")
"""Compared systems with random weights: measured by the slice, for scale."""

RANDOM_SUBJECTS: Final = (*TRUNKS, *HEADLESS)
