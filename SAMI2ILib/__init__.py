"""SAM-I2I: missing-contrast MRI synthesis, slice by slice, from a T1 to a T2 or PD.

Importing the package is cheap: nothing here pulls in torch, NumPy or SimpleITK. Import what is
needed from the subpackages:

- `SAMI2ILib.imaging`: volumes, grids, intensities, slices.
- `SAMI2ILib.models`: the networks of the paper's Figure 1.
- `SAMI2ILib.weights`: model files, the user's model store, downloads.
- `SAMI2ILib.inference`: `translate`, from a volume to a volume.
- `SAMI2ILib.data`: simulated heads, paired scans.
- `SAMI2ILib.training`, `SAMI2ILib.evaluation`: custom weights and their measurement.
"""

from SAMI2ILib.about import VERSION as __version__

__all__ = ["__version__"]
