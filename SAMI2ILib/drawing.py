"""Figures that leave the caller's pyplot and its back end alone, and the PNG that they become."""

import io
from pathlib import Path
from typing import Any, Literal

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import MissingError


def require_matplotlib() -> None:
    """Make sure that `new_figure` will succeed.

    Raises:
        MissingError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingError(
            "The picture needs matplotlib, which is not installed.", "Run: pip install matplotlib"
        ) from error


def new_figure(
    width: float,
    height: float,
    *,
    color: str = "white",
    layout: Literal["constrained"] | None = None,
) -> Any:
    """Make an empty figure with a canvas of its own.

    Args:
        width: In inches.
        height: In inches.
        color: Of the background.
        layout: matplotlib's layout engine; without one the caller places the axes.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        MissingError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=color, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def png_bytes(figure: Any, dots_per_inch: int) -> bytes:
    """Draw a figure as the content of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dots_per_inch, facecolor=figure.get_facecolor())
    return data.getvalue()


def save_png(figure: Any, path: Path, dots_per_inch: int) -> None:
    """Draw a figure into a PNG file, which appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    picture = png_bytes(figure, dots_per_inch)
    with atomic_path(path) as partial:
        partial.write_bytes(picture)
