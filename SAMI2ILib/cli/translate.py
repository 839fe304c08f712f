"""`sami2i translate`: one volume from a file or a DICOM folder to a synthetic volume."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError

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
    parser.add_argument("--target", help="contrast to make: T2 or PD")
    parser.add_argument("--source", help="contrast of the input (default: the model's)")
    parser.add_argument("--model", help="id or file of a model (default: the best for the pair)")
    parser.add_argument("--series", help="UID of one DICOM series of the folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--precision", default="auto", help="auto, fp32, bf16 or fp16 (default: auto)"
    )
    parser.add_argument(
        "--batch-size", type=_positive, help="slices at a time (default: what the memory holds)"
    )
    parser.add_argument(
        "--working-grid", type=Path, metavar="FILE",
        help="write the result on the grid of the translated slices too, before it goes back to "
        "the input's",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Translate one volume and write it with its sidecar."""
    if args.model is None and args.target is None:
        raise InputError("Neither --target nor --model is given.", "Add --target T2 or PD.")

    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.output_files import check_output, output_path
    from SAMI2ILib.inference.predictor import TorchPredictor
    from SAMI2ILib.inference.translate import check_contrasts
    from SAMI2ILib.inference.translate_file import translate_file

    device = select_device(args.device, args.precision)
    console.start(device.description, device.reason)
    reference = args.model or _default_model(args.source or "T1", args.target)
    model = load_model(reference)
    check_contrasts(model, args.source, args.target)
    output = output_path(args.input, args.output, model.spec.target_contrast)
    check_output(output, args.input)
    if args.working_grid is not None:
        check_output(args.working_grid, args.input)

    def warn(notice: "Notice") -> None:
        console.warn(notice.code, notice.message)

    predictor = TorchPredictor(model.network, device, args.batch_size, on_notice=warn)
    saved = translate_file(
        args.input, output, model, predictor, args.series, args.working_grid, console.progress
    )
    for notice in saved.translation.notices:
        warn(notice)
    console.say(f"{saved.output}\n{saved.sidecar}")
    console.result({"output": str(saved.output), "sidecar": str(saved.sidecar), **saved.record})
    return 0


def _default_model(source: str, target: str) -> str:
    from SAMI2ILib.weights.store import Store

    return str(Store().choose(source, target).path)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
