"""`sami2i evaluate --data`: several models on the subjects of a dataset, with statistics."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.about import SOFTWARE_NAME, VERSION
from SAMI2ILib.atomic import make_folder
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import check_subjects
from SAMI2ILib.errors import InputError

if TYPE_CHECKING:
    from SAMI2ILib.data.dataset import SliceDataset, SubjectSlices
    from SAMI2ILib.evaluation.measured import MeasuredSystem
    from SAMI2ILib.evaluation.systems import LookupTableSystem, ModelSystem
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.inference.model_loader import LoadedModel


def measure_dataset(args: argparse.Namespace, console: Console) -> int:
    """Measure the models and write the tables."""
    from SAMI2ILib.data.dataset import open_dataset
    from SAMI2ILib.evaluation.measured import measure_systems
    from SAMI2ILib.evaluation.systems import LOOKUP_TABLE
    from SAMI2ILib.evaluation.tables import text_table, write_evaluation
    from SAMI2ILib.inference.device import select_device

    device = select_device(args.device, "fp32")
    console.start(device.description, device.reason)
    references = [split_name(text) for text in args.models]
    models = [_load(reference) for _, reference in references]
    source, target = _direction(models)
    dataset = open_dataset(args.data)
    subjects = _choose(args, dataset, source, target)
    make_folder(args.output)
    systems: list[ModelSystem | LookupTableSystem] = []
    facts: dict[str, dict[str, Any]] = {}
    for (name, _), model in zip(references, models, strict=True):
        system = _system(model, device, name)
        systems.append(system)
        facts[system.name] = _facts_of(model)
    if args.lookup_table_from:
        teachers = _teachers(args.lookup_table_from, dataset, source, target)
        _warn_of_overlap(teachers, subjects, console)
        systems.append(_fit(teachers, source, target))
        facts[LOOKUP_TABLE] = {"fitted_on": [subject.name for subject in teachers]}
    measured = measure_systems(
        systems,
        subjects,
        source,
        target,
        keep_background=args.keep_background,
        facts=facts,
        on_progress=lambda done, total: console.progress("measure", done, total),
    )
    for name, why in measured[0].not_measured.items():
        console.warn("not-measured", f"{name}: {why}")
    summaries = write_evaluation(
        args.output,
        measured,
        title=f"{source} to {target} on {dataset.manifest['name'] or dataset.folder.name}",
        facts=_facts(args, dataset, device.description, source, target),
        seed=args.seed,
    )
    console.say(text_table(measured))
    _record(args, references, measured)
    means = {
        system.system: {s.metric: s.mean for s in summaries if s.system == system.system}
        for system in measured
    }
    console.result({"report": str(args.output / "evaluation.json"), "mean": means})
    return 0


def split_name(text: str) -> tuple[str, str]:
    """Read [NAME=]MODEL; a file whose name has an equals sign is itself.

    Raises:
        InputError: The name or the model is missing.
    """
    name, sign, reference = text.partition("=")
    if not sign or Path(text).exists():
        return "", text
    if not (name and reference):
        raise InputError(f"{text}: expected NAME=MODEL.", "Add the missing part.")
    return name, reference


def _load(reference: str) -> "LoadedModel":
    from SAMI2ILib.inference.model_loader import load_model

    return load_model(reference)


def _system(model: "LoadedModel", device: "Device", name: str) -> "ModelSystem":
    from SAMI2ILib.evaluation.systems import ModelSystem
    from SAMI2ILib.inference.predictor import TorchPredictor

    return ModelSystem(model, TorchPredictor(model.network, device), name)


def _direction(models: "Sequence[LoadedModel]") -> tuple[str, str]:
    """The contrasts that all models have in common."""
    first = models[0].spec
    for model in models[1:]:
        spec = model.spec
        pair = spec.source_contrast, spec.target_contrast
        if pair != (first.source_contrast, first.target_contrast):
            raise InputError(
                f"'{first.id}' makes {first.target_contrast} from {first.source_contrast}, "
                f"'{spec.id}' makes {pair[1]} from {pair[0]}: they cannot be compared.",
                "Evaluate one direction at a time.",
            )
    return first.source_contrast, first.target_contrast


def _choose(
    args: argparse.Namespace, dataset: "SliceDataset", source: str, target: str
) -> "list[SubjectSlices]":
    """The subjects asked for that have both contrasts."""
    check_subjects("--only", args.only, dataset.by_name, dataset.folder)
    check_subjects("--exclude", args.exclude, dataset.by_name, dataset.folder)
    wanted = args.only or [subject.name for subject in dataset.split(args.split)]
    chosen = [
        pair.subject
        for pair in dataset.pairs(source, [target])
        if pair.subject.name in wanted and pair.subject.name not in args.exclude
    ]
    if not chosen:
        where = "of those named" if args.only else f"in the part '{args.split}'"
        raise InputError(
            f"No subject {where} has both {source} and {target}.",
            "Choose others with --split or --only.",
        )
    return chosen


def _teachers(
    names: Sequence[str], dataset: "SliceDataset", source: str, target: str
) -> "list[SubjectSlices]":
    """The subjects that a lookup table learns from: named ones, or those of parts."""
    from SAMI2ILib.data.dataset import SPLITS

    parts = [name for name in names if name in SPLITS]
    persons = [name for name in names if name not in SPLITS]
    check_subjects("--lookup-table-from", persons, dataset.by_name, dataset.folder)
    chosen = [
        pair.subject
        for pair in dataset.pairs(source, [target])
        if pair.subject.split in parts or pair.subject.name in persons
    ]
    if not chosen:
        raise InputError(
            f"--lookup-table-from names no subject with both {source} and {target}.",
            "Name others, or a part of the split.",
        )
    return chosen


def _fit(teachers: "Sequence[SubjectSlices]", source: str, target: str) -> "LookupTableSystem":
    from SAMI2ILib.evaluation.prepared_pairs import read_prepared_pair
    from SAMI2ILib.evaluation.systems import LookupTableSystem

    return LookupTableSystem.fit(
        read_prepared_pair(subject, source, target) for subject in teachers
    )


def _warn_of_overlap(
    teachers: "Sequence[SubjectSlices]", subjects: "Sequence[SubjectSlices]", console: Console
) -> None:
    measured = {subject.person for subject in subjects}
    both = [subject.name for subject in teachers if subject.person in measured]
    if both:
        console.warn(
            "fitted-on-measured",
            f"The lookup table was fitted on subjects that it is measured on: {', '.join(both)}.",
        )


def _facts_of(model: "LoadedModel") -> dict[str, Any]:
    return {"id": model.spec.id, "family": model.spec.family, "sha256": model.sha256}


def _facts(
    args: argparse.Namespace, dataset: "SliceDataset", device: str, source: str, target: str
) -> Mapping[str, Any]:
    part = "subjects by name" if args.only else f"the part '{args.split}'"
    return {
        "source": source,
        "target": target,
        "dataset": f"{dataset.manifest['name'] or dataset.folder.name}, {part}",
        "dataset id": dataset.id,
        "license of the data": str(dataset.manifest["license"]) or "unknown",
        "air of the target": "as scanned" if args.keep_background else "0, as in predictions",
        "device": device,
        "software": f"{SOFTWARE_NAME} {VERSION}",
    }


def _record(
    args: argparse.Namespace,
    references: Sequence[tuple[str, str]],
    measured: "Sequence[MeasuredSystem]",
) -> None:
    """Write the figures into the model files, where that was asked for."""
    from SAMI2ILib.cli.evaluate import record_figures

    if args.record:
        for (_, reference), system in zip(references, measured, strict=False):
            record_figures(reference, system.rows, args.record)
