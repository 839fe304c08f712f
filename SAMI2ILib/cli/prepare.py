"""`sami2i prepare`: from scans to a dataset folder that `sami2i train` reads."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import name_list, positive_count, read_assignments, some_names
from SAMI2ILib.errors import InputError

if TYPE_CHECKING:
    from SAMI2ILib.data.preparation.cases import Case, Found, Remark
    from SAMI2ILib.data.preparation.run import PreparationReport
    from SAMI2ILib.data.preparation.settings import PreparationSettings

HELP = "Make a dataset for training: register, normalize, slice, split; with quality control."

_MOST_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i prepare` takes."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="ixi|pairs|bids")
    ixi = kinds.add_parser("ixi", help="the IXI data set: folders or tar archives")
    ixi.add_argument(
        "places", type=Path, nargs="+", metavar="FOLDER_OR_TAR",
        help="folder with IXI-T1, IXI-T2, IXI-PD or their archives; or the archives",
    )  # fmt: skip
    ixi.add_argument(
        "--download", action="store_true",
        help="get the archives that the folder lacks (12 GB), checked by MD5; goes on after a cut",
    )  # fmt: skip
    _add_common(ixi)
    ixi.set_defaults(check_sides=False)  # one data set of known orientation
    pairs = kinds.add_parser("pairs", help="scans named by a table, or one folder a subject")
    pairs.add_argument(
        "places", type=Path, metavar="CSV_OR_FOLDER",
        help="table with the columns subject, T1, T2, ...; or folder of ANNA/T1.nii.gz, ...",
    )  # fmt: skip
    _add_common(pairs)
    bids = kinds.add_parser("bids", help="a BIDS folder")
    bids.add_argument("places", type=Path, metavar="FOLDER", help="the one that holds sub-...")
    bids.add_argument(
        "--entity", action="append", default=[], metavar="KEY=VALUE",
        help="take only files that say so, as acq=highres; may be repeated",
    )  # fmt: skip
    _add_common(bids)


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_choice(parser)
    _add_method(parser)
    parser.add_argument(
        "--test", type=float, default=0.2, help="part of the persons for the test (default: 0.2)"
    )
    parser.add_argument(
        "--validation", type=float, default=0.05,
        help="part of the others for validation (default: 0.05)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    parser.add_argument("--name", type=str, default="", help="what model cards call the data")
    parser.add_argument("--license", type=str, default="", help="of the data, for model cards")
    parser.add_argument(
        "--jobs", type=positive_count, help="subjects at a time (default: all cores)"
    )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the dataset")
    parser.add_argument(
        "--contrasts",
        metavar="NAME,...",
        type=some_names,
        help="which, as T1,T2,PD (default: all; needed with bids)",
    )
    parser.add_argument(
        "--grid", metavar="CONTRAST",
        help="whose grid the slices lie on (default: T2 for ixi, else the first contrast)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-incomplete", action="store_true",
        help="also take subjects who lack a contrast other than that of the grid",
    )  # fmt: skip
    parser.add_argument("--exclude", type=name_list, default=(), help="not these subjects: a,b,c")


def _add_method(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--follow", action="append", default=[], metavar="PD=T2",
        help="a contrast that moves with another by its header; may be repeated (ixi: PD=T2)",
    )  # fmt: skip
    parser.add_argument(
        "--register", choices=("auto", "always", "never"), default="auto",
        help="auto trusts scans that share a grid (default), never trusts all headers",
    )  # fmt: skip
    parser.add_argument(
        "--spacing",
        type=float,
        default=1.0,
        help="mm in the plane of the slices; a scan within 10 %% keeps its own (default: 1)",
    )
    parser.add_argument("--n4", action="store_true", help="correct the bias field of each scan")
    parser.add_argument(
        "--no-brain", action="store_true", help="no brain mask: slices are chosen by the head"
    )
    parser.add_argument(
        "--skull-strip", action="store_true", help="set what is outside the brain to 0"
    )
    parser.add_argument(
        "--slices-by", choices=("brain", "head"), default="brain",
        help="what a slice must show to be chosen: brain (default), or any part of the head",
    )  # fmt: skip
    parser.add_argument(
        "--min-part", type=float, default=0.05,
        help="part of a slice that the brain or head must fill (default: 0.05)",
    )  # fmt: skip
    parser.add_argument(
        "--min-slices",
        type=int,
        default=8,
        help="refuse subjects with fewer chosen slices (default: 8)",
    )
    parser.add_argument(
        "--check-sides", action=argparse.BooleanOptionalAction, default=True,
        help="look for left and right exchanged (default: yes; ixi: no)",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Find the scans, prepare them, say what came out."""
    from SAMI2ILib.data.preparation.run import Description, prepare_dataset
    from SAMI2ILib.data.preparation.split import SplitRule

    split = SplitRule(args.test, args.validation, args.seed)
    console.start("cpu", "registration uses the processor only")
    found, settings = _FINDERS[args.kind](args, console)
    _say_who(found, console)
    report = prepare_dataset(
        found,
        settings,
        split,
        args.output,
        description=Description(args.name, args.license),
        jobs=args.jobs,
        on_progress=lambda done, total: console.progress("prepare", done, total),
        on_remark=lambda remark: _remark(remark, console),
    )
    _say_result(report, args.output, console)
    return 1 if report.failed else 0


