"""The tables of a run: rows are appended, and dropped where a resumed run repeats them."""

import csv

from SAMI2ILib.training.log import TrainingLog


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_resumed_run_drops_the_rows_that_it_repeats(tmp_path):
    log = TrainingLog(tmp_path, ("T2", "PD"), resumed_step=0)
    log.losses(50, 1.0, 1e-3, {"T2": 0.2, "PD": 0.3})
    log.losses(100, 2.0, 1e-3, {"T2": 0.1})
    log.validation(100, 2.0, {"T2": 0.5})
    TrainingLog(tmp_path, ("T2", "PD"), resumed_step=70)
    assert rows(tmp_path / "training.csv") == [
        ["step", "seconds", "learning_rate", "l1_T2", "l1_PD"],
        ["50", "1.0", "1.000e-03", "0.20000", "0.30000"],
    ]
    assert rows(tmp_path / "validation.csv") == [["step", "seconds", "nrmse_T2", "nrmse_PD"]]


def test_target_that_was_not_measured_is_left_empty(tmp_path):
    TrainingLog(tmp_path, ("T2", "PD"), resumed_step=0).losses(50, 1.0, 1e-3, {"PD": 0.3})
    assert rows(tmp_path / "training.csv")[1][3:] == ["", "0.30000"]
