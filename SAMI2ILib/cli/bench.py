"""`sami2i bench`: speed, memory and agreement, side by side with the naive pipeline."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import check_place, write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import name_list, positive_count
from SAMI2ILib.errors import InputError, MissingError

if TYPE_CHECKING:
    from SAMI2ILib.benchmark.plan import Plan

HELP = "Measure speed, memory and agreement of every back end beside the naive pipeline."
_DEFAULT_MODELS = "tiny,base_plus,bundled,unet,resvit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i bench` takes."""
    parser.add_argument(
        "--models", type=str, default=_DEFAULT_MODELS, metavar="NAME,...",
        help="tiny, small, base_plus, large, unet, resvit (random weights), bundled, or ids or "
        f"files of models; empty measures none (default: {_DEFAULT_MODELS})",
    )  # fmt: skip
    parser.add_argument("--arms", metavar="NAME,...", help="only these beside the naive one")
    parser.add_argument(
        "--slices", type=int, default=5, help="slices each arm runs, 3 to 8 (default: 5)"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="it ends by then (default: 30)")
    parser.add_argument(
        "--threads", type=positive_count, help="CPU threads (default: all processors)"
    )
    parser.add_argument("--no-heads", action="store_true", help="translate no whole head")
    parser.add_argument(
        "--no-growth", action="store_true",
        help="leave out how time and memory grow with slices, field of view and batch",
    )  # fmt: skip
    parser.add_argument(
        "--training", type=str, nargs="?", const="base_plus", default="", metavar="TRUNK",
        help="measure a training step of the paper's recipe too (default trunk: base_plus)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument(
        "--from", type=Path, dest="source", metavar="FILE",
        help="measure nothing: read the figures that --json wrote",
    )  # fmt: skip
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE",
        help="write the tables; in a page with the marks of `sami2i bench` between these",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios into a PNG")


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure, or read what was measured; print, write and draw it."""
    from SAMI2ILib.benchmark.report import write_report

    _check_places(args)
    results = _measure(args, console) if args.source is None else _read(args.source)
    if args.json:
        write_text(json.dumps(results, indent=1) + "\n", args.json)
    report = write_report(results)
    console.say(report.rstrip())
    if args.markdown:
        _write_markdown(report, args.markdown)
    if args.plot:
        from SAMI2ILib.benchmark.plot import save_plot

        save_plot(results, args.plot)
    console.result(results)
    return 0


def _measure(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from SAMI2ILib.benchmark.run import run_benchmark
    from SAMI2ILib.machine import describe_hardware

    plan = _plan(args)
    for name in plan.models:
        _check_name(name)
    console.start(describe_hardware()["cpu"], f"{plan.threads} threads, {plan.minutes:g} minutes")
    return run_benchmark(plan, console.note)


def _plan(args: argparse.Namespace) -> "Plan":
    from SAMI2ILib.benchmark.arms import ARM_NAMES
    from SAMI2ILib.benchmark.plan import Plan
    from SAMI2ILib.machine import cpu_count

    return Plan(
        models=name_list(args.models),
        arms=ARM_NAMES if args.arms is None else name_list(args.arms),
        slices=args.slices,
        minutes=args.minutes,
        threads=args.threads or cpu_count(),
        heads=not args.no_heads,
        growth=not args.no_growth,
        training=args.training,
    )


def _check_name(name: str) -> None:
    """Refuse a model that is not there before minutes go by with the others.

    Raises:
        MissingError: There is no such model.
        ModelError: Its file is damaged.
    """
    from SAMI2ILib.benchmark.subject_names import BUNDLED, RANDOM_SUBJECTS
    from SAMI2ILib.weights.store import Store

    if name in (*RANDOM_SUBJECTS, BUNDLED):
        return
    try:
        Store().find(name)
    except MissingError as error:
        known = ", ".join((BUNDLED, *RANDOM_SUBJECTS))
        raise MissingError(error.message, f"--models takes {known}, too. {error.hint}") from error


def _read(path: Path) -> dict[str, Any]:
    from SAMI2ILib.benchmark.results_file import read_results

    return read_results(path)


def _check_places(args: argparse.Namespace) -> None:
    """Refuse a file that could not be written, before the measuring."""
    for path in (args.json, args.markdown, args.plot):
        if path is not None:
            check_place(path)
    if args.markdown:
        _page(args.markdown, "")
    if args.plot and args.plot.suffix.lower() != ".png":
        raise InputError(f"{args.plot.name!r} is not the name of a PNG file.", "End it in .png.")


def _write_markdown(report: str, path: Path) -> None:
    write_text(_page(path, report), path)


def _page(path: Path, report: str) -> str:
    from SAMI2ILib.benchmark.report import BEGIN_MARK, END_MARK
    from SAMI2ILib.marked_page import insert_between

    return insert_between(path, BEGIN_MARK, END_MARK, report)
