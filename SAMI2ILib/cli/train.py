"""`sami2i train`: custom weights from paired scans, resumed by the same command."""

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from SAMI2ILib.atomic import make_folder
from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import CancelledError, InputError

if TYPE_CHECKING:
    from SAMI2ILib.training.config import TrainingConfig
    from SAMI2ILib.training.loop import TrainingState, TrainingSubjects

HELP = "Train a model on paired scans; the same command goes on after an interruption."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i train` takes."""
    parser.add_argument("config", type=Path, help="TOML file of the recipe")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for checkpoints, logs and the model files",
    )  # fmt: skip
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=FOLDER",
        help="where a data source of the recipe lies; once for each",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, help="folder for prepared slices (default: OUTPUT/slices)"
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="optimizer steps, instead of the recipe's budget")
    budget.add_argument("--minutes", type=float, help="minutes, instead of the recipe's budget")
    parser.add_argument(
        "--start-from", type=Path, metavar="RUN",
        help="folder of an earlier run whose weights a new run begins with",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="CPU threads (default: the recipe's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--export-only", action="store_true",
        help="write model files from the last checkpoint and stop",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Prepare the slices, train, and write the model files."""
    from SAMI2ILib.training.config import read_config, with_folders

    config = _with_overrides(with_folders(read_config(args.config), _folders(args.data)), args)
    make_folder(args.output)

    import torch

    from SAMI2ILib.inference.device import cpu_multiplies_faster_in_bf16, select_device
    from SAMI2ILib.training.export import export_models
    from SAMI2ILib.training.loop import load_result, train

    if config.threads:
        torch.set_num_threads(config.threads)
    device = select_device(args.device, "auto" if config.bf16 else "fp32")
    if config.bf16 and not device.is_cuda and cpu_multiplies_faster_in_bf16():
        device = replace(device, precision="bf16")
    console.start(f"{device.description}, {device.precision}", device.reason)
    subjects = _prepare(config, args.cache or args.output / "slices", console)
    if args.export_only:
        result = load_result(config, args.output)
    else:
        with _stop_requested() as stop:
            result = train(
                config,
                subjects,
                args.output,
                device.name,
                device.dtype,
                on_progress=lambda state, spent: _tell(console, state, spent),
                should_stop=stop.is_set,
                start_from=args.start_from,
            )
        if not result.state.finished:
            raise CancelledError(
                f"Stopped after step {result.state.step}; the checkpoint is written.",
                "Run the same command again to go on.",
            )
    files = export_models(config, result, subjects, args.output)
    for path in (*files.models, files.encoder):
        console.say(str(path))
    console.result(
        {
            "models": [str(path) for path in files.models],
            "encoder": str(files.encoder),
            "steps": result.state.step,
            "seconds": round(result.state.seconds, 1),
        }
    )
    return 0


def _folders(assignments: list[str]) -> dict[str, str]:
    folders = {}
    for assignment in assignments:
        name, sign, folder = assignment.partition("=")
        if not (name and sign and folder):
            raise InputError(f"--data {assignment}: expected NAME=FOLDER.", "Add the missing part.")
        folders[name] = folder
    return folders


def _with_overrides(config: "TrainingConfig", args: argparse.Namespace) -> "TrainingConfig":
    from SAMI2ILib.training.config import check_config

    optimization = config.optimization
    if args.steps is not None:
        optimization = replace(optimization, steps=args.steps, minutes=0.0)
    if args.minutes is not None:
        optimization = replace(optimization, steps=0, minutes=args.minutes)
    threads = config.threads if args.threads is None else args.threads
    changed = replace(config, optimization=optimization, threads=threads)
    check_config(changed)
    return changed


def _prepare(config: "TrainingConfig", cache: Path, console: Console) -> "TrainingSubjects":
    from SAMI2ILib.training.loop import TrainingSubjects
    from SAMI2ILib.training.selection import select_subjects
    from SAMI2ILib.training.slices import prepare_slices

    selection = select_subjects(config)
    everybody = [s for source in selection.training for s in source] + list(selection.validation)
    stacks = iter(
        prepare_slices(
            everybody,
            config.source,
            config.targets,
            cache,
            config.threads or os.cpu_count() or 1,
            lambda done, total: console.progress("prepare", done, total),
        )
    )
    training = [[next(stacks) for _ in source] for source in selection.training]
    return TrainingSubjects(training, list(stacks))


def _tell(console: Console, state: "TrainingState", spent: float) -> None:
    console.progress("train", round(1000 * spent), 1000)
    losses = ", ".join(f"{name} {value:.4f}" for name, value in state.losses.items())
    measured = ", ".join(f"{name} {value:.3f}" for name, value in state.validation.items())
    text = f"step {state.step}, {state.seconds / 60:.1f} min: L1 {losses or 'not yet measured'}"
    console.note(text + (f"; validation NRMSE {measured}" if measured else ""))


@contextlib.contextmanager
def _stop_requested() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    event = threading.Event()

    def request(_signal: int, _frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event  # signals arrive in the main thread only
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
