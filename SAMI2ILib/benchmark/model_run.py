"""All arms of one model, in turns over the same slices of the head."""

from contextlib import ExitStack
from typing import Any

import numpy as np

from SAMI2ILib.benchmark.arms import NAIVE, NAIVE_CUDA, find_arm
from SAMI2ILib.benchmark.bench import Bench
from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.ceiling import best_gflops
from SAMI2ILib.benchmark.interleave import Measure, Times, interleave
from SAMI2ILib.benchmark.process import ArmFailedError, ArmProcess

Row = dict[str, Any]

_COLLECTING_SECONDS = 10.0  # for what has been computed already


def measure_model(bench: Bench, model: str, budget: Budget) -> tuple[Row, list[Row]]:
    """Measure a model on all arms.

    Args:
        bench: The benchmark.
        model: Name of the subject.
        budget: Of this model.

    Returns:
        What the model is, and a row for each arm.
    """
    bench.say(f"{model}: preparing")
    names = bench.plan.arm_names
    try:
        facts = bench.ask_once(
            "describe", budget.left, model=model, slices=str(bench.files.slices),
            weights=str(bench.weights_file(model)),
        )  # fmt: skip
    except ArmFailedError as error:
        facts = {"title": model, "slice_shape": None, "parameters": None, "gflop": None}
        described = {"name": model, **facts}
        return described, [_row(model, name, Times(reason=str(error))) for name in names]
    del facts["peak_memory_bytes"], facts["peak_gpu_bytes"]
    rows = _measure_arms(bench, model, names, budget)
    _compare_with_naive(rows)
    for row in rows:
        row["ceiling_fraction"] = _ceiling_fraction(bench, row, facts["gflop"])
    return {"name": model, **facts}, rows


def _measure_arms(bench: Bench, model: str, names: tuple[str, ...], budget: Budget) -> list[Row]:
    rows = {name: _row(model, name, Times()) for name in names}
    trouble = _known_trouble(bench, names) | _export(bench, model, names, budget)
    with ExitStack() as stack:
        processes: dict[str, ArmProcess] = {}
        for name in names:
            bench.say(f"{model}: opening {name}")
            try:
                if name in trouble:
                    raise ArmFailedError(trouble[name])
                processes[name] = _open(bench, model, name, rows[name], budget, stack)
            except ArmFailedError as error:
                rows[name]["reason"] = str(error)
        arms = {name: _slice_of(process) for name, process in processes.items()}
        turns = bench.plan.slices
        times = interleave(
            arms, turns, budget, lambda turn: bench.say(f"{model}: slice {turn} of {turns}")
        )
        for name, of_arm in times.items():
            rows[name] |= _row(model, name, of_arm) | {
                key: rows[name][key] for key in ("open_seconds", "first_open_seconds",
                                                 "first_peak_memory_bytes")
            }  # fmt: skip
            if of_arm.seconds:
                _finish(bench, model, processes[name], rows[name])
    return list(rows.values())


def _known_trouble(bench: Bench, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        arm = find_arm(name)
        reason = arm.trouble or bench.trouble.get("cuda" if arm.is_cuda else "cpu", "")
        if reason:
            found[name] = reason
    return found


def _export(bench: Bench, model: str, names: tuple[str, ...], budget: Budget) -> dict[str, str]:
    """Write the ONNX file where an arm needs it; say for which arms it failed."""
    arms = [find_arm(name) for name in names]
    wanting = [arm.name for arm in arms if arm.library == "onnxruntime" and not arm.trouble]
    if not wanting:
        return {}
    bench.say(f"{model}: exporting to ONNX")
    try:
        weights = str(bench.weights_file(model))
        bench.ask_once("export", budget.left / 3, model=model, weights=weights)
    except ArmFailedError as error:
        return dict.fromkeys(wanting, str(error))
    return {}


def _open(
    bench: Bench, model: str, name: str, row: Row, budget: Budget, stack: ExitStack
) -> ArmProcess:
    options = bench.load_options(model, name)
    if find_arm(name).library == "openvino":
        # The first time it compiles; what a user sees every other time is measured below.
        first = bench.ask_once("open", budget.left, **options)
        row["first_open_seconds"] = first["seconds"]
        row["first_peak_memory_bytes"] = first["peak_memory_bytes"]
    process = stack.enter_context(bench.start())
    row["open_seconds"] = process.ask("open", budget.left, **options)["seconds"]
    return process


def _slice_of(process: ArmProcess) -> Measure:
    def measure(piece: int, timeout: float) -> float:
        return float(process.ask("slice", timeout, index=piece)["seconds"])

    return measure


def _finish(bench: Bench, model: str, process: ArmProcess, row: Row) -> None:
    """Take the outputs and the peak of memory from an arm."""
    path = bench.weights_file(model).with_suffix(f".{row['arm']}.npy")
    try:
        row["slices"] = process.ask("save", _COLLECTING_SECONDS, path=str(path))["slices"]
        memory = process.ask("memory", _COLLECTING_SECONDS)
        row |= memory
    except ArmFailedError as error:
        row["reason"] = str(error)
        return
    row["_outputs"] = dict(zip(row["slices"], np.load(path), strict=True))


def _row(model: str, name: str, times: Times) -> Row:
    arm = find_arm(name)
    return {
        "model": model,
        "arm": name,
        "title": arm.title,
        "library": arm.library,
        "precision": arm.precision,
        "reason": times.reason,
        "seconds": times.seconds,
        "seconds_a_slice": times.median,
        "ratio_to_naive": None,
        "ceiling_fraction": None,
        "open_seconds": None,
        "first_open_seconds": None,
        "peak_memory_bytes": None,
        "peak_gpu_bytes": None,
        "first_peak_memory_bytes": None,
        "agreement_db": None,
        "worst_pixel": None,
        "slices": [],
    }


def _compare_with_naive(rows: list[Row]) -> None:
    """Add the ratios of medians, and how well the outputs agree with those of the naive arm."""
    outputs = {row["arm"]: row.pop("_outputs", {}) for row in rows}
    by_name = {row["arm"]: row for row in rows}
    for row in rows:
        on_gpu = find_arm(row["arm"]).is_cuda and by_name.get(NAIVE_CUDA, {}).get("seconds")
        naive = by_name[NAIVE_CUDA if on_gpu else NAIVE]
        if row["seconds"] and naive["seconds"]:
            row["ratio_to_naive"] = naive["seconds_a_slice"] / row["seconds_a_slice"]
        common = sorted(set(outputs[row["arm"]]) & set(outputs[NAIVE]))
        if common and row["arm"] != NAIVE:
            difference = np.stack([outputs[row["arm"]][n] - outputs[NAIVE][n] for n in common])
            row["agreement_db"] = decibels(difference)
            row["worst_pixel"] = float(np.abs(difference).max())


def decibels(difference: Any) -> float | None:
    """PSNR of images in [0, 1] from their differences; None where they are equal."""
    mean_square = float(np.mean(np.square(difference, dtype=np.float64)))
    return None if mean_square == 0 else float(-10 * np.log10(mean_square))


def _ceiling_fraction(bench: Bench, row: Row, gflop: float) -> float | None:
    on_gpu = find_arm(row["arm"]).is_cuda
    products = [p for p in bench.products if (p.device != "cpu") == on_gpu]
    best = best_gflops(products, row["precision"])
    if best is None or not row["seconds_a_slice"]:
        return None
    return float(gflop / row["seconds_a_slice"] / best)
