"""Chooses the subjects of a run: which train, which validate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SAMI2ILib.data.subjects import Subject, find_subjects
from SAMI2ILib.errors import InputError
from SAMI2ILib.training.config import DataSource, TrainingConfig


@dataclass(frozen=True)
class Selection:
    """Who takes part in a run.

    Attributes:
        training: The subjects of each data source, in the configuration's order.
        validation: Subjects that are measured and never trained on, from all sources.
    """

    training: tuple[tuple[Subject, ...], ...]
    validation: tuple[Subject, ...]


def select_subjects(config: TrainingConfig) -> Selection:
    """Find the subjects that a configuration asks for.

    Args:
        config: Its data sources have folders.

    Raises:
        InputError: A subject that is named is not there, one lacks the source contrast, or a
            source or target is left with nobody to train on.
    """
    training: list[tuple[Subject, ...]] = []
    validation: list[Subject] = []
    for source in config.data:
        chosen = _choose(source)
        for subject in chosen:
            subject.path(config.source)  # says so where it is missing
        training.append(tuple(s for s in chosen if s.name not in config.validation))
        validation.extend(s for s in chosen if s.name in config.validation)
        if not training[-1]:
            raise InputError(
                f"The data source '{source.name}' has no subject to train on.",
                "Correct its 'only' and 'exclude', or 'validation'.",
            )
    _check_named(config.validation, [s.name for s in validation], "validation", "any data source")
    _check_targets(config.targets, training)
    return Selection(tuple(training), tuple(validation))


def _choose(source: DataSource) -> list[Subject]:
    found = find_subjects(Path(source.folder))
    names = [subject.name for subject in found]
    where = f"{source.folder} ('{source.name}')"
    _check_named(source.only, names, "only", where)
    _check_named(source.exclude, names, "exclude", where)
    return [
        subject
        for subject in found
        if (not source.only or subject.name in source.only) and subject.name not in source.exclude
    ]


def _check_named(wanted: Sequence[str], there: Sequence[str], key: str, where: str) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise InputError(
            f"'{key}' names {', '.join(missing)}, which {where} does not hold.",
            "Correct the name or the folder.",
        )


def _check_targets(targets: Sequence[str], training: Sequence[Sequence[Subject]]) -> None:
    for target in targets:
        if not any(target in subject.contrasts for source in training for subject in source):
            raise InputError(
                f"No subject to train on has the target {target}.",
                "Add subjects that have it, or take it out of 'targets'.",
            )
