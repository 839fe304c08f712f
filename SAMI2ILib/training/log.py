"""What a run writes as it goes: two tables, pictures, and the same for TensorBoard."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.training.samples import save_picture
from SAMI2ILib.training.schedule import Measures, TrainingState
from SAMI2ILib.training.validation import METRICS

SAMPLES_FOLDER = "samples"
TENSORBOARD_FOLDER = "tensorboard"


class TrainingLog:
    """Appends to `training.csv`, `validation.csv` and `samples/` of a run.

    Args:
        folder: Of the run.
        targets: One column each, of every term and metric.
        terms: The losses that the run has.
        resumed_step: Rows of later steps are dropped: the run repeats them from its checkpoint.
        writer: TensorBoard's, or None.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        terms: Sequence[str],
        resumed_step: int,
        writer: Any = None,
    ) -> None:
        self._folder, self._targets, self._terms = folder, targets, terms
        self._losses, self._validation = folder / "training.csv", folder / "validation.csv"
        self._writer = writer
        common = ["step", "seconds"]
        columns = [*common, "learning_rate", *_columns(terms, targets)]
        _keep(self._losses, columns, resumed_step)
        _keep(self._validation, [*common, *_columns(METRICS, targets)], resumed_step)

    def losses(self, state: TrainingState, learning_rate: float) -> None:
        """Append the mean losses since the row before."""
        row = [state.step, f"{state.seconds:.1f}", f"{learning_rate:.3e}"]
        _append(self._losses, row + self._row(self._terms, state.losses))
        self._to_tensorboard("loss", state.losses, state.step)
        if self._writer is not None:
            self._writer.add_scalar("learning_rate", learning_rate, state.step)

    def validation(self, state: TrainingState) -> None:
        """Append a validation."""
        row = [state.step, f"{state.seconds:.1f}"]
        _append(self._validation, row + self._row(METRICS, state.validation))
        self._to_tensorboard("validation", state.validation, state.step)

    def samples(self, state: TrainingState, picture: NDArray[np.uint8]) -> None:
        """Keep a picture of how far the run is."""
        make_folder(self._folder / SAMPLES_FOLDER)
        save_picture(picture, self._folder / SAMPLES_FOLDER / f"step-{state.step:08d}.png")
        if self._writer is not None:
            self._writer.add_image("samples", picture, state.step, dataformats="HW")

    def close(self) -> None:
        """Write what TensorBoard has not written yet."""
        if self._writer is not None:
            self._writer.close()

    def _row(self, names: Sequence[str], measures: Measures) -> list[Any]:
        return [
            f"{measures[target][name]:.5f}" if target in measures else ""
            for name in names
            for target in self._targets
        ]

    def _to_tensorboard(self, group: str, measures: Measures, step: int) -> None:
        if self._writer is not None:
            for target, values in measures.items():
                for name, value in values.items():
                    self._writer.add_scalar(f"{group}/{name}_{target}", value, step)


def open_tensorboard(folder: Path, resumed_step: int) -> Any:
    """Open TensorBoard's files in the folder of a run.

    Args:
        folder: Of the run.
        resumed_step: What lies behind it is repeated, and hidden.

    Returns:
        The writer, or None where TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder / TENSORBOARD_FOLDER, purge_step=resumed_step + 1)


def _columns(names: Sequence[str], targets: Sequence[str]) -> list[str]:
    return [f"{name}_{target}" for name in names for target in targets]


def _append(path: Path, row: Sequence[object]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(row)


def _keep(path: Path, header: Sequence[str], last_step: int) -> None:
    """Rewrite a table with its header and the rows up to `last_step`."""
    rows: list[list[str]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            # a kill may have cut the last row short
            rows = [r for r in csv.reader(file) if len(r) == len(header) and r[0].isdecimal()]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(row for row in rows if int(row[0]) <= last_step)
    write_text(text.getvalue(), path)
