"""`sami2i export-dicom`: a synthetic volume as a DICOM series that says it is synthetic."""

import argparse
from pathlib import Path

from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError

HELP = "Write a synthetic volume as a DICOM series that says it is synthetic."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i export-dicom` takes."""
    parser.add_argument("volume", type=Path, help="volume that `translate` made, beside its .json")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER",
        help="new folder for the series; nothing is ever replaced",
    )  # fmt: skip
    parser.add_argument(
        "--source", type=Path, metavar="FOLDER",
        help="folder of the DICOM series that the volume was made from: the new series joins its "
        "patient, study and frame of reference",
    )  # fmt: skip
    parser.add_argument(
        "--series", metavar="UID", help="which series, where the folder of --source holds several"
    )
    parser.add_argument(
        "--series-number",
        type=int,
        metavar="N",
        help="of the new series (default: the source's plus 9000)",
    )
    parser.add_argument(
        "--burn-in-mark", action="store_true",
        help="write the word SYNTHETIC into the pixels of every slice, upper left",
    )  # fmt: skip
    parser.add_argument(
        "--synthetic-data-attribute", action="store_true",
        help="set the attribute Synthetic Data (0008,001C) too, which archives from before 2023 "
        "do not know",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Export one volume."""
    from SAMI2ILib.dicom.export import check_new_folder, export_series
    from SAMI2ILib.dicom.series_header import ExportOptions
    from SAMI2ILib.dicom.synthesis import check_volume, read_sidecar
    from SAMI2ILib.imaging.io import read_volume

    console.start("CPU", "an export needs no other device")
    if args.series and not args.source:
        raise InputError("--series chooses among the series of --source.", "Give --source too.")
    check_new_folder(args.output)
    console.progress("read", 0, 1)
    volume = read_volume(args.volume)
    record = read_sidecar(args.volume)
    exported = export_series(
        volume,
        record,
        args.output,
        args.source,
        args.series,
        ExportOptions(args.burn_in_mark, args.series_number, args.synthetic_data_attribute),
        console.progress,
    )
    for notice in (*check_volume(record, args.volume), *exported.notices):
        console.warn(notice.code, notice.message)
    console.say(f"{exported.folder}: {exported.count} slices, series {exported.series_uid}")
    console.result(
        {
            "output": str(exported.folder),
            "files": exported.count,
            "study_uid": exported.study_uid,
            "series_uid": exported.series_uid,
        }
    )
    return 0
