"""`sami2i simulate`: simulated heads with T1, T2, PD, one or a cohort, for tests and training."""

import argparse
import re
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import make_folder
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import positive_count
from SAMI2ILib.cli.parser import number, whole_number
from SAMI2ILib.errors import InputError

HELP = "Simulate heads with T1, T2 and PD, one or a whole cohort."

_ORIENTATIONS = ("axial", "sagittal", "coronal")
# Contrasts beside T1, T2 and PD, and the names of their sequences in the simulator.
_FURTHER = {"FLAIR": "FLAIR", "T1CE": "ENHANCED_T1"}
# How the help says the default of `head`, and that `cohort` has none.
_DRAWN = " (default: {}; in a cohort drawn for each head)"
_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i simulate` takes."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="head|cohort|sample")
    head = kinds.add_parser("head", help="one head: T1, T2, PD, tissue and brain in a folder")
    _add_common(head)
    _add_head_options(head)
    head.add_argument(
        "--also", choices=tuple(_FURTHER), nargs="+", default=(), metavar="CONTRAST",
        help="FLAIR, or T1CE: the T1 after a gadolinium agent",
    )  # fmt: skip
    cohort = kinds.add_parser("cohort", help="many heads, one folder each, or an IXI-like folder")
    _add_common(cohort)
    _add_cohort_options(cohort)
    sample = kinds.add_parser("sample", help="the small head that is shipped as the sample")
    sample.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")


def run(args: argparse.Namespace, console: Console) -> int:
    """Simulate what the arguments ask for."""
    if args.output.name.endswith(_IMAGE_ENDINGS):
        raise InputError(
            f"-o names an image, {args.output.name}, but simulate writes several files.",
            "Give a folder.",
        )
    console.start("cpu", "the simulator uses the processor only")
    if args.kind == "head":
        return _run_head(args, console)
    if args.kind == "sample":
        return _run_sample(args, console)
    if args.like == "ixi":
        return _run_ixi(args, console)
    if args.matrix is not None or args.faults:
        raise InputError("--matrix and --faults need --like ixi.", "Add --like ixi.")
    return _run_cohort(args, console)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same voxels (default: 0)")
    parser.add_argument(
        "--labels",
        type=Path,
        help="folder of whole-head label maps with FreeSurfer and SimNIBS numbers "
        "(default: the MNI152 maps of the nilearn package)",
    )
    parser.add_argument(
        "--heads", help="which label maps of the folder, by name order: 3 or 1-16 or 1,4,7-9"
    )
    parser.add_argument(
        "--spacing", type=_positive, help="voxel size within a slice in mm" + _DRAWN.format("1")
    )
    parser.add_argument(
        "--slice-spacing",
        type=_positive,
        help="distance of slices in mm" + _DRAWN.format("--spacing"),
    )
    parser.add_argument(
        "--slice-thickness",
        type=_positive,
        help="thickness of a slice in mm" + _DRAWN.format("--slice-spacing"),
    )
    parser.add_argument(
        "--orientation", choices=_ORIENTATIONS, help="plane of the slices" + _DRAWN.format("axial")
    )
    parser.add_argument(
        "--tilt",
        type=float,
        nargs=3,
        metavar=("R", "A", "S"),
        help="rotate the slices about the right, anterior and superior axis, in degrees"
        + _DRAWN.format("0 0 0"),
    )
    parser.add_argument(
        "--field",
        type=float,
        choices=(1.5, 3.0),
        help="field strength in tesla" + _DRAWN.format("1.5"),
    )
    parser.add_argument(
        "--noise",
        type=float,
        help="noise (standard deviation) relative to white matter" + _DRAWN.format("0.02"),
    )
    parser.add_argument(
        "--skull-stripped",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="set what is outside the brain to 0",
    )


def _add_head_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lesions", type=int, help="number of white-matter lesions (default: 0)")
    parser.add_argument("--tumor", action="store_true", default=None, help="add a glioma-like mass")
    parser.add_argument(
        "--deformation",
        type=float,
        help="0 keeps the anatomy's shape, 1 makes another person (default: 1)",
    )


def _add_cohort_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--count", type=positive_count, required=True, help="number of subjects"
    )
    parser.add_argument(
        "--mni-share",
        type=float,
        default=0.0,
        help="share of heads built from the MNI152 maps beside the label maps (default: 0)",
    )
    parser.add_argument(
        "--first", type=int, default=1, help="number of the first subject (default: 1)"
    )
    parser.add_argument("--workers", type=positive_count, help="processes (default: all cores)")
    parser.add_argument(
        "--vary",
        choices=("wide", "ixi"),
        help="as different as clinical scans are, or one protocol (default: wide)",
    )
    parser.add_argument("--like", choices=("ixi",), help="names, folders and grids of a data set")
    parser.add_argument(
        "--matrix", type=int, help="--like ixi: voxels along a slice (default: 256)"
    )
    parser.add_argument(
        "--faults",
        action="store_true",
        help="--like ixi: leave out one PD and damage one file, to test what reads the folder",
    )


def _run_head(args: argparse.Namespace, console: Console) -> int:
    import numpy as np

    from SAMI2ILib.data.simulation import signal
    from SAMI2ILib.data.simulation.files import write_int16
    from SAMI2ILib.data.simulation.head import simulate_head
    from SAMI2ILib.data.simulation.options import HeadOptions, ScanOptions

    noise = {} if args.noise is None else {"noise": args.noise}
    further = {name: ScanOptions(getattr(signal, _FURTHER[name]), **noise) for name in args.also}
    options = HeadOptions(**_fixed_options(args), further=further)
    source = _sources(args, 1)[0]
    make_folder(args.output)
    anatomy_seed, head_seed = np.random.SeedSequence(args.seed).spawn(2)
    head = simulate_head(source.load(anatomy_seed), head_seed, options)
    volumes = head.volumes()
    for done, (name, volume) in enumerate(volumes.items()):
        write_int16(volume, args.output / f"{name}.nii.gz")
        console.progress("writing", done + 1, len(volumes))
    console.say(f"{args.output}")
    console.result({"output": str(args.output), "source": source.name})
    return 0


def _run_sample(args: argparse.Namespace, console: Console) -> int:
    from SAMI2ILib.data.simulation.sample import write_sample

    make_folder(args.output)
    write_sample(args.output)
    console.say(f"{args.output}")
    console.result({"output": str(args.output)})
    return 0


def _run_cohort(args: argparse.Namespace, console: Console) -> int:
    from SAMI2ILib.data.simulation.cohort import CohortPlan, simulate_cohort

    plan = CohortPlan(
        count=args.count,
        sources=_sources(args, args.count),
        seed=args.seed,
        vary=args.vary or "wide",
        fixed=_fixed_options(args),
        first=args.first,
    )
    folders = simulate_cohort(
        plan,
        args.output,
        workers=args.workers,
        on_progress=lambda done, total: console.progress("simulating", done, total),
    )
    console.say(f"{args.output}: {len(folders)} subjects")
    console.result({"output": str(args.output), "subjects": len(folders)})
    return 0


def _run_ixi(args: argparse.Namespace, console: Console) -> int:
    from SAMI2ILib.data.simulation.ixi import simulate_ixi

    if _fixed_options(args) or args.vary is not None or args.first != 1:
        raise InputError(
            "--like ixi has a protocol of its own: it takes no --vary, no --first and no option "
            "of the scan such as --spacing.",
            "Leave them out; --matrix makes smaller volumes.",
        )
    count = simulate_ixi(
        args.output,
        sources=_sources(args, args.count),
        count=args.count,
        seed=args.seed,
        matrix=256 if args.matrix is None else args.matrix,
        faults=args.faults,
        workers=args.workers,
        on_progress=lambda done, total: console.progress("simulating", done, total),
    )
    console.say(f"{args.output}: {count} subjects")
    console.result({"output": str(args.output), "subjects": count})
    return 0


def _sources(args: argparse.Namespace, count: int) -> Any:
    """Heads to start from, one a subject."""
    from SAMI2ILib.data.simulation.sources import find_label_maps, mix_sources

    if args.labels is None:
        if args.heads is not None:
            raise InputError("--heads chooses among label maps, but --labels is not given.")
        if getattr(args, "mni_share", 0.0):
            raise InputError(
                "--mni-share is beside label maps, but --labels is not given.",
                "Leave it out: without label maps all heads come from the MNI152 maps.",
            )
        return mix_sources([], 1.0, count)
    heads = None if args.heads is None else _parse_heads(args.heads)
    return mix_sources(find_label_maps(args.labels, heads), getattr(args, "mni_share", 0.0), count)


def _fixed_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of `HeadOptions` that the arguments name."""
    slice_spacing = args.slice_spacing
    if slice_spacing is None and args.kind == "head":
        slice_spacing = args.spacing
    values = {
        "spacing_mm": args.spacing,
        "slice_spacing_mm": slice_spacing,
        "slice_thickness_mm": args.slice_thickness or slice_spacing,
        "orientation": args.orientation,
        "tilt_degrees": None if args.tilt is None else tuple(args.tilt),
        "field_strength_t": args.field,
        "noise": None if args.noise is None else (args.noise,) * 3,
        "skull_stripped": args.skull_stripped,
        "lesions": getattr(args, "lesions", None),
        "tumor": getattr(args, "tumor", None),
        "deformation": getattr(args, "deformation", None),
    }
    return {name: value for name, value in values.items() if value is not None}


def _parse_heads(text: str) -> list[int]:
    """Turn "1,4,7-9" into [1, 4, 7, 8, 9]."""
    heads: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise InputError(f"--heads must be numbers and ranges as 1,4,7-9, not {text!r}.")
        heads.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return heads


def _positive(text: str) -> float:
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive length in mm")
    return value


def _seed(text: str) -> int:
    seed = whole_number(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; a seed is 0 or more")
    return seed
