"""What became of each case: one log a case, and `cohort.csv` with one line for each.

The logs are the memory of a cohort: `cohort.csv` is made from them, so processes that share a
cohort need not talk to each other. Both name files without their folders on this machine.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from SAMI2ILib.about import SOFTWARE_NAME, VERSION
from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.cohort.cases import Case
from SAMI2ILib.inference.output_files import sidecar_path
from SAMI2ILib.tables import read_rows, write_rows

TABLE_NAME = "cohort.csv"
LOG_FOLDER = "logs"
COLUMNS = (
    "case", "target", "status", "exit_code", "source", "output", "seconds", "warnings", "message",
)  # fmt: skip

# How often the table is made again because another process has added to the logs meanwhile.
_TABLE_ATTEMPTS = 5


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        case: Its name.
        target: The contrast that was to be made.
        model_sha256: Of the model that was to make it.
        exit_code: What `sami2i translate` would have ended with; 0 is a success.
        source: The input's file name.
        output: The result, relative to the cohort's output folder.
        seconds: For each stage; stages of different cases overlap.
        warnings: Doubts that the user should read.
        message: Why it failed and what to do, on one line; empty where it did not.
        date: When it ended, in UTC.
    """

    case: str
    target: str
    model_sha256: str
    exit_code: int
    source: str
    output: str
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
    message: str = ""
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return self.exit_code != 0


def source_name(case: Case) -> str:
    """Name a case's input as its sidecar does: a DICOM folder often carries a patient's name."""
    return "DICOM series" if case.source.is_dir() else case.source.name


def log_path(folder: Path, case: Case) -> Path:
    """Where a case's log lies: `logs/anna/T1_synth-T2.json` for `anna/T1_synth-T2.nii.gz`."""
    return sidecar_path(folder / LOG_FOLDER / case.output)


def write_log(outcome: Outcome, path: Path) -> None:
    """Write what became of a case, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    software = {"name": SOFTWARE_NAME, "version": VERSION}
    fields = {**asdict(outcome), "software": software}
    make_folder(path.parent)
    write_text(json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_log(path: Path) -> Outcome | None:
    """Read what became of a case; None where nothing is known."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields["software"]
        warnings = tuple(Notice(**warning) for warning in fields.pop("warnings"))
        return Outcome(**fields, warnings=warnings)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def write_table(folder: Path, cases: Sequence[Case], target: str, model_sha256: str) -> None:
    """Make `cohort.csv` from the logs; lines for other targets stay.

    Args:
        folder: The cohort's output folder.
        cases: All of them, of every shard.
        target: The contrast of this run.
        model_sha256: The model of this run; what another one made is still waiting.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / TABLE_NAME
    kept = [row for row in _rows_there(path) if row.get("target") != target]
    rows = _rows(folder, cases, target, model_sha256)
    for _ in range(_TABLE_ATTEMPTS):
        write_rows([*rows, *kept], COLUMNS, path)
        # Whoever writes last must have seen all logs: look again.
        before, rows = rows, _rows(folder, cases, target, model_sha256)
        if rows == before:
            return


def _rows(
    folder: Path, cases: Sequence[Case], target: str, model_sha256: str
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for case in cases:
        found = read_log(log_path(folder, case))
        row: dict[str, object] = {
            "case": case.name,
            "target": target,
            "status": "waiting",
            "source": source_name(case),
            "output": case.output.as_posix(),
        }
        if found is not None and found.model_sha256 == model_sha256:
            row |= {
                "status": "failed" if found.failed else "done",
                "exit_code": found.exit_code,
                "seconds": round(sum(found.seconds.values()), 2),
                "warnings": " ".join(notice.code for notice in found.warnings),
                "message": found.message,
            }
        rows.append(row)
    return rows


def _rows_there(path: Path) -> list[dict[str, str]]:
    try:
        rows = read_rows(path, required=COLUMNS)
    except InputError:
        return []
    return [{name: row[name] for name in COLUMNS} for row in rows]
