"""What the software says of itself: the one place for its version, address and notices."""

from typing import Final

VERSION: Final = "0.1.0"
REPOSITORY_URL: Final = "https://github.com/sami2i/SlicerSAMI2I"
SIDECAR_VERSION: Final = 1
SOFTWARE_NAME: Final = "SAM-I2I for 3D Slicer"
INTENDED_USE: Final = (
    "Research use only. A synthetic image is an estimate and not a measurement: "
    "never use it for diagnosis or treatment."
)
