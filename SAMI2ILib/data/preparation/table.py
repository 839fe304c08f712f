"""Scans named by a table, one row a subject, or by a folder with one folder a subject."""

from collections.abc import Sequence
from pathlib import Path

from SAMI2ILib.data.dataset_writer import check_contrast, check_name
from SAMI2ILib.data.preparation.cases import Case, ScanFile
from SAMI2ILib.data.subjects import CONTRASTS, find_subjects
from SAMI2ILib.errors import InputError
from SAMI2ILib.tables import read_rows

_OTHER_COLUMNS = ("subject", "person", "site", "split", "brain")


def read_table(path: Path) -> tuple[list[Case], list[str]]:
    """Read a CSV: a column `subject`, one for each contrast; person, site, split, brain if wanted.

    Args:
        path: Comma, semicolon or tab separated, UTF-8. Files are named relative to its folder; an
            empty cell is a contrast that the subject lacks.

    Returns:
        The cases and the contrasts, in the order of the columns.

    Raises:
        InputError: It cannot be read, lacks a column, or a row is not right; the message names it.
    """
    rows = read_rows(path, required=("subject",))
    if not rows:
        raise InputError(f"{path.name} names no subject.", "Add a row for each.")
    contrasts = [column for column in rows[0] if column not in _OTHER_COLUMNS]
    if not contrasts:
        raise InputError(
            f"{path.name} has the columns {', '.join(rows[0])}.",
            "It needs 'subject' and one for each contrast, as: subject,T1,T2.",
        )
    for contrast in contrasts:
        check_contrast(contrast)
    return [_case(row, contrasts, path.parent) for row in rows], contrasts


def read_folder(folder: Path) -> tuple[list[Case], list[str]]:
    """Take a folder of subject folders, `anna/T1.nii.gz`, `anna/T2.nii.gz`.

    Returns:
        The cases and the contrasts that any of them has.

    Raises:
        InputError: There is no such folder, or no subject in it.
    """
    subjects = find_subjects(folder)
    cases = [
        Case(
            name=subject.name,
            scans={contrast: ScanFile(path) for contrast, path in subject.contrasts.items()},
            person=subject.name,
            brain=None if subject.brain is None else ScanFile(subject.brain),
        )
        for subject in subjects
    ]
    for case in cases:
        check_name(case.name)
    return cases, [c for c in CONTRASTS if any(c in case.scans for case in cases)]


def _case(row: dict[str, str], contrasts: Sequence[str], folder: Path) -> Case:
    name = row["subject"]
    check_name(name)
    brain = row.get("brain", "")
    return Case(
        name=name,
        scans={c: ScanFile(folder / row[c]) for c in contrasts if row[c]},
        person=row.get("person", "") or name,
        site=row.get("site", ""),
        split=row.get("split", ""),
        brain=ScanFile(folder / brain) if brain else None,
    )
