"""`sami2i translate`: one volume from a file or a DICOM folder to a synthetic volume."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError, OutputError

if TYPE_CHECKING:
    from SAMI2ILib.imaging.notice import Notice

HELP = "Make a T2 or PD volume from a T1 volume."

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
DEFAULT_SUFFIX = ".nii.gz"


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


def output_path(input_path: Path, output: Path, target: str) -> Path:
    """Name the file to write.

    Args:
        input_path: The source file or DICOM folder.
        output: `-o`: with an image extension the file itself, anything else a folder.
        target: The target contrast.

    Returns:
        In a folder `<input>_synth-<target>` in the input's format, or the BIDS name
        `sub-X_desc-synthetic_<target>w` where the input has a BIDS name.
    """
    if output.name.lower().endswith(IMAGE_SUFFIXES) and not output.is_dir():
        return output
    name = input_path.resolve().name
    lower = name.lower()
    suffix = next((s for s in IMAGE_SUFFIXES if lower.endswith(s)), None)
    stem = name if suffix is None or input_path.is_dir() else name[: -len(suffix)]
    return output / (synthetic_name(stem, target) + (suffix or DEFAULT_SUFFIX))


def synthetic_name(stem: str, target: str) -> str:
    """Name a synthetic volume after its source, so that the name says what it is.

    Examples: `head` -> `head_synth-T2`; `sub-01_ses-2_T1w` -> `sub-01_ses-2_desc-synthetic_T2w`.
    """
    entities, _, contrast = stem.rpartition("_")
    if entities.startswith("sub-") and contrast in {"T1w", "T2w", "PDw"}:
        kept = [entity for entity in entities.split("_") if not entity.startswith("desc-")]
        return "_".join([*kept, "desc-synthetic", f"{target}w"])
    return f"{stem}_synth-{target}"


def check_output(output: Path, input_path: Path) -> None:
    """Refuse, before any work, an output that cannot be written or would replace a real scan.

    Raises:
        InputError: The output is the input, or an existing file that is not a synthetic volume.
        OutputError: The folder may not be written to.
    """
    from SAMI2ILib.inference.provenance import is_synthetic_record, sidecar_path

    existing = next(folder for folder in output.absolute().parents if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise OutputError(
            f"{existing.name or str(existing)!r} is not a folder that may be written to.",
            "Choose another one for -o.",
        )
    if output.exists() and input_path.exists() and output.samefile(input_path):
        raise InputError("The output is the input itself.", "Choose another name for -o.")
    sidecar = sidecar_path(output)
    for path in (output, sidecar):
        if path.exists() and path.stat().st_size and not is_synthetic_record(sidecar):
            raise InputError(
                f"{path.name!r} exists and is not a synthetic volume's; it is not replaced.",
                "Choose another name for -o, or move the file away.",
            )


def _default_model(source: str, target: str) -> str:
    from SAMI2ILib.weights.store import Store

    return str(Store().choose(source, target).path)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
