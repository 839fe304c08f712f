"""Runs every test that tries a fault and writes the matrix: `python -m Testing.faults [-o PAGE]`.

The page keeps its text; what stands between the two marks is replaced. With `--fault NAME` only the
rows of these faults are run and replaced.
"""

import argparse
import platform
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from Testing.faults.catalog import FAULTS

REPOSITORY = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


class Recorder:
    """Collects how the tests of each fault ended."""

    def __init__(self, chosen: set[str]) -> None:
        self.chosen = chosen
        self.results: dict[str, Counter[str]] = defaultdict(Counter)
        self.files: dict[str, set[str]] = defaultdict(set)
        self.reasons: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self.chosen & _faults_of(item)]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item):
        report = (yield).get_result()
        if report.when != "call" and report.outcome == "passed":
            return
        for name in _faults_of(item):
            self.results[name][report.outcome] += 1
            self.files[name].add(item.path.relative_to(REPOSITORY).as_posix())
            if report.outcome == "skipped":
                self.reasons[name].add(str(report.longrepr[2]).removeprefix("Skipped: "))


def _faults_of(item: pytest.Item) -> set[str]:
    return {name for marker in item.iter_markers("fault") for name in marker.args}


def table(recorder: Recorder, page: str) -> str:
    """One row a fault, in the order of the catalog; rows of faults that were not run are kept."""
    earlier = {line.split(" | ")[0]: line for line in page.splitlines() if line[:2] == "| "}
    lines = [
        f"Run on {platform.system()} with Python {platform.python_version()}.",
        "",
        "| fault | what holds | exit code | tried by | result |",
        "|---|---|---|---|---|",
    ]
    for name, fault in FAULTS.items():
        if name not in recorder.chosen:
            lines.append(earlier.get(f"| {fault.happens}", f"| {fault.happens} | | | | not run |"))
            continue
        files = ", ".join(
            f"[{Path(file).stem.removeprefix('test_')}](../../{file})"
            for file in sorted(recorder.files[name])
        )
        counts = ", ".join(f"{n} {outcome}" for outcome, n in recorder.results[name].items())
        reasons = "; ".join(sorted(recorder.reasons[name]))
        result = f"{counts or 'not run'}{f' ({reasons})' if reasons else ''}"
        lines.append(
            f"| {fault.happens} | {fault.holds} | {fault.exit_code} | {files} | {result} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="page whose matrix is replaced")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only these")
    arguments = parser.parse_args()
    page = arguments.output.read_text(encoding="utf-8") if arguments.output else ""
    recorder = Recorder(set(arguments.fault or FAULTS))
    code = pytest.main(["-q", "-m", "fault", str(REPOSITORY / "Testing")], plugins=[recorder])
    matrix = table(recorder, page)
    print(matrix)
    if arguments.output:
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        arguments.output.write_text(f"{before}{BEGIN}\n{matrix}\n{END}{after}", encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
