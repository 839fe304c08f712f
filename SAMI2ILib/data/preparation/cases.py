"""What there is to prepare: the scans of each subject, as files or inside a tar archive."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from SAMI2ILib.errors import InputError


@dataclass(frozen=True)
class ScanFile:
    """One scan on disk.

    Attributes:
        path: The image, a DICOM folder, or the tar archive that holds it.
        member: The image's name inside the archive; empty for a file of its own.
        offset: Where its bytes begin in the archive.
        size: How many they are.
    """

    path: Path
    member: str = ""
    offset: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """The image's name without its folder."""
        return Path(self.member).name if self.member else self.path.name

    def state(self) -> list[str | int]:
        """What changes when somebody changes the file; not where it lies.

        Raises:
            InputError: The file is missing.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise InputError(f"{self.path} does not exist.", "Check the path.") from error
        size = self.size if self.member else status.st_size
        return [self.name, size, status.st_mtime_ns]

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Give a path to read the image from: its own, or that of a temporary copy.

        Raises:
            InputError: The archive is shorter than its table of contents says.
        """
        if not self.member:
            yield self.path
            return
        # On Windows a virus scanner may still hold the copy at the end, which is no failure.
        with tempfile.TemporaryDirectory(prefix="sami2i-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / self.name
            with self.path.open("rb") as archive:
                archive.seek(self.offset)
                content = archive.read(self.size)
            if len(content) != self.size:
                raise InputError(
                    f"{self.path.name} ends within {self.name}.", "Copy or download it again."
                )
            copy.write_bytes(content)
            yield copy


@dataclass(frozen=True)
class Case:
    """The scans of one subject in one session.

    Attributes:
        name: Unique; becomes the subject's folder.
        scans: The file of each contrast.
        person: Whose scans they are: sessions of one person stay in one part of the split.
        site: Where they were scanned; empty where unknown.
        split: The part that the user chose, or empty.
        brain: A brain mask on the T1's grid, or None.
    """

    name: str
    scans: Mapping[str, ScanFile]
    person: str
    site: str = ""
    split: str = ""
    brain: ScanFile | None = None


@dataclass(frozen=True)
class Remark:
    """Why a subject is left out, or what is odd about it.

    Attributes:
        name: The subject.
        reason: One sentence.
        failed: True where it was tried and could not be prepared.
    """

    name: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Found:
    """What a search for scans ends with.

    Attributes:
        cases: To prepare, sorted by name.
        skipped: Subjects that lack something, sorted by name.
        remarks: Oddities about those to prepare.
        counts: How many scans of each contrast there are.
    """

    cases: Sequence[Case]
    skipped: Sequence[Remark]
    remarks: Sequence[Remark] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def choose(
    cases: Sequence[Case],
    contrasts: Sequence[str],
    grid: str,
    *,
    keep_incomplete: bool = False,
    exclude: Sequence[str] = (),
) -> Found:
    """Keep the cases that have what is asked for, and say who is left out and why.

    Args:
        cases: Everybody.
        contrasts: What is asked for.
        grid: The contrast on whose grid the slices lie: nobody can do without it.
        keep_incomplete: Also take those who have `grid` and at least one other.
        exclude: Names of subjects or persons to leave out.

    Raises:
        InputError: A name occurs twice, `exclude` names nobody, or nobody is left.
    """
    _check_names(cases, exclude)
    kept: list[Case] = []
    skipped: list[Remark] = []
    for case in sorted(cases, key=lambda case: case.name):
        scans = {contrast: case.scans[contrast] for contrast in contrasts if contrast in case.scans}
        lacking = [contrast for contrast in contrasts if contrast not in scans]
        enough = keep_incomplete and grid in scans and len(scans) >= min(2, len(contrasts))
        if case.name in exclude or case.person in exclude:
            skipped.append(Remark(case.name, "excluded"))
        elif lacking and not enough:
            skipped.append(Remark(case.name, f"lacks {' and '.join(lacking)}"))
        else:
            kept.append(Case(case.name, scans, case.person, case.site, case.split, case.brain))
    if not kept:
        reasons = sorted({remark.reason for remark in skipped})
        raise InputError(
            f"Nobody of {len(skipped)} subjects is left to prepare: {'; '.join(reasons)[:200]}.",
            "Ask for other contrasts with --contrasts, or add --keep-incomplete.",
        )
    counts = {c: sum(c in case.scans for case in cases) for c in contrasts}
    return Found(kept, skipped, counts=counts)


def _check_names(cases: Sequence[Case], exclude: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for case in cases:
        key = case.name.lower()  # Windows and macOS would put `Anna` and `anna` into one folder
        if key in seen:
            raise InputError(
                f"Two subjects are called {case.name!r} and {seen[key]!r}.", "Rename one of them."
            )
        seen[key] = case.name
    known = {name for case in cases for name in (case.name, case.person)}
    unknown = [name for name in exclude if name not in known]
    if unknown:
        raise InputError(
            f"--exclude names {', '.join(unknown)}, which is not among the subjects.",
            "Check the spelling.",
        )
