"""Fuzzes every reader of a user's files: `python -m Testing.fuzz --cases 20000 [--seed N]`.

Each case is a valid file, mutated in ways that the seed decides, read in a process of its own kind
with little memory. Reading it or refusing it with an error of ours is right; a crash, hang, other
exception, blow-up of memory, write elsewhere, or start of a program is a finding. A finding names
its case: `--target NAME --first N --cases 1 --seed S --keep FOLDER` makes its file again.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from Testing.fuzz.targets import TARGETS

REPOSITORY = Path(__file__).resolve().parents[2]
RIGHT = ("read", "refused")
START_SECONDS = 120.0  # imports, on a busy machine


@dataclass
class Tally:
    """How the cases of one target ended."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, number: int, outcome: str) -> None:
        kind = outcome.partition(" ")[0]
        self.outcomes[kind] += 1
        if kind not in RIGHT:
            self.findings.append((number, outcome))


def fuzz(target: str, cases: range, seed: int, hang_seconds: float, folder: Path) -> Tally:
    """Run the cases of one target, in a new process after each crash or hang.

    Raises:
        RuntimeError: The worker ended before its first case.
    """
    tally = Tally()
    started = time.monotonic()
    first = cases.start
    while first < cases.stop:
        first = _run_worker(target, range(first, cases.stop), seed, hang_seconds, folder, tally)
    tally.seconds = time.monotonic() - started
    return tally


def _run_worker(
    target: str, cases: range, seed: int, hang_seconds: float, folder: Path, tally: Tally
) -> int:
    """Run cases until all are done or one ends the process; give the next case to run."""
    words = [target, str(seed), str(cases.start), str(cases.stop), str(folder)]
    running, hung = -1, threading.Event()
    with subprocess.Popen(
        [sys.executable, "-m", "Testing.fuzz.worker", *words],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip

        def end() -> None:
            hung.set()
            worker.kill()

        timer = threading.Timer(START_SECONDS, end)
        timer.start()
        for line in worker.stdout:
            number, _, outcome = line.rstrip("\n").partition(" ")
            if outcome:
                tally.add(int(number), outcome)
                running = -1
            else:
                timer.cancel()
                running = int(number)
                timer = threading.Timer(hang_seconds, end)
                timer.start()
        code = worker.wait()
        timer.cancel()
    if running >= 0:
        reason = f"hang for {hang_seconds:g} s" if hung.is_set() else f"crash with code {code}"
        tally.add(running, reason)
        return running + 1
    if code != 0:
        raise RuntimeError(f"The worker of {target!r} ended with {code} before its first case.")
    return cases.stop


def shares(cases: int, targets: dict) -> dict[str, int]:
    """Divide the cases among the targets by their shares; the sum is at least `cases`."""
    whole = sum(target.share for target in targets.values())
    return {name: -(-cases * target.share // whole) for name, target in targets.items()}


def table(tallies: dict[str, Tally]) -> str:
    """One row a target, and the sum."""
    total = Tally()
    for tally in tallies.values():
        total.outcomes += tally.outcomes
        total.findings += tally.findings
        total.seconds += tally.seconds
    lines = ["| files | cases | read | refused | findings | seconds |", "|---|---|---|---|---|---|"]
    for name, tally in {**tallies, "all": total}.items():
        lines.append(
            f"| {name} | {tally.outcomes.total():,} | {tally.outcomes['read']:,} | "
            f"{tally.outcomes['refused']:,} | {len(tally.findings)} | {tally.seconds:.0f} |"
        )
    return "\n".join(lines)


def _report_findings(tallies: dict[str, Tally], seed: int) -> None:
    for name, tally in tallies.items():
        alike = defaultdict(list)
        for number, outcome in tally.findings:
            alike[outcome].append(number)
        for outcome, numbers in alike.items():
            print(f"{name}, seed {seed}, cases {numbers[:5]} ({len(numbers)}): {outcome}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only these files")
    parser.add_argument("--hang-seconds", type=float, default=30.0, help="more is a hang")
    parser.add_argument("--keep", type=Path, help="leave the last file of a target here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    chosen = {name: TARGETS[name] for name in arguments.target or TARGETS}
    tallies = {}
    for name, count in shares(arguments.cases, chosen).items():
        cases = range(arguments.first, arguments.first + count)
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep or Path(temporary, "case")
            folder.mkdir(parents=True, exist_ok=True)
            tallies[name] = fuzz(name, cases, arguments.seed, arguments.hang_seconds, folder)
    print(f"Seed {arguments.seed}, Python {platform.python_version()}, {platform.system()}.\n")
    print(table(tallies))
    _report_findings(tallies, arguments.seed)
    if arguments.json:
        figures = {name: dict(tally.outcomes) for name, tally in tallies.items()}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return int(any(tally.findings for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
