"""An arm's own process: it alone loads the libraries, and its peak of memory is the arm's."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

_CLOSING_SECONDS = 5.0


class ArmFailedError(Exception):
    """An arm cannot run, or did not answer in time; the text says why, as a clause."""


class ArmProcess:
    """A child process that answers commands one after another.

    Args:
        environment: Variables beside those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "SAMI2ILib.benchmark.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env={**os.environ, **(environment or {})},
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, do: str, timeout: float, **options: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Args:
            do: The command's name.
            timeout: Seconds; after them the process is ended.
            **options: Of the command.

        Raises:
            ArmFailedError: The answer is an error, did not come in time, or the process has ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        if self._log.closed:
            raise ArmFailedError("its process was ended")
        try:
            self._process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            self.close(at_once=True)
            raise ArmFailedError("the time of the benchmark was over") from None
        except (BrokenPipeError, OSError) as error:
            raise ArmFailedError(self._last_words()) from error
        if not line:
            raise ArmFailedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ArmFailedError(str(answer["error"]))
        return answer

    def close(self, *, at_once: bool = False) -> None:
        """End the process; it has some seconds for it unless `at_once`."""
        if self._log.closed:
            return
        if at_once:
            self._process.kill()
        assert self._process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError):  # it has ended, and nobody misses what was not sent
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")
        self._process.stdout.close()

    def _last_words(self) -> str:
        """What the process said before it ended."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", errors="replace").strip().splitlines()
        return f"its process ended: {lines[-1]}" if lines else "its process ended without a word"
