"""`sami2i translate-cohort`: many volumes, the model loaded once; the same command goes on."""

import argparse
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.model_options import (
    add_checks_argument,
    add_ensemble_arguments,
    add_model_arguments,
    load_chosen,
    load_ensemble,
)

if TYPE_CHECKING:
    from SAMI2ILib.inference.cohort.outcome import Outcome
    from SAMI2ILib.inference.cohort.shard import Shard

HELP = "Translate many volumes: a folder, a BIDS data set or a table; goes on where it stopped."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i translate-cohort` takes."""
    parser.add_argument(
        "input", type=Path,
        help="folder of images, BIDS data set, or CSV with a column source (and name, series)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for the volumes, cohort.csv and logs",
    )  # fmt: skip
    add_model_arguments(parser)
    add_ensemble_arguments(parser)
    add_checks_argument(parser)
    parser.add_argument(
        "--pattern", metavar="GLOB", help="which files of the folder, such as '*/mprage.nii.gz'"
    )
    parser.add_argument(
        "--shard", metavar="I/N",
        help="only every N-th case, from the I-th on (default: what torchrun or SLURM say)",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Translate the cases of this shard; 1 when any of them failed."""
    from SAMI2ILib.inference.cohort.bids import write_description
    from SAMI2ILib.inference.cohort.cases import find_cases
    from SAMI2ILib.inference.cohort.outcome import LOG_FOLDER, TABLE_NAME, write_table
    from SAMI2ILib.inference.cohort.run import CohortRun
    from SAMI2ILib.inference.cohort.shard import parse_shard, shard_from_environment

    shard = parse_shard(args.shard) if args.shard else shard_from_environment()
    model, predictor = load_chosen(args, console, _device_of(args.device, shard))
    ensemble = load_ensemble(args, console, model, predictor)
    spec = model.spec
    contrasts = spec.source_contrast, spec.target_contrast
    cohort = find_cases(args.input, args.output, *contrasts, args.pattern)
    cases = shard.take(cohort.cases)
    if cohort.left_out:
        images = "1 image" if cohort.left_out == 1 else f"{cohort.left_out} images"
        console.note(f"{images} left out: of another contrast, or synthetic.")
    if shard.count > 1:
        part = f"{len(cases)} of {len(cohort.cases)} cases"
        console.note(f"Shard {shard.number} of {shard.count} ({shard.origin}): {part}.")
    if cohort.bids_root is not None:
        write_description(args.output, cohort.bids_root, (TABLE_NAME, f"{LOG_FOLDER}/"))
    report = _Report(console, len(cases), debug=args.debug)
    try:
        run = CohortRun(
            args.output, model, predictor, report.outcome, report.error, ensemble, args.checks
        )
        run.translate(cases)
    finally:
        if args.output.is_dir():
            write_table(args.output, cohort.cases, spec.target_contrast, model.sha256)
    report.end(args.output / TABLE_NAME)
    return 1 if report.failed else 0


def _device_of(request: str, shard: "Shard") -> str:
    """Give each process of a machine a GPU of its own, where there are several."""
    if request not in ("auto", "cuda") or shard.count == 1:
        return request

    import torch

    count = torch.cuda.device_count()
    return f"cuda:{shard.local_rank % count}" if count > 1 else request


class _Report:
    """Tells the console what becomes of the cases, and counts them."""

    def __init__(self, console: Console, total: int, debug: bool) -> None:
        self._console = console
        self._total = total
        self._debug = debug
        self.done = 0
        self.failed = 0
        self.was_there = 0

    def outcome(self, outcome: "Outcome", was_there: bool) -> None:
        """Count a case and say what became of it."""
        self.failed += outcome.failed
        self.done += not outcome.failed
        self.was_there += was_there
        for notice in outcome.warnings if not was_there else ():
            self._console.warn(notice.code, f"{outcome.case}: {notice.message}")
        if outcome.failed:
            self._console.warn("case-failed", f"{outcome.case}: {outcome.message}")
        self._console.progress("cases", self.done + self.failed, self._total)

    def error(self, error: Exception) -> None:
        """Show where a case failed, when that was asked for."""
        if self._debug:
            traceback.print_exception(error)

    def end(self, table: Path) -> None:
        """Say how many there are of each."""
        there = f" ({self.was_there} from earlier runs)" if self.was_there else ""
        self._console.say(f"{self.done} done{there}, {self.failed} failed: {table}")
        self._console.result(
            {
                "table": str(table),
                "cases": self._total,
                "done": self.done,
                "from_earlier_runs": self.was_there,
                "failed": self.failed,
            }
        )
