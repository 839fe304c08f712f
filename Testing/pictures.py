"""Draws the pictures of translations under Resources/: `make pictures REAL=FOLDER`.

    python -m Testing.pictures -o Resources --real FOLDER

`demo.png` is what `sami2i demo` draws of its simulated head, compressed. `real-scans.png` shows
axial slices of two real heads that the bundled model was not trained on; FOLDER holds them as
`template-avg152/T1.nii` and `T2.nii` (the MNI average that comes with SPM12), and as
`tumor-aurora/T1.nii.gz` and `T2.nii.gz` (an example of the BrainLesion suite). Axial slices of a
brain, because a profile shows the face.
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
from SAMI2ILib.data.subjects import read_subject
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

DEMO_WIDTH = 860
GRAYS = 128
ERROR_COLORS = "inferno"
COLUMNS = ("T1 (input)", "synthetic T2", "real T2")


@dataclass(frozen=True)
class Row:
    """One head of the picture.

    Attributes:
        subject: Its folder.
        label: What stands beside it.
        height_mm: Of the slice, from the lowest one of the scan.
    """

    subject: str
    label: str
    height_mm: float


ROWS = (
    Row("template-avg152", "average of 152 heads", 94.0),
    Row("tumor-aurora", "patient with a metastasis", 80.0),
)


def draw_real_scans(folder: Path, path: Path) -> None:
    """Translate each head of `ROWS` with the bundled model and draw source, result and truth."""
    rows = [(row, _axial_slices(folder / row.subject, row.height_mm)) for row in ROWS]
    figure = Figure(figsize=(6.4, 4.9), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(rows), len(COLUMNS),
        gridspec_kw={"left": 0.05, "right": 1, "bottom": 0, "top": 0.94, "wspace": 0, "hspace": 0},
    )  # fmt: skip
    for line, (row, slices) in zip(axes, rows, strict=True):
        for place, image in zip(line, slices, strict=True):
            place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
            place.set_axis_off()
        line[0].text(
            -0.06, 0.5, row.label, transform=line[0].transAxes, rotation=90,
            color="white", fontsize=10, ha="center", va="center",
        )  # fmt: skip
    for place, title in zip(axes[0], COLUMNS, strict=True):
        place.set_title(title, color="white", fontsize=12, pad=4)
    figure.savefig(path, dpi=140, facecolor="black")
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


def _axial_slices(folder: Path, height_mm: float) -> list[Any]:
    """Source, synthetic T2 and real T2 of one height, cut to the head; each in [0, 1]."""
    subject = read_subject(folder)
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "synthetic_T2.nrrd"
        _run("translate", str(subject.path("T1")), "-o", str(output), "--target", "T2")
        synthetic = read_volume(output)
    source = normalize_volume(read_volume(subject.path("T1"))).volume
    real = normalize_volume(read_volume(subject.path("T2"))).volume
    volumes = [source, synthetic.with_array(synthetic.array_kji / OUTPUT_RANGE), real]
    upright = [_square_slice(reorient(volume, "LPS"), height_mm) for volume in volumes]
    inside = np.argwhere(upright[0] > 0)
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    half = int(np.ceil(0.53 * max(bottom - top, right - left)))
    middle = (top + bottom) // 2, (left + right) // 2
    padded = [np.pad(image, half) for image in upright]
    return [image[middle[0] :, middle[1] :][: 2 * half, : 2 * half] for image in padded]


def _square_slice(volume: Volume, height_mm: float) -> Any:
    i, j, k = volume.spacing_mm
    if not np.isclose(i, j):
        raise ValueError(f"{volume.name} has oblong pixels, which this picture would distort.")
    return volume.array_kji[round(height_mm / k)]


def _run(*words: str) -> None:
    if sami2i([*words, "--progress", "none"]) != 0:
        raise SystemExit(1)


def main() -> int:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--real", type=Path, help="folder of real scans, one folder a subject")
    args = parser.parse_args()
    draw_demo(args.output / "demo.png")
    if args.real is not None:
        draw_real_scans(args.real, args.output / "real-scans.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
