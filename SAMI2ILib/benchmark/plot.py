"""A benchmark as a picture: how many times faster than the naive pipeline each arm is."""

from pathlib import Path
from typing import Any

from SAMI2ILib.drawing import new_figure, save_png
from SAMI2ILib.errors import InputError

_COLORS = {"fp32": "#3b6ea5", "bf16": "#d9822b", "fp16": "#7a9a3a"}
_INCHES_A_BAR = 0.26
_WIDTH = 8.0
_DOTS_PER_INCH = 110


def save_plot(results: dict[str, Any], path: Path) -> None:
    """Draw a bar for each arm of each model into a PNG.

    Args:
        results: As `run_benchmark` returns them.
        path: Of the PNG; written atomically.

    Raises:
        InputError: No arm was measured.
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    rows = [row for row in results["arms"] if row["ratio_to_naive"]]
    if not rows:
        raise InputError("There is nothing to plot: no arm was measured.", "Run it again.")
    models = [m for m in results["models"] if any(row["model"] == m["name"] for row in rows)]
    counts = [sum(row["model"] == model["name"] for row in rows) for model in models]
    figure = new_figure(_WIDTH, _INCHES_A_BAR * (sum(counts) + 3 * len(models)))
    axes = figure.subplots(
        len(models), 1, sharex=True, squeeze=False, height_ratios=[n + 1 for n in counts]
    )[:, 0]
    for place, model in zip(axes, models, strict=True):
        _draw(place, model, [row for row in rows if row["model"] == model["name"]])
    axes[-1].set_xlabel("times as fast as the naive pipeline (median of slices, one run)")
    figure.tight_layout()
    save_png(figure, path, _DOTS_PER_INCH)


def _draw(axes: Any, model: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    names = [f"{row['title']}, {row['precision']}" for row in rows]
    ratios = [row["ratio_to_naive"] for row in rows]
    colors = [_COLORS[row["precision"]] for row in rows]
    bars = axes.barh(names, ratios, color=colors, height=0.7)
    labels = [f"{row['ratio_to_naive']:.1f}x, {row['seconds_a_slice']:.2g} s" for row in rows]
    axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_title(model["title"], loc="left", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.2)
    axes.axvline(1, color="gray", linewidth=0.8, linestyle=":")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
