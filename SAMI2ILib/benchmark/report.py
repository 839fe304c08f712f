"""A benchmark in words: Markdown tables for the console and for the documentation."""

from collections.abc import Sequence
from typing import Any

from SAMI2ILib.benchmark.arms import NAIVE
from SAMI2ILib.benchmark.model_run import Row

BEGIN_MARK = "<!-- sami2i bench: begin -->"
END_MARK = "<!-- sami2i bench: end -->"


def write_report(results: dict[str, Any]) -> str:
    """Write all tables of a benchmark as Markdown.

    Args:
        results: As `run_benchmark` returns them.
    """
    parts = [_machine(results), _ceiling(results["ceiling"])]
    for model in results["models"]:
        rows = [row for row in results["arms"] if row["model"] == model["name"]]
        parts.append(_model(model, rows, results))
    parts += [_heads(results), _growth(results["growth"]), _training(results["training"])]
    parts.append(_start_up(results["start_up"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; its first column is text, the others are numbers."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    cells = [
        [cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(pairs)]
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]
    cells.insert(1, rule)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _machine(results: dict[str, Any]) -> str:
    hardware, software = results["hardware"], results["software"]
    memory = hardware["memory_bytes"]
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores ({', '.join(hardware['instructions'])}), "
        f"{_gigabytes(memory)} of memory, {hardware['system']}; {results['threads']} threads; "
        f"{versions}. One run of {results['seconds'] / 60:.1f} minutes."
    )


def _ceiling(products: list[dict[str, Any]]) -> str:
    if not products:
        return ""
    best: dict[tuple[str, str], float] = {}
    for p in products:
        key = p["device"], p["precision"]
        best[key] = max(best.get(key, 0.0), p["gflops"] or 0.0)
    rows = []
    for p in products:
        if p["gflops"] is None:
            speed = f"not measured: {p['reason']}"
        else:
            is_best = p["gflops"] == best[p["device"], p["precision"]]
            speed = f"{p['gflops']:.0f}" + (" (ceiling)" if is_best else "")
        rows.append([p["library"], p["device"], p["precision"], speed])
    sizes = dict.fromkeys(f"{p['size']}x{p['size']}" for p in products)
    title = f"Products of {' and '.join(sizes)} matrices, billions of operations a second:"
    return f"{title}\n\n{table(('library', 'device', 'precision', 'GFLOP/s'), rows)}"


def _model(model: Row, rows: list[Row], results: dict[str, Any]) -> str:
    head = (
        "arm", "precision", "s a slice", "s a head", "times naive", "of ceiling", "peak memory",
        "agreement", "worst pixel",
    )  # fmt: skip
    measured = [row for row in rows if row["seconds"]]
    lines = [_arm_line(row, results["head_shape"][0]) for row in measured]
    text = f"### {model['title']}\n\n"
    if model["gflop"]:
        size = "x".join(str(n) for n in model["slice_shape"])
        text += (
            f"{model['parameters'] / 1e6:.1f} M parameters, {model['gflop'] / 2:.0f} GMAC for a "
            f"slice of {size}.\n\n"
        )
    if lines:
        text += table(head, lines)
    missing = [row for row in rows if not row["seconds"]]
    reasons: dict[str, list[str]] = {}
    for row in missing:
        reasons.setdefault(row["reason"], []).append(row["arm"])
    for reason, names in reasons.items():
        text += f"\n\nNot run: {', '.join(names)}: {reason}"
    return text.rstrip()


def _arm_line(row: Row, slices: int) -> list[str]:
    median = row["seconds_a_slice"]
    return [
        row["title"],
        row["precision"],
        f"{median:.3g}",
        f"{median * slices:.0f}",
        _number(row["ratio_to_naive"], ".2f"),
        _percent(row["ceiling_fraction"]),
        _memory_cell(row),
        _agreement(row),
        _number(row["worst_pixel"], ".1e"),
    ]


def _agreement(row: Row) -> str:
    if row["arm"] == NAIVE:
        return "reference"
    return "equal" if row["worst_pixel"] == 0 else _number(row["agreement_db"], ".0f", " dB")


def _peak(row: Row) -> str:
    text, gpu = _gigabytes(row["peak_memory_bytes"]), row.get("peak_gpu_bytes")
    return text if gpu is None else f"{text}, of the GPU {_gigabytes(gpu)}"


def _memory_cell(row: Row) -> str:
    text = _peak(row)
    first = row["first_peak_memory_bytes"]
    return f"{text} (first time {_gigabytes(first)})" if first else text


def _heads(results: dict[str, Any]) -> str:
    rows, missing = [], []
    titles = {model["name"]: model["title"] for model in results["models"]}
    for row in results["heads"]:
        if row["seconds"] is None:
            missing.append(f"Not run: {titles[row['model']]} on {row['arm']}: {row['reason']}")
            continue
        arm, naive = (_find_arm(results, row["model"], name) for name in (row["arm"], "naive"))
        whole = arm["seconds_a_slice"] * row["slices"]
        naive_whole = naive["seconds_a_slice"] and naive["seconds_a_slice"] * row["slices"]
        ratios = [naive_whole and naive_whole / seconds for seconds in (whole, row["seconds"])]
        rows.append([
            titles[row["model"]], row["arm"], f"{whole:.1f}", f"{row['seconds']:.1f}",
            f"{row['translated_slices']} of {row['slices']}",
            *(_number(ratio, ".2f") for ratio in ratios),
            _peak(row),
        ])  # fmt: skip
    if not rows and not missing:
        return ""
    head = (
        "model", "arm", "s, all slices (extrapolated)", "s, as a user runs it", "slices translated",
        "times naive, all slices", "times naive, as run", "peak memory",
    )  # fmt: skip
    shape = "x".join(str(n) for n in reversed(results["head_shape"]))
    text = (
        f"### A whole head of {shape}\n\nThe naive pipeline runs every slice; ours skips those "
        "without foreground.\n\n"
    )
    parts = [text.rstrip(), *([table(head, rows)] if rows else []), *missing]
    return "\n\n".join(parts)


def _find_arm(results: dict[str, Any], model: str, arm: str) -> Row:
    rows: list[Row] = results["arms"]
    return next(row for row in rows if (row["model"], row["arm"]) == (model, arm))


def _growth(growth: list[Row]) -> str:
    if not growth:
        return ""
    measured = [row for row in growth if row["seconds"] is not None]
    rows = [
        [f"{row['value']} {_UNITS[row['kind']]}", f"{row['seconds']:.2f}", _peak(row)]
        for row in measured
    ]
    parts = [f"### Growth: {growth[0]['model']} on {growth[0]['arm']}"]
    if rows:
        parts.append(table(("", "seconds in all", "peak memory"), rows))
    reasons: dict[str, list[str]] = {}
    for row in growth:
        if row["reason"]:
            reasons.setdefault(row["reason"], []).append(f"{row['value']} {_UNITS[row['kind']]}")
    parts += [f"Not run: {', '.join(sizes)}: {reason}" for reason, sizes in reasons.items()]
    return "\n\n".join(parts)


_UNITS = {"slices": "slices of a head", "field of view": "pixels a side", "batch": "a batch"}


def _training(training: dict[str, Any] | None) -> str:
    if training is None:
        return ""
    text = f"### Training: a step of the `{training['recipe']}` recipe, {training['encoder']}\n\n"
    rows = []
    for loop in training["loops"]:
        if not loop["seconds"]:
            text += f"Not run: {loop['loop']}: {loop['reason']}\n\n"
            continue
        waited = max(loop["waited_seconds"][1:], default=None)
        rows.append([
            loop["loop"], loop["precision"], f"{loop['images_a_second']:.3g}",
            _number(waited, ".3f"), _peak(loop),
        ])  # fmt: skip
    if rows:
        head = (
            "loop",
            "precision",
            "images a second",
            "longest wait for a batch, s",
            "peak memory",
        )
        text += table(head, rows)
    if training["ratio"]:
        text += f"\n\nThe trainer takes {training['ratio']:.2f} times the images a second."
    return text.rstrip()


def _start_up(rows: list[dict[str, Any]]) -> str:
    lines = [
        [row["what"], _milliseconds(row["seconds"]), _milliseconds(row["beyond"])] for row in rows
    ]
    head = ("process", "ms", "ms beyond the interpreter's own")
    return f"### Start-up\n\n{table(head, lines)}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f}"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.0f} %"


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:.2f} GB"
