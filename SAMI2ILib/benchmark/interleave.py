"""Arms take turns, slice by slice, until their slices or their time are over."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.plan import turn_order
from SAMI2ILib.benchmark.process import ArmFailedError

NO_TIME = "the time of the benchmark was over"

Measure = Callable[[int, float], float]
"""Runs piece `n` within so many seconds and says how many it took."""


@dataclass
class Times:
    """What an arm took.

    Attributes:
        seconds: Of each piece, without the first, which warms up.
        reason: Why it was not measured, or not to the end; empty where it was.
    """

    seconds: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def median(self) -> float | None:
        """The middle one; None where there is none."""
        return statistics.median(self.seconds) if self.seconds else None


def interleave(
    arms: dict[str, Measure],
    pieces: int,
    budget: Budget,
    on_turn: Callable[[int], None] = lambda _turn: None,
) -> dict[str, Times]:
    """Let arms take turns over the same pieces of work.

    A turn begins only if the last one would fit into what is left, and each wait ends with the
    budget: it is never exceeded by more than an arm takes to be ended.

    Args:
        arms: How each runs a piece, by its name.
        pieces: How many of them.
        budget: Of all arms together.
        on_turn: Called with the number of each finished turn; the first warms up.

    Returns:
        By name.
    """
    times = {name: Times() for name in arms}
    last_turn = 0.0
    for turn in range(1 + pieces):
        alive = [name for name in arms if not times[name].reason]
        if turn > 1 and last_turn > budget.left:
            break  # those that have been measured are, with fewer pieces
        begin = budget.spent
        for name in turn_order(alive, turn):
            try:
                seconds = arms[name](max(turn - 1, 0), budget.left)
            except ArmFailedError as error:
                times[name].reason = str(error)
                continue
            if turn:
                times[name].seconds.append(seconds)
        last_turn = budget.spent - begin
        on_turn(turn)
    for of_arm in times.values():
        if not of_arm.seconds and not of_arm.reason:
            of_arm.reason = NO_TIME
    return times
