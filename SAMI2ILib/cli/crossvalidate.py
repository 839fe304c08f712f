"""`sami2i crossvalidate`: systems compared by leaving out one subject after the other."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.atomic import check_place, make_folder, write_text
from SAMI2ILib.cli.cancellation import stop_requested
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.job_lines import list_jobs, teller
from SAMI2ILib.cli.option_values import add_device, read_assignments

if TYPE_CHECKING:
    import threading

    from SAMI2ILib.study.crossvalidation_jobs import Comparison, Machine
    from SAMI2ILib.study.jobs import JobState, Plan

HELP = "Compare systems by leave-one-subject-out; the same command goes on after an interruption."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i crossvalidate` takes."""
    parser.add_argument("config", type=Path, help="TOML file: contrasts, subjects, systems")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for trainings, the state of the jobs, and the tables",
    )  # fmt: skip
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=FOLDER",
        help="dataset folder of a data source of the recipes, or of 'test_from'; once for each",
    )  # fmt: skip
    add_device(parser)
    parser.add_argument("--plan", action="store_true", help="list the jobs and stop")
    parser.add_argument(
        "--job", action="append", default=[], metavar="K",
        help="do only this job of the list, by number or id, and those that it needs; may be "
        "repeated",
    )  # fmt: skip
    parser.add_argument(
        "--no-wait", dest="wait", action="store_false",
        help="end where only jobs that other processes work on are left",
    )  # fmt: skip
    parser.add_argument(
        "--page", type=Path, metavar="FILE",
        help="write the tables into this Markdown file too, between its two marks if it has them",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Do the jobs that are not done yet, and write the tables of what is measured."""
    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.study.crossvalidation_page import insert_page

    device = select_device(args.device)
    console.start(device.description, device.reason)
    comparison = _read(args)
    make_folder(args.output)
    if args.page is not None:  # days before it is written
        check_place(args.page)
        insert_page("", args.page)
    with stop_requested() as stop:
        plan = comparison.plan(_machine(args, stop, console))
        if args.plan:
            list_jobs(plan.states(), console)
            return 0
        chosen = [_job_id(plan, text) for text in args.job]
        _warn_of_budgets(comparison, console)
        states = _work(plan, chosen, args.wait, console)
    _write_tables(args, comparison, plan, console)
    failed = [state for state in states if state.status == "failed"]
    for state in failed:
        console.warn("job-failed", f"{state.number} {state.job.title}: {state.message}")
    done = sum(state.status == "done" for state in states)
    console.say(f"{done} of {len(states)} jobs are done.")
    console.result({"jobs": len(states), "done": done, "failed": len(failed)})
    return 1 if failed else 0


def _read(args: argparse.Namespace) -> "Comparison":
    from SAMI2ILib.study.crossvalidation import choose_cohort, plan_trainings, read_crossvalidation
    from SAMI2ILib.study.crossvalidation_jobs import Comparison

    folders = read_assignments(args.data, "--data")
    asked = read_crossvalidation(args.config)
    cohort = choose_cohort(asked, folders)
    return Comparison(args.output, asked, cohort, tuple(plan_trainings(asked, cohort, folders)))


def _machine(args: argparse.Namespace, stop: "threading.Event", console: Console) -> "Machine":
    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.study.crossvalidation_jobs import Machine
    from SAMI2ILib.training.device import choose_device
    from SAMI2ILib.training.distributed import World

    return Machine(
        train_on=lambda config: choose_device(config, args.device, World()),
        measure_on=lambda: select_device(args.device, "fp32"),
        should_stop=stop.is_set,
        on_progress=lambda spent: console.progress("train", round(1000 * spent), 1000),
        notice=lambda text: console.warn("training", text),
    )


def _warn_of_budgets(comparison: "Comparison", console: Console) -> None:
    """Say where the systems are not given the same."""
    from SAMI2ILib.study.training import budget_of

    budgets: dict[str, set[str]] = {}
    for training in comparison.trainings:
        of_system = budgets.setdefault(training.system, set())
        of_system.add(f"{training.is_pretraining} {sorted(budget_of(training.config).items())}")
    if len({frozenset(of_system) for of_system in budgets.values()}) > 1:
        console.warn(
            "budgets-differ",
            "The recipes give the systems different budgets; compare the time of the processor "
            "that the page lists.",
        )


def _job_id(plan: "Plan", text: str) -> str:
    return plan.job_of(int(text)).id if text.isdigit() else plan[text].id


def _work(plan: "Plan", chosen: Sequence[str], wait: bool, console: Console) -> "list[JobState]":
    from SAMI2ILib.study.run import run_plan

    return run_plan(plan, chosen, report=teller(console), wait=wait)


def _write_tables(
    args: argparse.Namespace, comparison: "Comparison", plan: "Plan", console: Console
) -> None:
    """Write the tables of the subjects that all systems are measured on by now."""
    from SAMI2ILib.evaluation.tables import text_table, write_evaluation
    from SAMI2ILib.study.crossvalidation_page import facts_of, insert_page

    measured = comparison.collect(plan)
    if not measured:
        console.note("Nobody is measured by all systems yet: there is no table.")
        return
    asked = comparison.asked
    title = asked.title or f"{asked.source} to {asked.target}, leave one subject out"
    facts = facts_of(comparison, measured)
    write_evaluation(args.output, measured, title=title, facts=facts, seed=asked.seed)
    console.say(text_table(measured))
    if args.page is not None:
        page = (args.output / "evaluation.md").read_text(encoding="utf-8")
        write_text(insert_page(page, args.page), args.page)
