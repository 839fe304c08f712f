"""`sami2i translate`: one volume from a file or a DICOM folder to a synthetic volume."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.model_options import (
    add_checks_argument,
    add_ensemble_arguments,
    add_model_arguments,
    load_chosen,
    load_ensemble,
)

if TYPE_CHECKING:
    from SAMI2ILib.imaging.notice import Notice

HELP = "Make a T2 or PD volume from a T1 volume."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i translate` takes."""
    parser.add_argument(
        "input", type=Path, help="NIfTI, NRRD or MHA file, or the folder of a DICOM series"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="a file name with an image extension, or else a folder",
    )  # fmt: skip
    add_model_arguments(parser)
    add_ensemble_arguments(parser)
    add_checks_argument(parser)
    parser.add_argument(
        "--series", metavar="UID", help="which DICOM series, where the folder holds several"
    )
    parser.add_argument(
        "--working-grid", type=Path, metavar="FILE",
        help="write the result on the grid of the translated slices too, before it goes back to "
        "the input's",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Translate one volume and write it with its sidecar."""
    from SAMI2ILib.imaging.io import check_readable
    from SAMI2ILib.inference.output_files import (
        check_apart,
        check_output,
        output_path,
        uncertainty_path,
    )
    from SAMI2ILib.inference.translate_file import translate_file

    said: list[Notice] = []

    def warn(notice: "Notice") -> None:
        said.append(notice)
        console.warn(notice.code, notice.message)

    # A slip of the pen must not wait for the model, which may say the target and so the name.
    check_readable(args.input)
    if output_path(args.input, args.output, args.target or "") == args.output:
        check_output(args.output, args.input)
    model, predictor = load_chosen(args, console)
    output = output_path(args.input, args.output, model.spec.target_contrast)
    check_output(output, args.input)
    ensemble = load_ensemble(args, console, model, predictor)
    if ensemble is not None:
        check_output(uncertainty_path(output), args.input)
    if args.working_grid is not None:
        check_output(args.working_grid, args.input, "--working-grid")
        check_apart(output, args.working_grid)
        check_apart(uncertainty_path(output), args.working_grid)
    saved = translate_file(
        args.input, output, model, predictor, args.series, args.working_grid, console.progress,
        ensemble=ensemble, checks=args.checks, on_notice=warn,
    )  # fmt: skip
    for notice in saved.translation.notices:
        if notice not in said:
            warn(notice)
    console.say(f"{saved.output}\n{saved.sidecar}")
    files = {"output": str(saved.output), "sidecar": str(saved.sidecar)}
    if saved.uncertainty is not None:
        console.say(str(saved.uncertainty))
        files["uncertainty"] = str(saved.uncertainty)
    console.result({**files, **saved.record})
    return 0
