"""Reading, translating and writing overlap in a cohort, and nobody can tell from the results."""

import _thread
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.errors import OutputError
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.inference.cohort import run as cohort_run
from SAMI2ILib.inference.cohort.cases import Case
from SAMI2ILib.inference.cohort.run import CohortRun
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.predictor import TorchPredictor
from SAMI2ILib.inference.translate_file import translate_file

PATIENCE_SECONDS = 30
CPU = Device("cpu", "CPU", "it was asked for", "fp32")


class WatchedPredictor(TorchPredictor):
    """Calls `watch` with the number of the case whenever a case comes to the network."""

    def __init__(self, model, watch=lambda _number: None):
        super().__init__(model.network, CPU, batch_size=100)
        self._watch = watch
        self._number = 0

    def predict(self, batch):
        self._watch(self._number)
        self._number += 1
        return super().predict(batch)


@pytest.fixture
def cases(make_head, tmp_path):
    """Five heads, each darker than the one before."""
    for number in range(5):
        head = make_head((8, 24, 20))
        write_volume(head.with_array(head.array_kji / (1 + number)), tmp_path / f"p{number}_T1.nii")
    return [
        Case(f"p{number}", tmp_path / f"p{number}_T1.nii", Path(f"p{number}.nii"))
        for number in range(5)
    ]


@pytest.fixture
def run(identity_model, cases, tmp_path):
    """Translate the cases; returns the outcomes in the order in which they were told."""

    def run(watch=lambda _number: None):
        told = []
        CohortRun(
            tmp_path / "out", identity_model, WatchedPredictor(identity_model, watch),
            lambda outcome, _was_there: told.append(outcome),
        ).translate(cases)  # fmt: skip
        return told

    return run


def files_below(folder):
    return sorted(
        path.relative_to(folder / "out").as_posix()
        for path in (folder / "out").rglob("*")
        if path.is_file()
    )


def change(monkeypatch, name, before):
    """Call `before` with the arguments of a function of the run, and then the function."""
    real = getattr(cohort_run, name)

    def changed(*arguments):
        before(*arguments)
        return real(*arguments)

    monkeypatch.setattr(cohort_run, name, changed)


def test_next_case_is_read_and_last_one_written_while_the_network_runs(run, monkeypatch):
    read, running, written = ([threading.Event() for _ in range(5)] for _ in range(3))

    def write(_volume, _record, path, *_rest):
        number = int(path.name[1])
        assert number == 4 or running[number + 1].wait(PATIENCE_SECONDS), "nothing ran meanwhile"
        written[number].set()

    def watch(number):
        running[number].set()
        assert number == 4 or read[number + 1].wait(PATIENCE_SECONDS), "the next was not read"
        assert number == 0 or written[number - 1].wait(PATIENCE_SECONDS), "the last was not written"

    change(monkeypatch, "read_source", lambda source, _series: read[int(source.name[1])].set())
    change(monkeypatch, "save_translation", write)
    outcomes = run(watch)
    assert [(outcome.case, outcome.message) for outcome in outcomes] == [
        (f"p{number}", "") for number in range(5)
    ]


def test_results_are_those_of_one_case_at_a_time(run, cases, identity_model, tmp_path):
    run()
    for case in cases:
        alone = tmp_path / "alone" / case.output
        translate_file(case.source, alone, identity_model, WatchedPredictor(identity_model))
        together = read_volume(tmp_path / "out" / case.output)
        assert np.array_equal(together.array_kji, read_volume(alone).array_kji)


def test_three_cases_are_in_memory_at_most(run, monkeypatch):
    alive, counts = [], []

    def follow(volume, name):
        alive.append((name, weakref.ref(volume)))
        counts.append(len({name for name, volume in alive if volume() is not None}))

    prepare = cohort_run.prepare_volume

    def prepare_and_follow(volume, *rest):
        prepared = prepare(volume, *rest)
        follow(prepared.working, Path(volume.name).name[:2])
        return prepared

    monkeypatch.setattr(cohort_run, "prepare_volume", prepare_and_follow)
    change(monkeypatch, "save_translation", lambda v, _record, path, *_: follow(v, path.name[:2]))
    run()
    assert len(counts) == 10
    assert max(counts) <= 3


@pytest.mark.parametrize(
    ("function", "place"), [("read_source", 0), ("prepare_volume", 0), ("save_translation", 2)]
)
def test_failure_in_another_thread_fails_its_case_alone(
    run, monkeypatch, tmp_path, function, place
):
    def fail(*arguments):
        name = getattr(arguments[place], "name", "")
        if Path(name).name.startswith("p2"):
            raise OutputError("The disk is full.")

    change(monkeypatch, function, fail)
    outcomes = run()
    assert [outcome.case for outcome in outcomes] == ["p0", "p1", "p2", "p3", "p4"]
    assert [outcome.failed for outcome in outcomes] == [False, False, True, False, False]
    assert outcomes[2].message.startswith("The disk is full.")
    assert [name for name in files_below(tmp_path) if name.startswith("p2")] == []


def test_log_that_cannot_be_written_ends_the_run(run, monkeypatch, tmp_path):
    def fail(outcome, _path):
        if outcome.case == "p1":
            raise OutputError("The disk is full.")

    change(monkeypatch, "write_log", fail)
    with pytest.raises(OutputError, match="The disk is full"):
        run()
    assert "p0.nii" in files_below(tmp_path)
    assert "p4.nii" not in files_below(tmp_path)


def test_interrupt_lets_the_last_case_be_written_and_starts_no_other(run, monkeypatch, tmp_path):
    started = []

    def interrupt(number):
        started.append(number)
        if number == 2:
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert started == [0, 1, 2]
    assert files_below(tmp_path) == [
        "logs/p0.json", "logs/p1.json", "p0.json", "p0.nii", "p1.json", "p1.nii",
    ]  # fmt: skip
