"""How long the program takes to start, in processes of its own."""

import statistics
import subprocess
import sys
import time

from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.interleave import NO_TIME, Measure, Times, interleave
from SAMI2ILib.benchmark.process import ArmFailedError

RUNS = 5
_CODES = {
    "python": "pass",
    "import SAMI2ILib": "import SAMI2ILib",
    "sami2i --help": "import sys; from SAMI2ILib.cli.main import main; sys.exit(main(['--help']))",
}


def measure_start_up(budget: Budget, runs: int = RUNS) -> list[dict[str, object]]:
    """Time the interpreter alone, the import of the library and the help, in turns.

    Args:
        budget: No run lasts longer.
        runs: Of which the median is taken, after one that does not count.

    Returns:
        For each: `what`, the `seconds` of the process, and those `beyond` the interpreter's own.
    """
    arms = {what: _starter(code) for what, code in _CODES.items()}
    times = interleave(arms, runs, budget)
    return [_row(what, times) for what in times]


def _row(what: str, times: dict[str, Times]) -> dict[str, object]:
    seconds, bare = times[what].seconds, times["python"].seconds
    beyond = None
    if seconds and bare:
        beyond = statistics.median(seconds) - statistics.median(bare)
    return {"what": what, "seconds": times[what].median, "beyond": beyond}


def _starter(code: str) -> Measure:
    def start(_run: int, timeout: float) -> float:
        begin = time.perf_counter()
        try:
            subprocess.run(
                [sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise ArmFailedError(NO_TIME) from error
        return time.perf_counter() - begin

    return start
