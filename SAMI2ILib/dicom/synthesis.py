"""How a synthetic volume came about, as its sidecar says it, in strings that DICOM can hold."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.output_files import is_image_record, read_record, sidecar_path

_NAME_LENGTH = 64
_MESSAGE_LENGTH = 500


@dataclass(frozen=True)
class Synthesis:
    """What the exported series says of its origin.

    Attributes:
        target: The contrast that was made: T2.
        source_contrast: The contrast that it was made from: T1.
        model: Id of the model.
        model_sha256: Of the model file.
        software: Name and version of the software that made the volume.
        made_at: When, with its time zone.
        source_sha256: Of the source file or series; empty where the record does not say.
        doubts: Warnings of the translation, a sentence each.
    """

    target: str
    source_contrast: str
    model: str
    model_sha256: str
    software: str
    made_at: datetime
    source_sha256: str = ""
    doubts: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Synthesis":
        """Read a sidecar's fields.

        Raises:
            InputError: They are not those of a synthetic volume.
        """
        if isinstance(record, dict) and not is_image_record(record):
            raise InputError(
                f"This is a map of the {_words(str(record['quantity']))} and no image; it is not "
                "exported, where it could pass for a scan.",
                "Export the synthetic volume that it belongs to.",
            )
        try:
            if record["synthetic"] is not True:
                raise ValueError
            made_at = datetime.fromisoformat(record["date"])
            return cls(
                target=_words(record["target_contrast"]),
                source_contrast=_words(record["source_contrast"]),
                model=_words(record["model"]["id"]),
                model_sha256=_words(record["model"]["sha256"]),
                software=_words(f"{record['software']['name']} {record['software']['version']}"),
                made_at=made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC),
                source_sha256=_words(record["source"].get("sha256") or "-").strip("-"),
                doubts=tuple(
                    _words(doubt["message"], _MESSAGE_LENGTH) for doubt in record["warnings"]
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                "The record of the synthetic volume is damaged or was changed by hand.",
                "Translate the volume again.",
            ) from error


def read_sidecar(image: Path) -> dict[str, Any]:
    """Read the record that lies beside a synthetic volume.

    Raises:
        InputError: There is none, so that nothing says that the volume is synthetic.
    """
    sidecar = sidecar_path(image)
    record = read_record(sidecar)
    if record is None:
        raise InputError(
            f"{image.name} has no record of a synthetic volume: {sidecar.name} is missing or is "
            "not one.",
            "Only what `sami2i translate` made is exported: put its .json beside it, or "
            "translate again.",
        )
    return record


def check_volume(record: dict[str, Any], image: Path) -> tuple[Notice, ...]:
    """Say a doubt where the volume is no longer the file that its record describes."""
    from SAMI2ILib.weights import file_sha256  # not at load time, as in `export`

    written = record.get("volume")
    if not isinstance(written, dict) or written.get("sha256") == file_sha256(image):
        return ()
    text = "is not the file that its record describes: it was changed or saved again."
    return (Notice("volume-changed", f"{image.name} {text}"),)


def _words(text: str, length: int = _NAME_LENGTH) -> str:
    """A value without line ends, control characters and backslashes, which separate values."""
    kept = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    words = " ".join(kept.split())[:length].strip()
    if not words:
        raise ValueError
    return words
