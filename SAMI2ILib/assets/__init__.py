"""Where the files that the library needs at run time lie: bundled models, sample, schema."""

from pathlib import Path

from SAMI2ILib.errors import InputError, MissingError


def asset_path(*parts: str) -> Path:
    """Find a run-time data file.

    The data lie beside this module in each of the three layouts: the source tree, the folder
    that the Slicer extension installs, and an unpacked wheel. pip never leaves a package inside
    a zip archive and Slicer copies it file by file, so it is always a real folder and the
    module's own path is enough.

    Args:
        parts: Folder and file names below `SAMI2ILib/assets`, e.g. "schema", "model-1.json".

    Returns:
        The existing file or folder.

    Raises:
        InputError: A part would lead out of the folder.
        MissingError: The file or folder is not there.
    """
    root = Path(__file__).resolve().parent
    path = root.joinpath(*parts)
    if ".." in parts or root not in (path, *path.parents):
        raise InputError(f"parts must name a file below the assets folder, not {parts!r}.")
    if not path.exists():
        raise MissingError(
            f"The file '{'/'.join(parts)}' of the software is missing.",
            "Install the software again.",
        )
    return path
