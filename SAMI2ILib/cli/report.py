"""`sami2i report`: one page that compares a synthetic volume with a real scan."""

import argparse
from dataclasses import asdict
from pathlib import Path

from SAMI2ILib.atomic import check_place, make_folder, write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError

HELP = "Write one HTML page that compares a synthetic volume with a real scan."

_ENDINGS = (".html", ".htm")
_HEAD_OF_A_PAGE = 1000  # characters in which a page of ours names its maker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i report` takes."""
    parser.add_argument("synthetic", type=Path, help="volume that `translate` made")
    parser.add_argument(
        "--target", type=Path, required=True, metavar="REAL",
        help="real scan of that contrast, on any grid: a file, or the folder of a DICOM series",
    )  # fmt: skip
    parser.add_argument(
        "--source", type=Path, metavar="T1",
        help="the T1 that it was made from: it is shown, and the brain is found in it",
    )  # fmt: skip
    parser.add_argument(
        "--brain", type=Path, metavar="MASK", help="brain mask instead of one found in the T1"
    )
    parser.add_argument(
        "--register", action=argparse.BooleanOptionalAction, default=None,
        help="lay the real scan onto the synthetic one, or trust the headers (default: register "
        "where the grids differ)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure, draw and write the page."""
    from SAMI2ILib.evaluation.compare import check_is_image
    from SAMI2ILib.evaluation.quality_report import (
        find_uncertainty,
        measure_quality,
        record_doubts,
        write_page,
    )
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.inference.output_files import read_record, sidecar_path

    console.start("CPU", "a comparison needs no other device")
    _check_page(args.output)
    check_is_image(args.synthetic)
    console.progress("read", 0, 1)
    synthetic, real = read_volume(args.synthetic), read_volume(args.target)
    source = read_volume(args.source) if args.source else None
    brain = read_volume(args.brain) if args.brain else None
    map_path = find_uncertainty(args.synthetic)
    uncertainty = read_volume(map_path) if map_path else None
    console.progress("measure", 0, 1)
    quality = measure_quality(synthetic, real, source, brain, uncertainty, register=args.register)
    record = read_record(sidecar_path(args.synthetic))
    doubts = record_doubts(args.synthetic, record)
    for doubt in doubts:
        console.warn("no-record" if record is None else "volume-changed", doubt)
    paths = {"synthetic": args.synthetic, "real": args.target, "source": args.source}
    paths["brain"] = args.brain
    # A DICOM folder often carries the patient's name.
    names = {
        role: "DICOM series" if path.is_dir() else path.name for role, path in paths.items() if path
    }
    text = write_page(quality, names, record, doubts)
    make_folder(args.output.parent)
    write_text(text, args.output)
    console.progress("measure", 1, 1)
    console.say(str(args.output))
    measured = quality.brain
    console.result(
        {
            "output": str(args.output),
            "head": asdict(quality.comparison.scores.brain),
            "brain": None if measured is None else asdict(measured.scores.brain),
            "full_field": asdict(quality.comparison.scores.full),
            "registered": quality.comparison.registration is not None,
        }
    )
    return 0


def _check_page(path: Path) -> None:
    """Refuse, before any work, what would not be an HTML file or would replace another's."""
    from SAMI2ILib.evaluation.html_page import GENERATOR

    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"{path.name!r} is not the name of an HTML file.", "End it in .html.")
    if path.is_dir():
        raise InputError(f"{path.name!r} is a folder.", "Give the name of an HTML file for -o.")
    check_place(path, makes_folder=True)
    if path.exists() and path.stat().st_size:
        with path.open(encoding="utf-8", errors="replace") as file:
            if GENERATOR not in file.read(_HEAD_OF_A_PAGE):
                raise InputError(
                    f"{path.name!r} exists and is not a report of this software; it is not "
                    "replaced.",
                    "Choose another name for -o.",
                )
