"""Where the anatomy of simulated heads comes from: label maps in a folder, or the MNI152 maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from SAMI2ILib.data.simulation.anatomy import Anatomy, anatomy_from_labels
from SAMI2ILib.data.simulation.mni import mni_anatomy
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Volume, read_volume

MNI = "mni152"
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class AnatomySource:
    """One head to start from.

    Args:
        name: "mni152", or the label map's file name.
        path: The label map, or None for the MNI152 maps.
    """

    name: str
    path: Path | None = None

    def load(self, seed: np.random.SeedSequence) -> Anatomy:
        """Read the head; what the source leaves open is drawn from `seed`.

        Raises:
            InputError: The label map cannot be read or is not one of a head.
            MissingError: The MNI152 maps are not installed.
        """
        rng = np.random.default_rng(seed)
        if self.path is None:
            return mni_anatomy(rng)
        return anatomy_from_labels(_read_cached(self.path), rng)


def find_label_maps(folder: Path, heads: Sequence[int] | None = None) -> list[AnatomySource]:
    """List the label maps of a folder by name.

    Args:
        folder: Whole-head label maps (NIfTI, NRRD or MHA).
        heads: Numbers of the maps to take, 1 for the first by name; all where None.

    Raises:
        InputError: No such folder, no label map in it, or a number it does not have.
    """
    if not folder.is_dir():
        raise InputError(f"There is no label folder {folder}.", "Check the path.")
    # Hidden ones are other programs' leftovers, such as macOS's `._head.nii`.
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    paths = [folder / name for name in names if name.endswith(_ENDINGS)]
    if not paths:
        raise InputError(
            f"The label folder {folder} holds no label map.",
            f"Put files ending in {', '.join(_ENDINGS)} there.",
        )
    if heads is not None:
        wrong = [head for head in heads if not 1 <= head <= len(paths)]
        if wrong:
            raise InputError(
                f"heads must lie in 1 to {len(paths)}, the maps in {folder}, not {wrong[0]}."
            )
        paths = [paths[head - 1] for head in heads]
    return [AnatomySource(path.name, path) for path in paths]


def mix_sources(
    labels: Sequence[AnatomySource], mni_share: float, count: int
) -> list[AnatomySource]:
    """Spread heads built from the MNI152 maps evenly among those of label maps.

    Args:
        labels: Label maps, taken in turn; may be empty.
        mni_share: Share of heads that start from the MNI152 maps, 0 to 1; without label maps
            all do.
        count: Number of subjects.

    Returns:
        One source a subject.

    Raises:
        InputError: A share out of range.
    """
    if not 0.0 <= mni_share <= 1.0:
        raise InputError(f"mni_share must lie in 0 to 1, not {mni_share:g}.")
    share = mni_share if labels else 1.0
    sources, taken = [], 0
    for number in range(count):
        if int((number + 1) * share) > int(number * share):
            sources.append(AnatomySource(MNI))
        else:
            sources.append(labels[taken % len(labels)])
            taken += 1
    return sources


@lru_cache(maxsize=2)
def _read_cached(path: Path) -> Volume:
    """Keep the last label maps: a cohort that is made in order reads each only once a worker."""
    return read_volume(path)
