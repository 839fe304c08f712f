"""Chooses the subjects of a run: which train, which validate; those for tests do neither."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from SAMI2ILib.data.dataset import PairedSlices, SliceDataset, open_dataset
from SAMI2ILib.errors import InputError
from SAMI2ILib.training.config import DataSource, TrainingConfig

_VALIDATION_PART = "validation"


@dataclass(frozen=True)
class Selection:
    """Who takes part in a run.

    Attributes:
        datasets: The dataset of each data source, in the configuration's order.
        training: The subjects of each data source, in the same order.
        validation: Subjects that are measured and never trained on, from all sources.
    """

    datasets: tuple[SliceDataset, ...]
    training: tuple[tuple[PairedSlices, ...], ...]
    validation: tuple[PairedSlices, ...] = ()

    @property
    def slices(self) -> int:
        """Training slices of all sources."""
        return sum(len(pairs) for source in self.training for pairs in source)


def select_subjects(config: TrainingConfig) -> Selection:
    """Open the datasets and choose the subjects that a configuration asks for.

    Args:
        config: Its data sources have folders.

    Raises:
        InputError: A folder is no dataset, a subject that is named is not there, or a source or
            target is left with nobody to train on.
    """
    datasets = tuple(open_dataset(Path(source.folder)) for source in config.data)
    training: list[tuple[PairedSlices, ...]] = []
    validation: list[PairedSlices] = []
    for source, dataset in zip(config.data, datasets, strict=True):
        measured = _validation_names(config, source, dataset)
        pairs = dataset.pairs(config.source, config.targets, context=config.context_slices)
        wanted = _training_names(config, source, dataset) - measured
        training.append(tuple(pair for pair in pairs if pair.subject.name in wanted))
        validation.extend(pair for pair in pairs if pair.subject.name in measured)
        if not training[-1]:
            raise InputError(
                f"The data source '{source.name}' has no subject to train on.",
                "Correct its 'only' and 'exclude', or 'validation' and 'train_parts'.",
            )
    everybody = [subject.name for dataset in datasets for subject in dataset.subjects]
    _check_named(config.validation, everybody, "validation", "any data source")
    _check_targets(config.targets, training)
    return Selection(datasets, tuple(training), tuple(validation))


def _training_names(config: TrainingConfig, source: DataSource, dataset: SliceDataset) -> set[str]:
    where = f"{dataset.folder} ('{source.name}')"
    _check_named(source.only, dataset.by_name, "only", where)
    _check_named(source.exclude, dataset.by_name, "exclude", where)
    in_parts = {subject.name for subject in dataset.split(*config.train_parts)}
    return (set(source.only) or in_parts) - set(source.exclude)


def _validation_names(
    config: TrainingConfig, source: DataSource, dataset: SliceDataset
) -> set[str]:
    if config.validation:
        return set(config.validation) & set(dataset.by_name)
    if _VALIDATION_PART in config.train_parts:
        return set()
    part = {subject.name for subject in dataset.split(_VALIDATION_PART)}
    return part - set(source.only) - set(source.exclude)


def _check_named(wanted: Sequence[str], there: Container[str], key: str, where: str) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise InputError(
            f"'{key}' names {', '.join(missing)}, which {where} does not hold.",
            "Correct the name or the folder.",
        )


def _check_targets(targets: Sequence[str], training: Sequence[Sequence[PairedSlices]]) -> None:
    for target in targets:
        if not any(target in pair.subject.contrasts for source in training for pair in source):
            raise InputError(
                f"No subject to train on has the target {target}.",
                "Add subjects that have it, or take it out of 'targets'.",
            )
