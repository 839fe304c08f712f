"""pydicom, imported when it is first needed, kept quiet, and the same in versions 2.4 and 3."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def unreadable() -> tuple[type[Exception], ...]:
    """What pydicom raises for a file or value that breaks the format; the text may quote values."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        ValueError, TypeError, LookupError, AttributeError, OverflowError, EOFError, OSError,
        NotImplementedError, RecursionError, struct.error, zlib.error,
        BytesLengthException, InvalidDicomError,
    )  # fmt: skip


@contextmanager
def quiet_pydicom() -> Iterator[Any]:
    """Give the `pydicom` module without its warnings, log and checks of values.

    Its warnings quote what they warn about, which may be a patient's name: none may reach a log.
    What a source says is copied as it stands, also where it breaks a rule of its own.
    """
    import pydicom

    settings, logger = pydicom.config.settings, logging.getLogger("pydicom")
    before = settings.reading_validation_mode, settings.writing_validation_mode, logger.disabled
    settings.reading_validation_mode = settings.writing_validation_mode = pydicom.config.IGNORE
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield pydicom
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = before[:2]
        logger.disabled = before[2]


def save(dataset: Any, path: Path) -> None:
    """Write a file of Explicit VR Little Endian with its preamble and group 2."""
    import pydicom

    if int(pydicom.__version__.split(".")[0]) >= 3:
        dataset.save_as(path, enforce_file_format=True)
    else:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
