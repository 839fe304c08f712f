"""How time and memory grow with slices, field of view and batch, on one model's fastest arm."""

from typing import Any

from SAMI2ILib.benchmark.bench import Bench
from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.interleave import NO_TIME
from SAMI2ILib.benchmark.process import ArmFailedError, ArmProcess

HEAD_SLICES = (16, 32, 64, 128)
FIELD_SIZES = (192, 256, 320, 384)
BATCHES = (1, 2, 4, 8)
_RUNS = 3


def measure_growth(bench: Bench, model: str, arm: str, budget: Budget) -> list[dict[str, Any]]:
    """Measure each size in a process of its own.

    Args:
        bench: The benchmark.
        model: Name of the subject.
        arm: Name of one of the software's own back ends.
        budget: Of all sizes together.

    Returns:
        For each: `kind` ("slices", "field of view" or "batch"), `value`, `seconds` of all slices
        together, `peak_memory_bytes`, `peak_gpu_bytes`, and a `reason` where it was not measured.
    """
    rows = []
    options = bench.load_options(model, arm)
    for kind, values in (
        ("slices", HEAD_SLICES), ("field of view", FIELD_SIZES), ("batch", BATCHES)
    ):  # fmt: skip
        for value in values:
            bench.say(f"{model}: growth with {kind}, {value}")
            row = {"model": model, "arm": arm, "kind": kind, "value": value, "reason": ""}
            found = dict.fromkeys(("seconds", "peak_memory_bytes", "peak_gpu_bytes"))
            try:
                if not budget.left:
                    raise ArmFailedError(NO_TIME)
                found = _measure(bench, kind, value, options, budget)
            except ArmFailedError as error:
                row["reason"] = str(error)
            rows.append({**row, **found})
    return rows


def _measure(
    bench: Bench, kind: str, value: int, options: dict[str, Any], budget: Budget
) -> dict[str, Any]:
    if kind == "slices":
        head = bench.ask_once(
            "head", budget.left, head=str(bench.files.head), slices=value, **options
        )
        return {name: head[name] for name in ("seconds", "peak_memory_bytes", "peak_gpu_bytes")}
    if kind == "field of view":  # what it compiles stays out of the peak of the next process
        bench.ask_once("field", budget.left, size=value, **options)
    with bench.start() as process:
        if kind == "field of view":
            process.ask("field", budget.left, size=value, **options)
            seconds = _median(process, budget, "slice", index=0)
        else:
            process.ask("open", budget.left, **options)
            seconds = _median(process, budget, "batch", count=value)
        return {"seconds": seconds, **process.ask("memory", budget.left)}


def _median(process: ArmProcess, budget: Budget, do: str, **options: Any) -> float:
    """The median of some runs after one that does not count."""
    seconds = [process.ask(do, budget.left, **options)["seconds"] for _ in range(1 + _RUNS)]
    return float(sorted(seconds[1:])[_RUNS // 2])
