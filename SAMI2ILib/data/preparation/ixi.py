"""The IXI data set: its file names, its three tar archives, where to download them.

IXI (Information eXtraction from Images, EPSRC GR/S21533/02), https://brain-development.org,
CC BY-SA 3.0. T1 is sagittal; T2 and PD come from one axial double-echo scan.
"""

import hashlib
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from SAMI2ILib.data.preparation.cases import Case, ScanFile
from SAMI2ILib.errors import InputError, NetworkError
from SAMI2ILib.weights.download import OnProgress, download

NAME: Final = "IXI"
LICENSE: Final = "CC BY-SA 3.0"
_ADDRESS = "https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/IXI-{contrast}.tar"
# Of the published archives: they tell a damaged download from a whole one.
_MD5 = {
    "T1": "34901a0593b41dd19c1a1f746eac2d58",
    "T2": "e3140d78730ecdd32ba92da48c0a9aaa",
    "PD": "88ecd9d1fa33cb4a2278183b42ffd749",
}
CONTRASTS: Final = tuple(_MD5)
_FILE_NAME = re.compile(r"(IXI\d{3})-([A-Za-z]+)-(\d{4})-(T1|T2|PD)\.nii(\.gz)?")
_BLOCK = 2**22


def find_ixi(places: Sequence[Path]) -> list[Case]:
    """List the subjects in extracted folders and in tar archives, which are not extracted.

    Args:
        places: Folders, searched with all that is below them, and archives. A scan that lies in
            an archive and in a folder is taken from the folder.

    Returns:
        One case a subject, with the T1, T2, PD that it has, sorted by name.

    Raises:
        InputError: A place is missing or no archive, a scan is there twice, or nothing is.
    """
    scans: dict[str, dict[str, ScanFile]] = defaultdict(dict)
    people: dict[str, tuple[str, str]] = {}
    for match, scan in _all_scans(places):
        name = f"{match[1]}-{match[2]}-{match[3]}"
        people[name] = (match[1], match[2])
        before = scans[name].setdefault(match[4], scan)
        if before != scan and not scan.member:
            raise InputError(
                f"{scan.name} is there twice: {before.path} and {scan.path}.",
                "Name one of the two folders only.",
            )
    if not scans:
        raise InputError(
            f"{', '.join(str(place) for place in places)} holds no file with a name of IXI.",
            "Expected are names as IXI002-Guys-0828-T1.nii.gz; --download gets them.",
        )
    return [Case(name, scans[name], *people[name]) for name in sorted(scans)]


def download_ixi(
    folder: Path,
    contrasts: Sequence[str],
    *,
    on_progress: Callable[[str], OnProgress] | None = None,
) -> list[Path]:
    """Download the archives that are not there, and check all of them by MD5.

    Args:
        folder: Where the archives go; made if needed. One whose scans lie there in a folder
            `IXI-T1` is not downloaded.
        contrasts: Some of T1, T2, PD.
        on_progress: Called with the archive's name, gives what `download` reports to.

    Returns:
        The archives that are there now.

    Raises:
        InputError: A contrast is none of IXI's.
        NetworkError: A download failed, or an archive is not the published one.
        OutputError: The folder cannot be written, or the disk is too small.
    """
    for contrast in contrasts:
        if contrast not in _MD5:
            raise InputError(f"IXI has {', '.join(CONTRASTS)}, but --contrasts names {contrast}.")
    archives = []
    for contrast in contrasts:
        archive = folder / f"IXI-{contrast}.tar"
        if (folder / f"IXI-{contrast}").is_dir():
            continue
        if not archive.is_file():
            report = None if on_progress is None else on_progress(archive.name)
            download(_ADDRESS.format(contrast=contrast), archive, on_progress=report)
        found = _md5(archive)
        if found != _MD5[contrast]:
            raise NetworkError(
                f"{archive} is not the published archive: its MD5 is {found}, expected was "
                f"{_MD5[contrast]}.",
                "Delete it and run the same command again.",
            )
        archives.append(archive)
    return archives


def _all_scans(places: Sequence[Path]) -> Iterator[tuple[re.Match[str], ScanFile]]:
    """Every scan with a name of IXI: those of folders first, then those of archives."""
    archives = []
    for place in places:
        if place.is_dir():
            archives += sorted(place.glob("IXI-*.tar"))
            for path in sorted(place.rglob("IXI*.nii*")):
                match = _FILE_NAME.fullmatch(path.name)
                if match and path.is_file():
                    yield match, ScanFile(path)
        elif place.is_file():
            archives.append(place)
        else:
            raise InputError(f"{place} does not exist.", "Check the path, or add --download.")
    for archive in archives:
        yield from _scans_in(archive)


def _scans_in(archive: Path) -> Iterator[tuple[re.Match[str], ScanFile]]:
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                match = _FILE_NAME.fullmatch(Path(member.name).name)
                if match and member.isfile():
                    yield match, ScanFile(archive, member.name, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise InputError(
            f"{archive} cannot be read as a tar archive: {error}.",
            "Copy or download it again; extract a compressed one first.",
        ) from error


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
