"""Draws the pictures of translations under Resources/.

    python -m Testing.pictures -o Resources --comparison FOLDER --data DATASET

`demo.png` is what `sami2i demo` draws of its simulated head, compressed. `real-scans.png` shows
axial slices of patients, each translated by the model that was trained without this patient: FOLDER
is what `sami2i crossvalidate docs/reference/recipes/leave-one-out/comparison.toml` made, DATASET
its data source "real". Axial slices of a brain, because a profile shows the face.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from SAMI2ILib.cli.main import main as sami2i
from SAMI2ILib.data.dataset import SubjectSlices, open_dataset
from SAMI2ILib.evaluation.prepared_pairs import read_prepared_pair
from SAMI2ILib.evaluation.systems import ModelSystem
from SAMI2ILib.inference.model_loader import load_model

DEMO_WIDTH = 860
GRAYS = 128
ERROR_COLORS = "inferno"
COLUMNS = ("T1 (input)", "synthetic T2", "real T2")


@dataclass(frozen=True)
class Row:
    """One patient of the picture.

    Attributes:
        subject: Its name in the dataset.
        label: What stands beside it.
        level: Where the slice lies in the brain: 0 at its lowest slice, 1 at its highest.
    """

    subject: str
    label: str
    level: float


ROWS = (
    Row("ms-raw-01", "multiple sclerosis", 0.6),
    Row("ms-mni-19", "MS, brain only", 0.6),
    Row("tumor-fg6692", "glioma", 0.6),
)


def draw_real_scans(comparison: Path, dataset: Path, path: Path) -> None:
    """Draw source, result and truth of each patient of `ROWS`, by the fold without the patient."""
    subjects = {subject.name: subject for subject in open_dataset(dataset).subjects}
    figure = Figure(figsize=(6.4, 2.3 * len(ROWS) + 0.3), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(ROWS), len(COLUMNS),
        gridspec_kw={"left": 0.05, "right": 1, "bottom": 0, "top": 0.96, "wspace": 0, "hspace": 0},
    )  # fmt: skip
    for line, row in zip(axes, ROWS, strict=True):
        slices = _axial_slices(comparison, subjects[row.subject], row.level)
        for place, image in zip(line, slices, strict=True):
            place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
            place.set_axis_off()
        line[0].text(
            -0.06, 0.5, row.label, transform=line[0].transAxes, rotation=90,
            color="white", fontsize=10, ha="center", va="center",
        )  # fmt: skip
    for place, title in zip(axes[0], COLUMNS, strict=True):
        place.set_title(title, color="white", fontsize=12, pad=4)
    figure.savefig(path, dpi=120, facecolor="black")
    compress(path)


def draw_demo(path: Path) -> None:
    """Run the demonstration and keep its picture of the T2."""
    with tempfile.TemporaryDirectory() as folder:
        _run("demo", "-o", folder)
        path.write_bytes((Path(folder) / "demo-T2.png").read_bytes())
    compress(path, DEMO_WIDTH)


def compress(path: Path, width: int | None = None) -> None:
    """Make a picture narrower and keep 256 colors: grays as they are, and those of the errors."""
    with Image.open(path) as image:
        small = image.convert("RGB")
    if width is not None:
        small = small.resize((width, round(small.height * width / small.width)), Image.LANCZOS)
    palette = Image.new("P", (1, 1))
    grays = np.repeat(np.linspace(0, 255, GRAYS), 3)
    errors = colormaps[ERROR_COLORS](np.linspace(0, 1, 256 - GRAYS))[:, :3].ravel() * 255
    palette.putpalette(np.concatenate([grays, errors]).round().astype(int).tolist())
    small.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _axial_slices(comparison: Path, subject: SubjectSlices, level: float) -> list[Any]:
    """Source, synthetic T2 and real T2 of one slice, cut to the head; each in [0, 1]."""
    folder = comparison / "sam-i2i" / f"fold-{subject.name}"
    (model,) = folder.glob("*-t1-t2.safetensors")
    pair = read_prepared_pair(subject, "T1", "T2")
    made = np.where(pair.foreground, ModelSystem(load_model(model)).predict(pair), 0)
    brain = np.flatnonzero(pair.region.any(axis=(1, 2)))
    k = brain[round(level * (len(brain) - 1))]
    inside = np.argwhere(pair.foreground[k])
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    half = int(np.ceil(0.53 * max(bottom - top, right - left)))
    middle = (top + bottom) // 2, (left + right) // 2
    slices = (pair.source.array_kji[k], made[k], pair.target[k])
    padded = [np.pad(image, half) for image in slices]
    return [image[middle[0] :, middle[1] :][: 2 * half, : 2 * half] for image in padded]


def _run(*words: str) -> None:
    if sami2i([*words, "--progress", "none"]) != 0:
        raise SystemExit(1)


def main() -> int:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--comparison", type=Path, help="folder of `sami2i crossvalidate`")
    parser.add_argument("--data", type=Path, help="its dataset of real pairs")
    args = parser.parse_args()
    draw_demo(args.output / "demo.png")
    if args.comparison is not None:
        draw_real_scans(args.comparison, args.data, args.output / "real-scans.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
