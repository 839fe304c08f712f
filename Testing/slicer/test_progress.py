"""Stage, count and time left in words."""

import pytest
from SAMI2IPanel.progress import Progress


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def progress(stage, done, total):
    return {"event": "progress", "stage": stage, "done": done, "total": total}


def test_time_left_follows_from_the_slices_of_this_stage(clock):
    shown = Progress(clock)
    shown.add(progress("read", 0, 1))
    clock.now += 50  # loading takes long and says nothing about the slices
    shown.add(progress("translate", 0, 130))
    clock.now += 10
    shown.add(progress("translate", 20, 130))
    assert shown.text == "Translating slice 20 of 130, about 55 s left"
    assert (shown.done, shown.total) == (20, 130)


def test_time_left_is_not_guessed_from_too_little(clock):
    shown = Progress(clock)
    shown.add(progress("translate", 0, 130))
    clock.now += 1
    shown.add(progress("translate", 1, 130))
    assert shown.text == "Translating slice 1 of 130"


def test_long_times_are_told_in_minutes(clock):
    shown = Progress(clock)
    shown.add(progress("translate", 0, 100))
    clock.now += 60
    shown.add(progress("translate", 10, 100))
    assert shown.text.endswith("about 9 min left")


def test_stage_without_steps_has_no_length(clock):
    shown = Progress(clock)
    shown.add({"event": "start", "device": "CPU", "reason": ""})
    assert shown.text == "Loading the model on CPU..."
    shown.add(progress("write", 0, 1))
    assert (shown.text, shown.total) == ("Writing the result...", 0)


def test_download_counts_megabytes(clock):
    shown = Progress(clock)
    shown.add(progress("download", 5_000_000, 0))
    assert shown.text == "Downloading: 5 MB"
    shown.add(progress("download", 50_000_000, 324_000_000))
    assert shown.text.startswith("Downloading: 50 of 324 MB")


def test_other_events_change_nothing(clock):
    shown = Progress(clock)
    shown.add({"event": "start", "device": None, "reason": "no device has been chosen"})
    shown.add({"event": "warning", "code": "x", "message": "y"})
    assert shown.text == "Starting..."
