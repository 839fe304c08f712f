"""Runs a benchmark from the start-up to the growth and returns what its file holds."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from SAMI2ILib.benchmark.arms import find_arm
from SAMI2ILib.benchmark.bench import Bench, Files
from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.ceiling import Product
from SAMI2ILib.benchmark.growth import measure_growth
from SAMI2ILib.benchmark.head import HEAD_SHAPE_KJI, write_head
from SAMI2ILib.benchmark.interleave import interleave
from SAMI2ILib.benchmark.model_run import Row, measure_model
from SAMI2ILib.benchmark.plan import Plan
from SAMI2ILib.benchmark.process import ArmFailedError, ArmProcess
from SAMI2ILib.benchmark.start_up import measure_start_up
from SAMI2ILib.benchmark.subject_names import BUNDLED, HEADLESS
from SAMI2ILib.machine import describe_hardware, describe_software

FORMAT = "sami2i-benchmark"
FORMAT_VERSION = 1

_LARGEST_PART = 0.6  # of the time that is left, for the slices of one model
_GROWTH_SECONDS = 180.0
_TRAINING_LOOPS = ("straightforward", "trainer")


def run_benchmark(plan: Plan, say: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """Measure everything that a plan asks for, within its minutes.

    Args:
        plan: What to measure.
        say: Told what is being measured.

    Returns:
        What `assets/schema/benchmark-1.json` describes.
    """
    budget = Budget(60 * plan.minutes)
    with tempfile.TemporaryDirectory(prefix="sami2i-bench-", ignore_cleanup_errors=True) as folder:
        head, slices, numbers = write_head(Path(folder), plan.slices)
        bench = Bench(plan, Files(Path(folder), head, slices), budget, say)
        say("start-up")
        start_up = measure_start_up(budget)
        _measure_ceiling(bench)
        models, arms = _measure_models(bench)
        heads = _measure_heads(bench, arms) if plan.heads else []
        training = _measure_training(bench) if plan.training else None
        growth = _measure_growth(bench, arms) if plan.growth and plan.models else []
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "software": describe_software(),
        "hardware": describe_hardware(),
        "threads": plan.threads,
        "minutes": plan.minutes,
        "seconds": budget.spent,
        "head_shape": list(HEAD_SHAPE_KJI),
        "head_slices": numbers,
        "ceiling": [asdict(product) for product in bench.products],
        "models": models,
        "arms": arms,
        "heads": heads,
        "growth": growth,
        "training": training,
        "start_up": start_up,
    }


def _measure_ceiling(bench: Bench) -> None:
    bench.say("matrix products")
    devices = {"cuda" if find_arm(name).is_cuda else "cpu" for name in bench.plan.arm_names}
    for device in sorted(devices):
        try:
            answer = bench.ask_once(
                "ceiling", bench.budget.left / 4, threads=bench.plan.threads, device=device,
                size=bench.plan.ceiling_size,
            )  # fmt: skip
        except ArmFailedError as error:
            if device != "cpu":  # the processor is there, its arms have only no ceiling
                bench.trouble[device] = str(error)
            continue
        bench.products += [Product(**product) for product in answer["products"]]


def _measure_models(bench: Bench) -> tuple[list[Row], list[Row]]:
    models, arms = [], []
    for name in bench.plan.models:
        facts, rows = measure_model(bench, name, bench.budget.share(_LARGEST_PART))
        models.append(facts)
        arms += rows
    return models, arms


def fastest_own_arm(arms: list[Row], model: str) -> str | None:
    """The arm by which `translate` is fastest; None where none of them could run."""
    own = [
        row for row in arms
        if row["model"] == model and row["seconds_a_slice"] and find_arm(row["arm"]).is_own
    ]  # fmt: skip
    return min(own, key=lambda row: float(row["seconds_a_slice"]))["arm"] if own else None


def _measure_heads(bench: Bench, arms: list[Row]) -> list[Row]:
    """Translate the whole head with each model, by the path that a user takes."""
    rows = []
    for model in bench.plan.models:
        arm = fastest_own_arm(arms, model)
        if model in HEADLESS or arm is None:
            continue
        bench.say(f"{model}: a whole head on {arm}")
        row: Row = {"model": model, "arm": arm, "reason": ""}
        try:
            answer = bench.ask_once(
                "head", bench.budget.left, head=str(bench.files.head), slices=0,
                **bench.load_options(model, arm),
            )  # fmt: skip
        except ArmFailedError as error:
            row["reason"], answer = str(error), {}
        names = (
            "open_seconds", "seconds", "slices", "translated_slices", "peak_memory_bytes",
            "peak_gpu_bytes",
        )  # fmt: skip
        rows.append(row | {name: answer.get(name) for name in names})
    return rows


def _measure_growth(bench: Bench, arms: list[Row]) -> list[Row]:
    models = bench.plan.models
    model = BUNDLED if BUNDLED in models else models[0]
    arm = fastest_own_arm(arms, model)
    if arm is None:
        return []
    seconds = min(_GROWTH_SECONDS, bench.budget.left)
    return measure_growth(bench, model, arm, Budget(max(seconds, 1e-9)))


def _measure_training(bench: Bench) -> dict[str, Any]:
    """Let both training loops take turns, step by step."""
    encoder, folder = bench.plan.training, str(bench.files.folder)
    rows = {loop: _training_row(loop) for loop in _TRAINING_LOOPS}
    processes: dict[str, ArmProcess] = {}
    try:
        bench.say(f"training with {encoder}: preparing")
        bench.ask_once("training_files", bench.budget.left, encoder=encoder, folder=folder)
        for loop in rows:
            processes[loop] = bench.start()
            rows[loop] |= processes[loop].ask(
                "training", bench.budget.left, loop=loop, encoder=encoder, folder=folder,
                threads=bench.plan.threads,
            )  # fmt: skip
        _take_training_steps(bench, processes, rows)
    except ArmFailedError as error:
        for row in rows.values():
            row["reason"] = "" if row["seconds"] else str(error)
    finally:
        for process in processes.values():
            process.close()
    base, ours = (rows[loop]["images_a_second"] for loop in _TRAINING_LOOPS)
    return {
        "recipe": "paper",
        "encoder": encoder,
        "loops": list(rows.values()),
        "ratio": ours / base if base and ours else None,
    }


def _take_training_steps(
    bench: Bench, processes: dict[str, ArmProcess], rows: dict[str, Row]
) -> None:
    def measure(loop: str) -> Callable[[int, float], float]:
        def step(_number: int, timeout: float) -> float:
            answer = processes[loop].ask("step", timeout)
            rows[loop]["l1"].append(answer["l1"])
            rows[loop]["waited_seconds"].append(answer["waited_seconds"])
            return float(answer["seconds"])

        return step

    arms = {loop: measure(loop) for loop in processes}
    steps = bench.plan.training_steps
    times = interleave(
        arms, steps, bench.budget, lambda turn: bench.say(f"training: step {turn} of {steps}")
    )
    for loop, of_loop in times.items():
        rows[loop]["seconds"] = of_loop.seconds
        rows[loop]["reason"] = of_loop.reason
        if of_loop.median:
            rows[loop]["images_a_second"] = rows[loop]["batch"] / of_loop.median
            rows[loop] |= processes[loop].ask("memory", bench.budget.left)


def _training_row(loop: str) -> Row:
    return {
        "loop": loop, "reason": "", "precision": None, "batch": None, "seconds": [],
        "waited_seconds": [], "l1": [], "images_a_second": None, "peak_memory_bytes": None,
        "peak_gpu_bytes": None,
    }  # fmt: skip
