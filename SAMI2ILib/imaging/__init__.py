"""Volumes in, slices out, and back: files, geometry, working grid, intensities, tiles.

Knows nothing of torch, networks or model files.
"""

from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.geometry import axis_codes, obliquity_degrees, spacing_mm
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, IntensityScale
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.normalized import NormalizedVolume, normalize_volume
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.slices import from_slices, to_slices
from SAMI2ILib.imaging.tiling import TilePlan, plan_tiles
from SAMI2ILib.imaging.volume import Grid, Volume
from SAMI2ILib.imaging.working_grid import WorkingGrid, plan_working_grid

__all__ = [
    "OUTPUT_RANGE",
    "Grid",
    "IntensityScale",
    "NormalizedVolume",
    "Notice",
    "TilePlan",
    "Volume",
    "WorkingGrid",
    "axis_codes",
    "find_foreground",
    "from_slices",
    "normalize_volume",
    "obliquity_degrees",
    "plan_tiles",
    "plan_working_grid",
    "read_volume",
    "reorient",
    "resample",
    "spacing_mm",
    "to_slices",
    "write_volume",
]
