"""`sami2i compare`: one synthetic volume against a real scan, with an error map."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.cli.console import Console

if TYPE_CHECKING:
    from SAMI2ILib.evaluation.compare import Comparison

HELP = "Measure a synthetic volume against a real scan of the same head and contrast."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i compare` takes."""
    parser.add_argument("synthetic", type=Path, help="volume that `translate` made")
    parser.add_argument("real", type=Path, help="real scan of that contrast, on any grid")
    parser.add_argument(
        "--error-map", type=Path, metavar="FILE", help="write synthetic minus real as a volume"
    )
    parser.add_argument(
        "--register", action="store_true", help="lay the real scan onto the synthetic one first"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Compare two volumes and say the figures."""
    from SAMI2ILib.evaluation.compare import check_is_image, compare_volumes, describe_error_map
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.inference.output_files import check_output, read_record, sidecar_path
    from SAMI2ILib.inference.saving import save_with_record

    console.start("CPU", "a comparison needs no other device")
    if args.error_map:
        for path in (args.synthetic, args.real):
            check_output(args.error_map, path, "--error-map")
    check_is_image(args.synthetic)
    if args.synthetic.is_file() and read_record(sidecar_path(args.synthetic)) is None:
        console.warn(
            "no-record",
            f"{args.synthetic.name} has no record beside it that says that it is synthetic: it is "
            "measured as a volume in [0, 1000].",
        )
    console.progress("read", 0, 1)
    synthetic, real = read_volume(args.synthetic), read_volume(args.real)
    console.progress("measure", 0, 1)
    comparison = compare_volumes(synthetic, real, register=args.register)
    if args.error_map:
        record = describe_error_map(args.synthetic, args.real)
        save_with_record(comparison.error, record, args.error_map)
    fields = _fields(comparison)
    console.say(_text(fields))
    error_map = str(args.error_map) if args.error_map else None
    console.result({**fields, "error_map": error_map})
    return 0


def _fields(comparison: "Comparison") -> dict[str, Any]:
    found = comparison.registration
    return {
        "head": asdict(comparison.scores.brain),
        "full_field": asdict(comparison.scores.full),
        "slices": comparison.scores.slices,
        "covered": comparison.covered,
        "registration": None
        if found is None
        else {"rotation_deg": found.rotation_deg, "translation_mm": found.translation_mm},
    }


def _text(fields: dict[str, Any]) -> str:
    lines = [
        f"mean of {fields['slices']} axial slices, the real scan divided by its 99.5th percentile"
    ]
    for name, region in (("in the head", "head"), ("full field", "full_field")):
        scores = fields[region]
        lines.append(
            f"{name}: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}, "
            f"NRMSE {scores['nrmse']:.3f}"
        )
    if fields["covered"] < 0.995:
        lines.append(f"the real scan covers {fields['covered']:.0%} of the synthetic head")
    if fields["registration"]:
        moved = fields["registration"]
        lines.append(
            f"the real scan was moved by {moved['translation_mm']:.1f} mm and turned by "
            f"{moved['rotation_deg']:.1f} degrees"
        )
    return "\n".join(lines)
