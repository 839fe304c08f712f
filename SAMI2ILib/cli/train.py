"""`sami2i train`: custom weights from paired scans, resumed by the same command."""

import argparse
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import make_folder
from SAMI2ILib.cli.cancellation import stop_requested
from SAMI2ILib.cli.console import Console, SilentConsole
from SAMI2ILib.cli.option_values import add_device, read_assignments
from SAMI2ILib.errors import InputError
from SAMI2ILib.memory import peak_memory_bytes

if TYPE_CHECKING:
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.training.config import TrainingConfig
    from SAMI2ILib.training.distributed import World
    from SAMI2ILib.training.loop import TrainingResult
    from SAMI2ILib.training.schedule import TrainingState
    from SAMI2ILib.training.selection import Selection
    from SAMI2ILib.training.starting_weights import StartingWeights

HELP = "Train a model on prepared scans; the same command goes on after an interruption."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i train` takes."""
    parser.add_argument("config", type=Path, nargs="?", help="TOML file; flags alone are enough")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for checkpoints, logs and the model files",
    )  # fmt: skip
    parser.add_argument(
        "--data", action="append", default=[], metavar="[NAME=]FOLDER",
        help="dataset folder of `sami2i prepare`; once for each data source",
    )  # fmt: skip
    _add_recipe_flags(parser.add_argument_group("recipe"))
    parser.add_argument(
        "--start-from", type=Path, metavar="RUN",
        help="folder of an earlier run whose weights a new run begins with",
    )  # fmt: skip
    add_device(parser)
    parser.add_argument(
        "--download-weights", dest="download", action="store_true",
        help="fetch pre-trained weights that are not on this machine: CLIP's through open_clip, "
        "those of ResViT's transformer through timm",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument(
        "--export-only", action="store_true",
        help="write model files from the last checkpoint and stop",
    )  # fmt: skip


# flag, its key in the configuration, and help
_KEY_FLAGS = (
    (
        "--recipe",
        "recipe",
        str,
        "demo, paper, fidelity; of a compared system demo, paper, native: what all starts from",
    ),
    ("--family", "family", str, "sam-i2i, or to compare it with: unet, pix2pix, cyclegan, resvit"),
    ("--name", "name", str, "of the run; part of the models' ids"),
    ("--source", "source", str, "contrast that goes in"),
    ("--encoder", "encoder.variant", str, "tiny, small, base_plus, large, demo, clip:MODEL/TAG"),
    ("--encoder-checkpoint", "encoder.checkpoint", str, "SAM2 weights: public name or file"),
    ("--clip-checkpoint", "discriminator.checkpoint", str, "file of the discriminator's CLIP"),
    ("--batch", "optimization.batch", int, "crops a step, over all processes"),
    ("--learning-rate", "optimization.learning_rate", float, "peak learning rate"),
    ("--seed", "seed", int, "of every random choice"),
    ("--threads", "threads", int, "CPU threads"),
    ("--workers", "workers", int, "processes that read and cut slices"),
)
_BUDGET_FLAGS = (
    ("--steps", "optimization.steps", int, "optimizer steps, instead of the recipe's budget"),
    ("--epochs", "optimization.epochs", float, "epochs, instead of the recipe's budget"),
    ("--minutes", "optimization.minutes", float, "minutes, instead of the recipe's budget"),
    ("--cpu-minutes", "optimization.cpu_minutes", float, "minutes of the processor, instead"),
)


def _add_recipe_flags(group: "argparse._ArgumentGroup") -> None:
    for flag, key, kind, text in _KEY_FLAGS:
        group.add_argument(
            flag, dest=key, type=kind, metavar="TEXT" if kind is str else "N", help=text
        )
    budget = group.add_mutually_exclusive_group()
    for flag, key, kind, text in _BUDGET_FLAGS:
        budget.add_argument(flag, dest=key, type=kind, metavar="N", help=text)
    group.add_argument("--target", action="append", help="contrast that comes out; may be repeated")
    group.add_argument(
        "--no-adversarial", action="store_true", help="train without the discriminator"
    )
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="any other key of the configuration, as optimization.crop=128; may be repeated",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the plan, train, and write the model files."""
    from SAMI2ILib.training.device import choose_device
    from SAMI2ILib.training.distributed import connected, world_of_environment

    world = world_of_environment()
    if not world.is_main:
        console = SilentConsole()
    config = _configure(args)
    make_folder(args.output)
    device = choose_device(config, args.device, world)
    console.start(f"{device.description}, {device.precision}", device.reason)
    with connected(world, device.name):
        return _run(args, config, device, world, console)


def _run(
    args: argparse.Namespace,
    config: "TrainingConfig",
    device: "Device",
    world: "World",
    console: Console,
) -> int:
    from SAMI2ILib.training.loop import Callbacks, load_result
    from SAMI2ILib.training.run import find_weights_together, train_to_the_end
    from SAMI2ILib.training.selection import select_subjects

    weights = find_weights_together(config, world, args.download)
    selection = select_subjects(config)
    if args.export_only:
        return _export(args, config, load_result(config, selection, args.output, weights),
                       selection, weights, console)  # fmt: skip
    plan = _plan(args, config, selection, weights, device, world, console)
    gc.collect()  # torch's wrapper for several processes holds itself, and so what was measured
    for line in plan:
        console.say(line) if args.dry_run and world.is_main else console.note(line)
    if args.dry_run:
        console.result({"plan": plan})
        return 0
    with stop_requested() as stop:
        callbacks = Callbacks(
            progress=lambda state, spent: _tell(console, state, spent),
            notice=lambda text: console.warn("training", text),
            should_stop=stop.is_set,
        )
        result = train_to_the_end(
            config, selection, weights, args.output, device, world, callbacks, args.start_from
        )
    if not world.is_main:
        return 0
    return _export(args, config, result, selection, weights, console)


def _configure(args: argparse.Namespace) -> "TrainingConfig":
    """Lay the flags over the file, and the file over the recipe."""
    from SAMI2ILib.training.config_file import (
        parse_config,
        read_table,
        with_assignments,
        with_folders,
    )

    table: dict[str, Any] = {} if args.config is None else read_table(args.config)
    assignments = []
    for _, key, _, _ in (*_KEY_FLAGS, *_BUDGET_FLAGS):
        value = getattr(args, key)
        if value is not None:
            assignments.append(f"{key}={_as_toml(value)}")
    if args.no_adversarial:
        assignments.append("optimization.adversarial=0.0")
    table = with_assignments(table, [*assignments, *args.set])
    if args.target:
        table["targets"] = list(dict.fromkeys(args.target))
    if "data" in table:
        return with_folders(parse_config(table), read_assignments(args.data, "--data"))
    table.setdefault("name", f"my-{table.get('recipe', 'demo')}")
    table["data"] = _sources(args.data)
    return parse_config(table)


def _as_toml(value: object) -> str:
    import json

    return json.dumps(value) if isinstance(value, str) else str(value)


def _sources(assignments: list[str]) -> list[dict[str, Any]]:
    """Data sources from flags alone: NAME=FOLDER, or a folder, which gives its own name."""
    if not assignments:
        raise InputError("There is no data to train on.", "Pass --data FOLDER, or a TOML file.")
    sources = []
    for assignment in assignments:
        name, sign, folder = assignment.partition("=")
        if not sign or not name or "/" in name or "\\" in name:
            name, folder = Path(assignment).resolve().name, assignment
        sources.append({"name": name, "folder": folder})
    return sources


def _plan(
    args: argparse.Namespace,
    config: "TrainingConfig",
    selection: "Selection",
    weights: "StartingWeights",
    device: "Device",
    world: "World",
    console: Console,
) -> list[str]:
    """What is about to happen; a run that goes on is not measured again."""
    from SAMI2ILib.training.checkpoint import has_checkpoint
    from SAMI2ILib.training.loop import open_session
    from SAMI2ILib.training.plan import describe_plan, measure_steps, steps_to_measure
    from SAMI2ILib.training.schedule import Schedule

    session = open_session(config, selection, weights, device.name, device.dtype, world)
    steps = steps_to_measure(Schedule(config, selection.slices), args.dry_run)
    goes_on = has_checkpoint(args.output) and not args.dry_run
    measurement, reason = None, "the run goes on" if goes_on else "the run is too short"
    if steps and not goes_on:
        console.note(f"Measuring {steps} steps ...")
        measurement = measure_steps(session, selection, steps, peak_memory_bytes)
    return describe_plan(session, selection, measurement, reason)


def _export(
    args: argparse.Namespace,
    config: "TrainingConfig",
    result: "TrainingResult",
    selection: "Selection",
    weights: "StartingWeights",
    console: Console,
) -> int:
    from SAMI2ILib.training.export import export_models

    files = export_models(config, result, selection, weights, args.output)
    for path in (*files.models, *([files.encoder] if files.encoder else [])):
        console.say(str(path))
    console.result(
        {
            "models": [str(path) for path in files.models],
            "encoder": str(files.encoder) if files.encoder else None,
            "steps": result.state.step,
            "seconds": round(result.state.seconds, 1),
        }
    )
    return 0


def _tell(console: Console, state: "TrainingState", spent: float) -> None:
    console.progress("train", round(1000 * spent), 1000)
    losses = "; ".join(
        f"{target} " + ", ".join(f"{term} {value:.4f}" for term, value in of_target.items())
        for target, of_target in state.losses.items()
    )
    measured = ", ".join(
        f"{target} {of_target['brain_nrmse']:.3f}" for target, of_target in state.validation.items()
    )
    text = f"step {state.step}, {state.seconds / 60:.1f} min: {losses or 'not yet measured'}"
    console.note(text + (f"; validation NRMSE {measured}" if measured else ""))
