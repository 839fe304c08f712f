"""Scans of a BIDS folder: `sub-01/[ses-1/]anat/sub-01[_ses-1]_T1w.nii.gz`."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from SAMI2ILib.data.preparation.cases import Case, Remark, ScanFile
from SAMI2ILib.data.subjects import BIDS_SUFFIXES
from SAMI2ILib.errors import InputError
from SAMI2ILib.tables import read_rows

_FILE_NAME = re.compile(r"((?:[A-Za-z0-9]+-[A-Za-z0-9]+_)+)([A-Za-z0-9]+)\.nii(?:\.gz)?")
_SITE_COLUMNS = ("site", "site_id", "center", "centre", "scanner")


def find_bids(
    folder: Path, contrasts: Sequence[str], entities: Mapping[str, str]
) -> tuple[list[Case], list[Remark]]:
    """List the sessions of a BIDS folder; the site comes from `participants.tsv` where it is there.

    Files that somebody derived (`desc-`) are passed over. Where a session has several runs of a
    contrast the first counts, which is remarked.

    Args:
        folder: The one that holds `sub-...`.
        contrasts: As T1, T2, PD, or any suffix of BIDS, as FLAIR.
        entities: What file names must say, as {"acq": "highres"}.

    Returns:
        One case a session, and remarks: several runs, or scans that could not be told apart.

    Raises:
        InputError: There is no such folder, or it holds no scan of these contrasts.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Check the path.")
    sites = _read_sites(folder)
    cases, remarks = [], []
    for session in sorted([*folder.glob("sub-*/anat"), *folder.glob("sub-*/ses-*/anat")]):
        labels = [part for part in session.relative_to(folder).parts if part != "anat"]
        name = "_".join(labels)
        scans, odd = _scans_of(session, contrasts, entities)
        remarks += [Remark(name, reason) for reason in odd]
        if scans:
            cases.append(Case(name, scans, labels[0], sites.get(labels[0], "")))
    if not cases:
        raise InputError(
            f"{folder} holds no {' or '.join(contrasts)} in sub-*/anat or sub-*/ses-*/anat.",
            "Check the folder, --contrasts and --entity.",
        )
    return cases, remarks


def _scans_of(
    session: Path, contrasts: Sequence[str], entities: Mapping[str, str]
) -> tuple[dict[str, ScanFile], list[str]]:
    """The scan of each contrast in one session, and what is odd about it."""
    candidates: dict[str, list[tuple[dict[str, str], Path]]] = defaultdict(list)
    for path in sorted(session.iterdir()):
        match = _FILE_NAME.fullmatch(path.name)
        if not match:
            continue
        found = dict(entity.split("-", 1) for entity in match[1].rstrip("_").split("_"))
        wanted = all(found.get(key) == value for key, value in entities.items())
        if wanted and "desc" not in found:
            candidates[match[2]].append((found, path))
    scans, odd = {}, []
    for contrast in contrasts:
        files = candidates[BIDS_SUFFIXES.get(contrast, contrast)]
        kinds = {tuple(sorted((k, v) for k, v in e.items() if k != "run")) for e, _ in files}
        names = ", ".join(path.name for _, path in files)
        if len(kinds) > 1:
            odd.append(f"has several {contrast}, choose with --entity: {names}")
            continue
        if len(files) > 1:
            odd.append(f"has several runs of {contrast}, the first is taken: {names}")
        if files:
            first = min(files, key=lambda file: int(re.sub(r"\D", "", file[0].get("run", "")) or 0))
            scans[contrast] = ScanFile(first[1])
    return scans, odd


def _read_sites(folder: Path) -> dict[str, str]:
    path = folder / "participants.tsv"
    if not path.is_file():
        return {}
    rows = read_rows(path)
    if not rows:
        return {}
    column = next((c for c in _SITE_COLUMNS if c in rows[0]), None)
    if column is None or "participant_id" not in rows[0]:
        return {}
    return {row["participant_id"]: row[column] for row in rows}
