"""Subject folders: one folder a person, one file a contrast.

```
cohort/
  subject-a/T1.nii.gz  T2.nii.gz  PD.nii.gz  [brain.nii.gz]
  subject-b/T1.nii     T2.nii
```
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from SAMI2ILib.errors import InputError

CONTRASTS = ("T1", "T2", "PD")
# How BIDS file names end; any other contrast is its own suffix.
BIDS_SUFFIXES = {"T1": "T1w", "T2": "T2w", "PD": "PDw", "FLAIR": "FLAIR"}
_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Subject:
    """The files of one person.

    Attributes:
        name: The folder's name.
        folder: Where the files lie.
        contrasts: The file of each contrast that is there, by `T1`, `T2`, `PD`.
        brain: Brain mask on the T1's grid, or None where none was saved.
    """

    name: str
    folder: Path
    contrasts: Mapping[str, Path]
    brain: Path | None = None

    def path(self, contrast: str) -> Path:
        """The file of one contrast.

        Raises:
            InputError: The subject does not have it.
        """
        if contrast not in self.contrasts:
            raise InputError(
                f"Subject '{self.name}' has no {contrast}, only {', '.join(self.contrasts)}.",
                f"Add {contrast}.nii.gz to {self.folder} or leave the subject out.",
            )
        return self.contrasts[contrast]


def read_subject(folder: Path) -> Subject:
    """Look up which contrasts a subject's folder holds; no image is opened.

    Raises:
        InputError: No such folder, or it holds none of T1, T2, PD, or one of them twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no subject folder {folder}.", "Check the path.")
    files = {contrast: _one_file(folder, contrast) for contrast in CONTRASTS}
    present = {contrast: path for contrast, path in files.items() if path is not None}
    if not present:
        raise InputError(
            f"{folder} holds none of T1, T2, PD as .nii.gz or .nii.",
            "Name the files of a subject T1.nii.gz, T2.nii.gz, PD.nii.gz.",
        )
    name = folder.resolve().name
    return Subject(name, folder, present, _one_file(folder, "brain"))


def find_subjects(folder: Path) -> list[Subject]:
    """List the subjects of a cohort folder, sorted by name; other folders in it are passed over.

    Raises:
        InputError: No such folder, or no folder in it is a subject's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no cohort folder {folder}.", "Check the path.")
    subjects = [
        read_subject(child)
        for child in sorted(folder.iterdir(), key=lambda child: child.name)
        if child.is_dir() and any(_files(child, contrast) for contrast in CONTRASTS)
    ]
    if not subjects:
        raise InputError(
            f"{folder} holds no subject.",
            "Give each subject a folder in it, with T1.nii.gz, T2.nii.gz, PD.nii.gz.",
        )
    return subjects


def _one_file(folder: Path, stem: str) -> Path | None:
    found = _files(folder, stem)
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {stem} twice: {', '.join(path.name for path in found)}.",
            "Keep one of them.",
        )
    return found[0] if found else None


def _files(folder: Path, stem: str) -> list[Path]:
    return [
        folder / (stem + suffix) for suffix in _SUFFIXES if (folder / (stem + suffix)).is_file()
    ]
