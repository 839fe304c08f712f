"""Progress in words: stage, slice count, time left."""

import time
from collections.abc import Callable
from typing import Any

from SAMI2IPanel.i18n import _

# Before this share is done, a guess at the time left would jump about.
FIRST_ESTIMATE = 0.04


class Progress:
    """Turns the events of a run into a line of text and a fraction.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._started = 0.0
        self.text = _("Starting...")
        self.done = 0
        self.total = 0

    def add(self, event: dict[str, Any]) -> None:
        """Take one event; only `start` and `progress` change anything."""
        if event["event"] == "start" and event.get("device"):
            self.text = _("Loading the model on {device}...").format(device=event.get("device"))
        elif event["event"] == "progress":
            self._advance(str(event["stage"]), int(event["done"]), int(event["total"]))

    def _advance(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage, self._started = stage, self._clock()
        counted = total > 1
        self.done, self.total = (done, total) if counted else (0, 0)
        self.text = _stageText(stage, done, total)
        left = self._secondsLeft(done, total) if counted else None
        if left is not None:
            self.text += _(", about {time} left").format(time=_duration(left))

    def _secondsLeft(self, done: int, total: int) -> float | None:
        if done in (0, total) or done < FIRST_ESTIMATE * total:
            return None
        return (self._clock() - self._started) / done * (total - done)


def _stageText(stage: str, done: int, total: int) -> str:
    texts = {
        "read": _("Reading the volume..."),
        "prepare": _("Preparing the slices..."),
        "finish": _("Bringing the result onto the input's grid..."),
        "write": _("Writing the result..."),
        "measure": _("Measuring..."),
    }
    if stage == "translate":
        return _("Translating slice {done} of {total}").format(done=done, total=total)
    if stage == "download":
        if not total:
            return _("Downloading: {done} MB").format(done=done // 10**6)
        return _("Downloading: {done} of {total} MB").format(
            done=done // 10**6, total=total // 10**6
        )
    return texts.get(stage, stage)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    return _("{minutes} min").format(minutes=round(seconds / 60))