def _find_ixi(args: argparse.Namespace, console: Console) -> "tuple[Found, PreparationSettings]":
    from SAMI2ILib.data.preparation import ixi

    contrasts = args.contrasts or ixi.CONTRASTS
    args.name, args.license = args.name or ixi.NAME, args.license or ixi.LICENSE
    places = list(args.places)
    if args.download:
        if len(places) != 1 or places[0].is_file():
            raise InputError("--download needs one folder to download to.", "Name it alone.")
        ixi.download_ixi(places[0], contrasts, on_progress=lambda name: _bytes(name, console))
    args.grid = args.grid or ("T2" if "T2" in contrasts else contrasts[0])
    follows = {"PD": "T2"} if {"PD", "T2"} <= set(contrasts) and args.grid != "PD" else {}
    return _choose(ixi.find_ixi(places), contrasts, args, follows)


def _find_pairs(args: argparse.Namespace, _console: Console) -> "tuple[Found, PreparationSettings]":
    from SAMI2ILib.data.preparation.table import read_folder, read_table

    read = read_folder if args.places.is_dir() else read_table
    cases, contrasts = read(args.places)
    return _choose(cases, args.contrasts or contrasts, args, {})


def _find_bids(args: argparse.Namespace, console: Console) -> "tuple[Found, PreparationSettings]":
    from SAMI2ILib.data.preparation.bids import find_bids

    if not args.contrasts:
        raise InputError("bids needs --contrasts.", "Name them, as --contrasts T1,T2.")
    entities = read_assignments(args.entity, "--entity", "KEY=VALUE")
    cases, remarks = find_bids(args.places, args.contrasts, entities)
    for remark in remarks:
        _remark(remark, console)
    return _choose(cases, args.contrasts, args, {})


_FINDERS = {"ixi": _find_ixi, "pairs": _find_pairs, "bids": _find_bids}


def _choose(
    cases: "Sequence[Case]",
    contrasts: Sequence[str],
    args: argparse.Namespace,
    follows: dict[str, str],
) -> "tuple[Found, PreparationSettings]":
    from SAMI2ILib.data.preparation.cases import choose
    from SAMI2ILib.data.preparation.settings import PreparationSettings

    settings = PreparationSettings(
        contrasts=tuple(contrasts),
        grid=args.grid or contrasts[0],
        follows=follows | read_assignments(args.follow, "--follow", "KEY=VALUE"),
        register=args.register,
        spacing_mm=args.spacing,
        n4=args.n4,
        brain=not args.no_brain,
        skull_strip=args.skull_strip,
        slices_by=args.slices_by,
        smallest_part=args.min_part,
        fewest_slices=args.min_slices,
        check_sides=args.check_sides,
    )
    found = choose(
        cases,
        settings.contrasts,
        settings.grid,
        keep_incomplete=args.keep_incomplete,
        exclude=args.exclude,
    )
    return found, settings


def _say_who(found: "Found", console: Console) -> None:
    counts = ", ".join(f"{contrast} {count}" for contrast, count in found.counts.items())
    console.note(f"Scans: {counts}. Subjects to prepare: {len(found.cases)}.")
    by_reason: dict[str, list[str]] = {}
    for remark in found.skipped:
        by_reason.setdefault(remark.reason, []).append(remark.name)
    for reason, names in by_reason.items():
        named = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        console.warn("left-out", f"{len(names)} left out ({reason}): {named}")


def _remark(remark: "Remark", console: Console) -> None:
    code = "subject-failed" if remark.failed else "subject"
    console.warn(code, f"{remark.name}: {remark.reason}")


def _say_result(report: "PreparationReport", folder: Path, console: Console) -> None:
    from SAMI2ILib.data.dataset import SPLITS
    from SAMI2ILib.data.preparation.run import MOSAIC_FILE, QUALITY_FILE

    dataset = report.dataset
    sizes = {part: len(dataset.split(part)) for part in SPLITS}
    slices = sum(len(subject.slices) for subject in dataset.subjects)
    parts = ", ".join(f"{part} {size}" for part, size in sizes.items())
    console.say(f"{folder}: {len(dataset.subjects)} subjects, {slices} slices ({parts})")
    doubtful = list(dict.fromkeys(row.subject for row in report.rows if row.codes))
    if doubtful:
        named = ", ".join(doubtful[:_MOST_NAMED]) + (", ..." if len(doubtful) > _MOST_NAMED else "")
        console.say(f"Look at {MOSAIC_FILE} and {QUALITY_FILE}: {len(doubtful)} stand out: {named}")
    if report.failed:
        console.say(
            f"{len(report.failed)} could not be prepared, the rest is usable; leave them out with "
            f"--exclude {','.join(remark.name for remark in report.failed[:_MOST_NAMED])}"
        )
    console.result(
        {
            "dataset": str(folder),
            "id": dataset.id,
            "subjects": len(dataset.subjects),
            "slices": slices,
            "split": sizes,
            "doubtful": doubtful,
            "failed": {remark.name: remark.reason for remark in report.failed},
        }
    )


def _bytes(name: str, console: Console) -> Any:
    """What a download reports to: megabytes, because a bar of bytes is unreadable."""
    return lambda done, total: console.progress(
        f"download {name}", done // 10**6, (total or done) // 10**6
    )
