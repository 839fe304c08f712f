"""`sami2i check`: what speaks against translating a scan; nothing is translated."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError

HELP = "Say whether a scan is a head in the model's source contrast, whole and without artifacts."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i check` takes."""
    parser.add_argument(
        "input", type=Path, help="NIfTI, NRRD or MHA file, or the folder of a DICOM series"
    )
    parser.add_argument(
        "--series", metavar="UID", help="which DICOM series, where the folder holds several"
    )
    parser.add_argument("--source", default="T1", help="contrast that it should have (default: T1)")
    parser.add_argument("--model", help="id or file of a model, instead: what that expects")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 2 if there is a doubt")


def run(args: argparse.Namespace, console: Console) -> int:
    """Check one scan."""
    from SAMI2ILib.checks import Expectation, check_volume
    from SAMI2ILib.checks.classifier import load_classifiers
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.weights import read_spec
    from SAMI2ILib.weights.store import Store

    console.start("CPU", "a check needs no other device")
    known = load_classifiers().contrast.classes
    if args.source.upper() not in known:
        raise InputError(
            f"--source {args.source}: a contrast that the checks do not know.",
            f"They know {', '.join(known)}.",
        )
    expected = Expectation(args.source)
    if args.model is not None:
        expected = Expectation.of(read_spec(Store().find(args.model).path))
    volume = read_volume(args.input, args.series)
    notices = [*volume.notices, *check_volume(volume, expected)]
    fields = {"input": args.input.name, "doubts": [asdict(notice) for notice in notices]}
    if args.json:
        console.say(json.dumps(fields, indent=2))
    else:
        for notice in notices:
            console.warn(notice.code, notice.message)
        if not notices:
            console.say(f"{args.input.name}: no doubt.")
    console.result(fields)
    return 2 if args.strict and notices else 0
