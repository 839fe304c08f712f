"""What a command tells its caller: text for a person, JSON lines for the panel, or nothing."""

import json
import sys
from typing import Any, Protocol

from SAMI2ILib.errors import Sami2iError

PROTOCOL_VERSION = 1
BackEndFacts = dict[str, str | float | None]
"""As `BackEnd.to_json` gives them."""

PROGRESS_CHOICES = ("text", "json", "none")

# A name of a file may hold anything: what a terminal obeys, and what turns the order of letters.
_SPELLED_OUT = {
    **{code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}


class Console(Protocol):
    """What every command may say; `open_console` makes one."""

    def start(self, device: str, reason: str, back_end: BackEndFacts | None = None) -> None:
        """Say what the work will run on and by what, before it runs."""

    def say(self, text: str) -> None:
        """Print a result for a person."""

    def note(self, text: str) -> None:
        """Print a remark for a person, beside the result."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of `total` steps of `stage` are finished."""

    def warn(self, code: str, message: str) -> None:
        """Say a doubt that the user should read."""

    def result(self, fields: dict[str, Any]) -> None:
        """Give the result in machine-readable form."""

    def error(self, error: Sami2iError) -> None:
        """Say why the command failed, on one line, and what to do."""

    def close(self) -> None:
        """End an open progress bar."""


class SilentConsole:
    """Results and errors only: for batch jobs with a log of their own."""

    def start(self, device: str, reason: str, back_end: BackEndFacts | None = None) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Print a result to stdout."""
        print(text.translate(_SPELLED_OUT), flush=True)  # noqa: T201

    def note(self, text: str) -> None:
        """Say nothing."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""

    def warn(self, code: str, message: str) -> None:
        """Print one line to stderr: doubts are said in every mode."""
        _print_to_stderr(f"warning ({code}): {_one_line(message)}")

    def result(self, fields: dict[str, Any]) -> None:
        """Say nothing: `say` has said it."""

    def error(self, error: Sami2iError) -> None:
        """Print one line to stderr."""
        _print_to_stderr(f"sami2i: error: {_one_line(str(error))}")

    def close(self) -> None:
        """Nothing is open."""


class TextConsole(SilentConsole):
    """For a person at a terminal: remarks and a progress bar on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def start(self, device: str, reason: str, back_end: BackEndFacts | None = None) -> None:
        """Print the device with the reason for it."""
        self.note(f"Running on {device}: {reason}")
        if back_end is not None:
            self.note(f"Back end {back_end['name']}: {back_end['reason']}")

    def say(self, text: str) -> None:
        """Print a result to stdout."""
        self.close()
        super().say(text)

    def note(self, text: str) -> None:
        """Print a remark to stderr."""
        self.close()
        _print_to_stderr(text)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Advance the bar of `stage`."""
        if stage != self._stage:
            self.close()
        if self._bar is None:
            from tqdm import tqdm

            self._stage = stage
            tqdm.monitor_interval = 0  # no thread of its own beside the work
            # No bar where nobody watches: in a log it would be one endless line.
            self._bar = tqdm(total=total, desc=stage, file=sys.stderr, leave=False, disable=None)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def warn(self, code: str, message: str) -> None:
        """Print a warning to stderr."""
        self.close()
        super().warn(code, message)

    def error(self, error: Sami2iError) -> None:
        """Print one line to stderr."""
        self.close()
        super().error(error)

    def close(self) -> None:
        """End the progress bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


class JsonConsole:
    """For a program: one JSON object a line on stdout, `start` first, and nothing else there."""

    def __init__(self) -> None:
        self._started = False

    def start(self, device: str, reason: str, back_end: BackEndFacts | None = None) -> None:
        """Write the `start` event with the device."""
        further = {} if back_end is None else {"back_end": back_end}
        self._write("start", protocol=PROTOCOL_VERSION, device=device, reason=reason, **further)

    def say(self, text: str) -> None:
        """Say nothing: `result` carries it."""

    def note(self, text: str) -> None:
        """Print a remark to stderr, which a log may keep."""
        _print_to_stderr(text)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Write a `progress` event."""
        self._write("progress", stage=stage, done=done, total=total)

    def warn(self, code: str, message: str) -> None:
        """Write a `warning` event."""
        self._write("warning", code=code, message=message)

    def result(self, fields: dict[str, Any]) -> None:
        """Write the `result` event."""
        self._write("result", **fields)

    def error(self, error: Sami2iError) -> None:
        """Write an `error` event, and one line to stderr for a log."""
        self._write("error", kind=error.kind, message=error.message, hint=error.hint)
        _print_to_stderr(f"sami2i: error: {_one_line(str(error))}")

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, event: str, **fields: Any) -> None:
        if not self._started:
            self._started = True
            if event != "start":  # a command without a device, or a failure before one was chosen
                reason = "no device has been chosen"
                self._write("start", protocol=PROTOCOL_VERSION, device=None, reason=reason)
        # ASCII escapes: a pipe on Windows may not be UTF-8.
        print(json.dumps({"event": event, **fields}, allow_nan=False), flush=True)  # noqa: T201


def open_console(progress: str) -> Console:
    """Make the console for one of `PROGRESS_CHOICES`."""
    if progress == "json":
        return JsonConsole()
    return TextConsole() if progress == "text" else SilentConsole()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_to_stderr(text: str) -> None:
    """Print one line, whatever names of files are in it."""
    # A process without a stderr (pythonw, a closed pipe) must not fail for want of a listener.
    if sys.stderr is None:
        return
    try:
        line = text.replace("\n", " ").translate(_SPELLED_OUT)
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return
