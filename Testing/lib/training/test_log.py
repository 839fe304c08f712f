"""The tables of a run: rows are appended, and dropped where a resumed run repeats them."""

import csv

from SAMI2ILib.training.log import TrainingLog
from SAMI2ILib.training.schedule import TrainingState
from SAMI2ILib.training.validation import METRICS

TARGETS = ("T2", "PD")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def log_losses(log, step, **l1):
    log.losses(TrainingState(step, float(step), losses={t: {"l1": v} for t, v in l1.items()}), 1e-3)


def test_resumed_run_drops_the_rows_that_it_repeats(tmp_path):
    log = TrainingLog(tmp_path, TARGETS, ("l1",), resumed_step=0)
    log_losses(log, 50, T2=0.2, PD=0.3)
    log_losses(log, 100, T2=0.1)
    log.validation(TrainingState(100, validation={"T2": dict.fromkeys(METRICS, 0.5)}))
    TrainingLog(tmp_path, TARGETS, ("l1",), resumed_step=70)
    assert rows(tmp_path / "training.csv") == [
        ["step", "seconds", "learning_rate", "l1_T2", "l1_PD"],
        ["50", "50.0", "1.000e-03", "0.20000", "0.30000"],
    ]
    assert rows(tmp_path / "validation.csv")[0][:4] == ["step", "seconds", "psnr_T2", "psnr_PD"]
    assert len(rows(tmp_path / "validation.csv")) == 1


def test_row_that_a_kill_cut_short_is_dropped(tmp_path):
    log = TrainingLog(tmp_path, TARGETS, ("l1",), resumed_step=0)
    log_losses(log, 50, T2=0.2, PD=0.3)
    with (tmp_path / "training.csv").open("a") as file:
        file.write("10")  # the beginning of step 100
    TrainingLog(tmp_path, TARGETS, ("l1",), resumed_step=70)
    assert [row[0] for row in rows(tmp_path / "training.csv")] == ["step", "50"]


def test_target_that_was_not_measured_is_left_empty(tmp_path):
    log_losses(TrainingLog(tmp_path, TARGETS, ("l1",), resumed_step=0), 50, PD=0.3)
    assert rows(tmp_path / "training.csv")[1][3:] == ["", "0.30000"]
