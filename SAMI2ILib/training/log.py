"""The two tables that a run writes as it goes: losses and validation."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from SAMI2ILib.atomic import write_text


class TrainingLog:
    """Appends to `training.csv` and `validation.csv` of a run.

    Args:
        folder: Of the run.
        targets: One column each.
        resumed_step: Rows of later steps are dropped: the run repeats them from its checkpoint.
    """

    def __init__(self, folder: Path, targets: Sequence[str], resumed_step: int) -> None:
        self._targets = targets
        self._losses = folder / "training.csv"
        self._validation = folder / "validation.csv"
        common = ["step", "seconds"]
        _keep(self._losses, [*common, "learning_rate", *(f"l1_{t}" for t in targets)], resumed_step)
        _keep(self._validation, [*common, *(f"nrmse_{t}" for t in targets)], resumed_step)

    def losses(
        self, step: int, seconds: float, learning_rate: float, means: Mapping[str, float]
    ) -> None:
        """Append the mean losses since the row before."""
        _append(self._losses, [step, f"{seconds:.1f}", f"{learning_rate:.3e}", *self._row(means)])

    def validation(self, step: int, seconds: float, nrmse: Mapping[str, float]) -> None:
        """Append a validation."""
        _append(self._validation, [step, f"{seconds:.1f}", *self._row(nrmse)])

    def _row(self, values: Mapping[str, float]) -> list[str]:
        return [f"{values[t]:.5f}" if t in values else "" for t in self._targets]


def _append(path: Path, row: Sequence[object]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(row)


def _keep(path: Path, header: Sequence[str], last_step: int) -> None:
    """Rewrite a table with its header and the rows up to `last_step`."""
    rows: list[list[str]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row and row[0].isdecimal()]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(row for row in rows if int(row[0]) <= last_step)
    write_text(text.getvalue(), path)
