"""What a record says of its source: a file name and a hash, never a folder or a patient."""

import hashlib
from pathlib import Path
from typing import Any

from SAMI2ILib.imaging.dicom_series import list_series_files
from SAMI2ILib.weights import file_sha256


def describe_source_file(path: Path, series_uid: str | None = None) -> dict[str, Any]:
    """Name a source by its file name and content.

    Args:
        path: An image file, or the folder of a DICOM series, which is named by its content alone:
            such folders often carry the patient's name.
        series_uid: Which series, where the folder holds several.

    Returns:
        `file` and `sha256`; for a series the hash of its files' hashes in the order of their names.

    Raises:
        InputError: It cannot be read, or the folder does not hold that series.
    """
    if not path.is_dir():
        return {"file": path.name, "sha256": file_sha256(path)}
    files = list_series_files(path, series_uid)
    digests = b"".join(bytes.fromhex(file_sha256(file)) for file in files)
    return {
        "file": f"DICOM series of {len(files)} files",
        "sha256": hashlib.sha256(digests).hexdigest(),
    }
