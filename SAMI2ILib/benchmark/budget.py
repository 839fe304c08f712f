"""The time that a benchmark may take: every wait in it ends when the budget does."""

import time
from collections.abc import Callable

from SAMI2ILib.errors import InputError


class Budget:
    """Counts down from a number of seconds.

    Args:
        seconds: In all.
        clock: Seconds of a clock that never goes back.

    Raises:
        InputError: `seconds` is not above zero.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not seconds > 0:
            raise InputError(f"The benchmark needs time: --minutes is {seconds / 60:g}.")
        self._clock = clock
        self._begin = clock()
        self._end = self._begin + seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begin

    @property
    def left(self) -> float:
        """Seconds until the end, never below 0."""
        return max(0.0, self._end - self._clock())

    def share(self, part: float) -> "Budget":
        """Make a budget of a part of what is left, which ends no later than this one."""
        return Budget(max(self.left * part, 1e-9), self._clock)
