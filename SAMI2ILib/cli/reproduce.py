"""`sami2i reproduce`: the paper's tables and figures of all systems, over days and nodes."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.cli.cancellation import stop_requested
from SAMI2ILib.cli.console import Console, SilentConsole
from SAMI2ILib.cli.job_lines import job_line, list_jobs, teller
from SAMI2ILib.cli.option_values import add_device
from SAMI2ILib.errors import InputError

if TYPE_CHECKING:
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.study.jobs import JobState, Plan
    from SAMI2ILib.study.reproduction import Study
    from SAMI2ILib.training.distributed import World

HELP = "Train and measure every system of the paper; write its tables and figures as one page."

_ARRAY_VARIABLE = "SLURM_ARRAY_TASK_ID"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i reproduce` takes."""
    parser.add_argument(
        "--data", type=Path, metavar="DATASET", help="dataset folder of `sami2i prepare ixi`"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="REPORT",
        help="folder for the page, the tables, the figures and the state of all jobs",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", metavar="T1-T2,...", help="directions (default: T1-T2,T2-T1,T1-PD,PD-T1)"
    )
    parser.add_argument(
        "--systems", metavar="NAMES",
        help="unet, pix2pix, cyclegan, resvit, sam-i2i, rn101, vit-b-16 (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--recipe", choices=("paper", "native"), default="paper",
        help="paper: all as SAM-I2I's authors trained; native: each system as its own (default: "
        "paper)",
    )  # fmt: skip
    parser.add_argument(
        "--budget", nargs=2, metavar=("N", "UNIT"),
        help="training of each cell instead of the recipe's, as 20 epochs, 3 hours, 500 steps",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="trainings of each cell (default: 1)"
    )
    parser.add_argument(
        "--scale", choices=("full", "smoke"), default="full",
        help="smoke: the whole in miniature, on simulated heads, as a test of this machine "
        "(default: full)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a key of every training's configuration, as workers=4; may be repeated",
    )  # fmt: skip
    add_device(parser)
    parser.add_argument(
        "--download-weights", dest="download", action="store_true",
        help="fetch pre-trained weights of CLIP and ResViT that are not on this machine",
    )  # fmt: skip
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--job", type=int, metavar="K",
        help="do one job with all that it needs; an element of a SLURM array takes its own number",
    )  # fmt: skip
    which.add_argument("--plan", action="store_true", help="list the jobs and their state, stop")
    which.add_argument(
        "--report-only", action="store_true", help="write the page from what is done, stop"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Do the jobs that are not done, then write the report."""
    from SAMI2ILib.study.cell_jobs import Workplace
    from SAMI2ILib.study.reproduction import make_plan
    from SAMI2ILib.training.distributed import connected, world_of_environment

    study = _study(args)
    if args.plan:
        console.start("cpu", "a plan is only looked at")
        list_jobs(make_plan(study, args.output).states(), console)
        return 0
    if args.report_only:
        console.start("cpu", "a report is only written")
        return _report(study, make_plan(study, args.output), args.output, console)
    world = world_of_environment()
    number = args.job if args.job is not None else array_element()
    if world.size > 1 and number is None:
        raise InputError(
            "torchrun trains one model with all its processes: say which.", "Pass --job K."
        )
    if not world.is_main:
        console = SilentConsole()
    device = _device(args, study, world)
    console.start(f"{device.description}, {device.precision}", device.reason)
    with stop_requested() as stop, connected(world, device.name):
        workplace = Workplace(
            device,
            world,
            args.download,
            should_stop=stop.is_set,
            progress=console.progress,
            notice=lambda text: console.warn("training", text),
        )
        plan = make_plan(study, args.output, workplace)
        if number is not None:
            return _one_job(plan, number, world, console)
        states = _all_jobs(plan, console)
    return max(_report(study, plan, args.output, console), _exit_code(states))


def array_element(environment: Mapping[str, str] = os.environ) -> int | None:
    """The job that an element of a SLURM array takes; None outside an array.

    Raises:
        InputError: The variable is no whole number.
    """
    text = environment.get(_ARRAY_VARIABLE)
    if text is None:
        return None
    if not text.isdecimal():
        raise InputError(
            f"The environment variable {_ARRAY_VARIABLE} is {text!r}, not a whole number.",
            "Unset it, or say --job K.",
        )
    return int(text)


def _study(args: argparse.Namespace) -> "Study":
    from SAMI2ILib.study.cells import parse_budget
    from SAMI2ILib.study.paper import DIRECTIONS, SYSTEMS, parse_directions, parse_systems
    from SAMI2ILib.study.reproduction import Study

    return Study(
        data=args.data,
        directions=parse_directions(args.tasks) if args.tasks is not None else DIRECTIONS,
        systems=parse_systems(args.systems) if args.systems is not None else tuple(SYSTEMS),
        seeds=args.seeds,
        recipe=args.recipe,
        budget=parse_budget(args.budget) if args.budget is not None else None,
        settings=tuple(args.set),
        scale=args.scale,
    )


def _device(args: argparse.Namespace, study: "Study", world: "World") -> "Device":
    """The device of all jobs; the configurations differ in nothing that matters to it."""
    from SAMI2ILib.study.cells import training_table
    from SAMI2ILib.training.config_file import parse_config, with_assignments
    from SAMI2ILib.training.device import choose_device

    table = with_assignments(training_table(study.cells[0], study.recipe), study.settings)
    return choose_device(parse_config({**table, "data": [{"name": "ixi"}]}), args.device, world)


def _one_job(plan: "Plan", number: int, world: "World", console: Console) -> int:
    """One job: alone with all that it needs, or by all processes of torchrun."""
    import torch

    from SAMI2ILib.study.run import run_plan, run_together

    job = plan.job_of(number)
    tell = teller(console)
    if world.size == 1:
        return _end(run_plan(plan, [job.id], report=tell), console)

    def agree(taken: bool) -> bool:
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        return bool(world.sum(torch.tensor([float(taken)], device=device)) > 0)

    state = run_together(plan, job.id, is_main=world.is_main, agree=agree, report=tell)
    return _end([state], console) if world.is_main else 0


def _all_jobs(plan: "Plan", console: Console) -> "list[JobState]":
    from SAMI2ILib.study.run import run_plan

    return run_plan(plan, report=teller(console))


def _end(states: "list[JobState]", console: Console) -> int:
    for state in states:
        if state.status != "done":
            console.say(job_line(state))
    console.result({"jobs": {str(state.number): state.status for state in states}})
    return _exit_code(states)


def _exit_code(states: "list[JobState]") -> int:
    return 0 if all(state.status == "done" for state in states) else 1


def _report(study: "Study", plan: "Plan", folder: Path, console: Console) -> int:
    from SAMI2ILib.study.report import write_report

    page = write_report(study, plan, folder)
    states = plan.states()
    for state in states:
        if state.status == "failed":
            console.warn("job", f"{state.job.title} failed: {state.message}")
    done = sum(state.status == "done" for state in states)
    console.say(f"{page}: {done} of {len(states)} jobs are done")
    console.result({"report": str(page), "done": done, "jobs": len(states)})
    return 0
