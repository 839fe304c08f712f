"""`sami2i evaluate`: models measured on real pairs, with pictures or statistics."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import add_device, check_subjects, name_list, some_names
from SAMI2ILib.errors import InputError

if TYPE_CHECKING:
    from SAMI2ILib.data.subjects import Subject
    from SAMI2ILib.evaluation.metrics import VolumeScores
    from SAMI2ILib.evaluation.real_pairs import PairComparison, RealPair
    from SAMI2ILib.evaluation.report import Row
    from SAMI2ILib.weights.spec import ModelSpec

HELP = "Measure models on subjects with real scans of both contrasts."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i evaluate` takes."""
    parser.add_argument(
        "models", nargs="+", metavar="[NAME=]MODEL",
        help="id or file of a model, and what tables shall call it; several only with --data",
    )  # fmt: skip
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--subjects", type=Path, help="folder with one folder of scans a subject")
    where.add_argument("--data", type=Path, help="dataset folder of `sami2i prepare`")
    parser.add_argument(
        "--split", default="test", choices=("train", "validation", "test"),
        help="part of the dataset to measure (default: test), unless --only names subjects",
    )  # fmt: skip
    parser.add_argument("--only", type=some_names, default=(), help="these subjects: a,b,c")
    parser.add_argument("--exclude", type=name_list, default=(), help="not these subjects: a,b,c")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for the tables, with --subjects also for a picture a subject",
    )  # fmt: skip
    parser.add_argument(
        "--lookup-table-from", type=some_names, default=(), metavar="SUBJECTS",
        help="measure the best intensity lookup table fitted on these subjects of the folder too; "
        "of a dataset also a part of its split: train",
    )  # fmt: skip
    parser.add_argument(
        "--keep-background", action="store_true",
        help="with --data: measure the full field with the air of the target as it was scanned",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_device(parser)
    parser.add_argument(
        "--record", metavar="DATA",
        help="write the figures into the model file, as measured on DATA (a name for readers)",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure the models, write the report."""
    if args.data is not None:
        from SAMI2ILib.cli.evaluate_dataset import measure_dataset

        return measure_dataset(args, console)
    if args.keep_background:
        raise InputError("--keep-background is for a dataset.", "Give --data, or leave it out.")
    if len(args.models) > 1:
        raise InputError(
            "With --subjects one model is measured at a time.",
            "Prepare a dataset with `sami2i prepare` and give it with --data for several.",
        )
    return _measure_scans(args, args.models[0], console)


def _measure_scans(args: argparse.Namespace, reference: str, console: Console) -> int:
    """Measure a model on scans as they are."""
    from SAMI2ILib.evaluation.report import flat_row, summarize, text_table
    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.predictor import TorchPredictor
    from SAMI2ILib.inference.translate import translate

    device = select_device(args.device, "fp32")
    console.start(device.description, device.reason)
    model = load_model(reference)
    spec = model.spec
    subjects = choose_subjects(args, spec.source_contrast, spec.target_contrast)
    teachers = _teachers(args)
    make_folder(args.output)
    predictor = TorchPredictor(model.network, device)
    pairs = _read_pairs(subjects, spec, console, "register")
    scores = {}
    for number, pair in enumerate(pairs):
        console.progress("measure", number, len(pairs))
        comparison = pair.compare(lambda volume: translate(volume, model, predictor).volume)
        scores[pair.subject] = comparison.scores
        _draw(comparison, spec, args.output / f"{spec.id}_{pair.subject}.png")
    console.progress("measure", len(pairs), len(pairs))
    console.say(text_table(scores))
    report = {spec.id: {"sha256": model.sha256, **summarize(scores)}}
    if args.lookup_table_from:
        baseline = _measure_lookup_table(teachers, pairs, spec, console)
        report["lookup-table"] = {"fitted_on": args.lookup_table_from, **summarize(baseline)}
        console.say(f"Best lookup table of {', '.join(args.lookup_table_from)}:")
        console.say(text_table(baseline))
    _write_report(args.output, report, scores)
    if args.record:
        rows = {name: flat_row(score) for name, score in scores.items()}
        record_figures(reference, rows, args.record)
    console.result({"report": str(args.output / "metrics.json"), "mean": report[spec.id]["mean"]})
    return 0


def choose_subjects(args: argparse.Namespace, source: str, target: str) -> list["Subject"]:
    """The subjects asked for that have both contrasts.

    Raises:
        InputError: The folder lacks one that an option names, or none has both contrasts.
    """
    from SAMI2ILib.data.subjects import find_subjects

    found = find_subjects(args.subjects)
    known = sorted(subject.name for subject in found)
    check_subjects("--only", args.only, known, args.subjects)
    check_subjects("--exclude", args.exclude, known, args.subjects)
    chosen = [
        subject
        for subject in found
        if (not args.only or subject.name in args.only)
        and subject.name not in args.exclude
        and {source, target} <= subject.contrasts.keys()
    ]
    if not chosen:
        raise InputError(
            f"No subject has both {source} and {target}.",
            f"Look into {args.subjects}, --only and --exclude.",
        )
    return chosen


def _read_pairs(
    subjects: Sequence["Subject"], spec: "ModelSpec", console: Console, stage: str
) -> list["RealPair"]:
    from SAMI2ILib.evaluation.real_pairs import read_pair

    pairs = []
    for number, subject in enumerate(subjects):
        console.progress(stage, number, len(subjects))
        percent = spec.preprocessing.normalization.percentile
        pairs.append(read_pair(subject, spec.source_contrast, spec.target_contrast, percent))
    console.progress(stage, len(subjects), len(subjects))
    return pairs


def _draw(comparison: "PairComparison", spec: "ModelSpec", path: Path) -> None:
    from SAMI2ILib.evaluation.figures import Panels, save_figure

    brain = comparison.scores.brain
    panels = Panels(
        comparison.source,
        comparison.synthetic,
        comparison.target,
        spec.source_contrast,
        spec.target_contrast,
    )
    title = f"{comparison.subject}: in the brain NRMSE {brain.nrmse:.3f}, SSIM {brain.ssim:.3f}"
    save_figure(panels, path, title)


def _teachers(args: argparse.Namespace) -> list["Subject"]:
    """The subjects that the lookup table is fitted on."""
    from SAMI2ILib.data.subjects import find_subjects

    found = {subject.name: subject for subject in find_subjects(args.subjects)}
    check_subjects("--lookup-table-from", args.lookup_table_from, sorted(found), args.subjects)
    return [found[name] for name in args.lookup_table_from]


def _measure_lookup_table(
    teachers: Sequence["Subject"],
    pairs: Sequence["RealPair"],
    spec: "ModelSpec",
    console: Console,
) -> "dict[str, VolumeScores]":
    from SAMI2ILib.evaluation.lookup_table import LookupTable

    lookup = LookupTable.fit(
        (pair.source.array_kji[pair.brain], pair.target.array_kji[pair.brain])
        for pair in _read_pairs(teachers, spec, console, "fit lookup table")
    )
    percent = spec.preprocessing.normalization.percentile
    return {
        pair.subject: pair.compare(lambda volume: lookup.translate(volume, percent)).scores
        for pair in pairs
    }


def _write_report(folder: Path, report: dict[str, Any], scores: "dict[str, VolumeScores]") -> None:
    from SAMI2ILib.evaluation.report import csv_table

    write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", folder / "metrics.json")
    write_text(csv_table(scores), folder / "metrics.csv")


def record_figures(reference: str, rows: "Mapping[str, Row]", data: str) -> None:
    """Replace the figures for `data` in a model file, keeping those for other data.

    Args:
        reference: Id or file of the model.
        rows: The figures by the subject's name.
        data: What a reader calls the data.
    """
    from SAMI2ILib.evaluation.report import card_metrics
    from SAMI2ILib.weights.model_file import read_spec, read_tensors, write_model
    from SAMI2ILib.weights.store import Store

    path = Store().find(reference).path
    spec = read_spec(path)
    kept = tuple(metric for metric in spec.metrics if metric.data != data)
    write_model(path, replace(spec, metrics=kept + card_metrics(rows, data)), read_tensors(path))
