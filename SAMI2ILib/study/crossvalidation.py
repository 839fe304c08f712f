"""Leave-one-subject-out: which trainings a comparison of systems needs, and who is left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from SAMI2ILib.data.dataset import SliceDataset, SubjectSlices, open_dataset
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.systems import LOOKUP_TABLE
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_file import build, parse_config, read_table, with_folders
from SAMI2ILib.training.selection import Selection, select_subjects

PRETRAINING: Final = "pretrain"
ALL: Final = "all"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TAKEN_NAMES = (LOOKUP_TABLE, "jobs")


@dataclass(frozen=True)
class SystemRecipe:
    """One system of the comparison.

    Attributes:
        name: In tables and as a folder; lower case, digits, ". _ -".
        train: TOML file of the training of a fold.
        pretrain: TOML file of a training that all folds begin with; empty for none.
    """

    name: str
    train: str
    pretrain: str = ""


@dataclass(frozen=True)
class CrossValidation:
    """What is compared, and on whom.

    Attributes:
        source: The contrast that goes in.
        target: The contrast that comes out.
        leave_out_from: The data source of the recipes whose subjects are left out one by one.
        system: The systems.
        title: Of the table.
        subjects: Who trains and is tested; empty takes all of that data source who have both
            contrasts and are not in `test_only`.
        test_from: A dataset of more subjects for tests only.
        test_only: Who is tested and never trains; empty takes all of `test_from`.
        lookup_table: Whether the best lookup table of each fold is measured too.
        seed: Of the bootstrap.
    """

    source: str
    target: str
    leave_out_from: str
    system: tuple[SystemRecipe, ...]
    title: str = ""
    subjects: tuple[str, ...] = ()
    test_from: str = ""
    test_only: tuple[str, ...] = ()
    lookup_table: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Cohort:
    """Who takes part.

    Attributes:
        subjects: Train in all folds but their own, in which they are tested.
        test_only: Are tested with the training on all `subjects`.
        datasets: That they come from.
    """

    subjects: tuple[SubjectSlices, ...]
    test_only: tuple[SubjectSlices, ...]
    datasets: tuple[SliceDataset, ...]

    @property
    def everybody(self) -> tuple[SubjectSlices, ...]:
        """All who are tested."""
        return (*self.subjects, *self.test_only)

    def teachers(self, tested: SubjectSlices) -> tuple[SubjectSlices, ...]:
        """Who trains where somebody is tested: all subjects that are not that person."""
        return tuple(one for one in self.subjects if one.person != tested.person)


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        system: Whose.
        name: Of its folder: `pretrain`, `fold-SUBJECT` or `all`.
        config: The recipe, with its data.
        dataset_ids: Of that data.
        tested: Names of the subjects that its model is measured on.
    """

    system: str
    name: str
    config: TrainingConfig
    dataset_ids: tuple[str, ...]
    tested: tuple[str, ...] = ()

    @property
    def is_pretraining(self) -> bool:
        """Whether the folds begin with it."""
        return self.name == PRETRAINING

    @property
    def folder(self) -> Path:
        """Where it lies in the folder of the comparison."""
        return Path(self.system) / self.name


def read_crossvalidation(path: Path) -> CrossValidation:
    """Read a TOML file; the recipes in it are found relative to its folder.

    Raises:
        InputError: The file is missing or no TOML, or a key is unknown, missing or wrong.
    """
    asked = build(CrossValidation, read_table(path))
    names = [system.name for system in asked.system]
    rules = (
        (bool(names), "'system' must hold at least one [[system]]"),
        (len(set(names)) == len(names), "each 'system.name' must be another"),
        (all(map(_NAME.fullmatch, names)), "'system.name' must be lower case, digits, '. _ -'"),
        (not set(names) & set(_TAKEN_NAMES), f"no 'system.name' may be {_TAKEN_NAMES}"),
        (asked.source != asked.target, "'source' and 'target' must differ"),
        (asked.seed >= 0, "'seed' must be zero or above"),
    )
    for holds, message in rules:
        if not holds:
            raise InputError(f"In {path.name}, {message}.", "Correct that key.")
    return replace(
        asked,
        system=tuple(
            replace(
                system,
                train=str(path.parent / system.train),
                pretrain=str(path.parent / system.pretrain) if system.pretrain else "",
            )
            for system in asked.system
        ),
    )


def choose_cohort(asked: CrossValidation, folders: Mapping[str, str]) -> Cohort:
    """Find who is left out, and who is for tests only.

    Args:
        asked: The comparison.
        folders: Where the datasets lie, by name.

    Raises:
        InputError: A dataset has no folder or is none, a subject is not there or lacks a contrast,
            two have one name, or fewer than two persons would train.
    """
    main = _open(asked.leave_out_from, folders)
    datasets = [main, *([_open(asked.test_from, folders)] if asked.test_from else [])]
    pairs = [_with_both(dataset, asked) for dataset in datasets]
    names = [name for found in pairs for name in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two subjects are called '{name}'.", "Rename one of them.")
    known = {name: subject for found in pairs for name, subject in found.items()}
    test_only = asked.test_only or tuple(pairs[1] if asked.test_from else ())
    subjects = asked.subjects or tuple(name for name in pairs[0] if name not in test_only)
    for key, wanted, there in (
        ("subjects", subjects, pairs[0]), ("test_only", test_only, known)
    ):  # fmt: skip
        if missing := [name for name in wanted if name not in there]:
            raise InputError(
                f"'{key}' names {', '.join(missing)}, of whom there is no {asked.source} with "
                f"{asked.target}.",
                f"There are {', '.join(there)}.",
            )
    if both := sorted(set(subjects) & set(test_only)):
        raise InputError(
            f"{', '.join(both)}: 'subjects' train, 'test_only' never do.", "Take one list."
        )
    cohort = Cohort(
        tuple(known[name] for name in sorted(subjects)),
        tuple(known[name] for name in sorted(test_only)),
        tuple(datasets),
    )
    if len({subject.person for subject in cohort.subjects}) < 2:
        raise InputError(
            "There must be at least two persons to leave one out.", "Add some to the dataset."
        )
    return cohort


def plan_trainings(
    asked: CrossValidation, cohort: Cohort, folders: Mapping[str, str]
) -> list[Training]:
    """List the trainings: all pretrainings, then fold by fold those of each system.

    Args:
        asked: The comparison.
        cohort: Who takes part in it.
        folders: Where the datasets lie, by name.

    Raises:
        InputError: A recipe is wrong or lacks the data source, or a training would see somebody
            whom its model is tested on.
    """
    pretrainings: list[Training] = []
    folds: dict[str, list[Training]] = {}
    for system in asked.system:
        if system.pretrain:
            config = _read_recipe(Path(system.pretrain), asked, folders)
            selection = select_subjects(config)
            _check_unseen(config, selection, cohort.everybody, Path(system.pretrain))
            pretrainings.append(Training(system.name, PRETRAINING, config, _ids_of(selection)))
        for training in _fold_trainings(system, asked, cohort, folders):
            folds.setdefault(training.name, []).append(training)
    return [*pretrainings, *(training for fold in folds.values() for training in fold)]


def _fold_trainings(
    system: SystemRecipe, asked: CrossValidation, cohort: Cohort, folders: Mapping[str, str]
) -> list[Training]:
    path = Path(system.train)
    config = _read_recipe(path, asked, folders)
    _check_recipe(config, asked, path)
    on_all = _training_on(config, asked.leave_out_from, cohort.subjects)
    selection = select_subjects(on_all)
    # the folds differ from it in the subjects of that one data source only
    _check_unseen(config, selection, cohort.everybody, path, but=asked.leave_out_from)
    ids = _ids_of(selection)
    trainings = [
        Training(
            system.name,
            f"fold-{subject.name}",
            _training_on(config, asked.leave_out_from, cohort.teachers(subject)),
            ids,
            (subject.name,),
        )
        for subject in cohort.subjects
    ]
    if cohort.test_only:
        tested = tuple(subject.name for subject in cohort.test_only)
        trainings.append(Training(system.name, ALL, on_all, ids, tested))
    return trainings


def _read_recipe(path: Path, asked: CrossValidation, folders: Mapping[str, str]) -> TrainingConfig:
    config = parse_config(read_table(path))
    known = {source.name for source in config.data}
    config = with_folders(config, {name: f for name, f in folders.items() if name in known})
    if config.source != asked.source or asked.target not in config.targets:
        raise InputError(
            f"{path.name} does not train {asked.source} to {asked.target}.",
            "Correct 'source' and 'targets'.",
        )
    return config


def _check_recipe(config: TrainingConfig, asked: CrossValidation, path: Path) -> None:
    found = [source for source in config.data if source.name == asked.leave_out_from]
    if not found:
        raise InputError(
            f"{path.name} has no data source '{asked.leave_out_from}', from which subjects are to "
            "be left out.",
            "Name it in [[data]], or correct 'leave_out_from'.",
        )
    if found[0].exclude:
        raise InputError(
            f"{path.name} excludes subjects of '{asked.leave_out_from}' itself.",
            "Say who takes part by 'subjects' of the comparison.",
        )


def _training_on(
    config: TrainingConfig, source: str, subjects: Sequence[SubjectSlices]
) -> TrainingConfig:
    """The recipe with one data source reduced to some subjects."""
    only = tuple(sorted(subject.name for subject in subjects))
    data = tuple(replace(d, only=only) if d.name == source else d for d in config.data)
    return replace(config, data=data)


def _check_unseen(
    config: TrainingConfig,
    selection: Selection,
    tested: Sequence[SubjectSlices],
    path: Path,
    but: str = "",
) -> None:
    """Refuse a training, or a choice of the best weights, on somebody who is tested."""
    names, persons = ({getattr(s, key) for s in tested} for key in ("name", "person"))
    trained = zip(config.data, selection.training, strict=True)
    seen = [pair for source, pairs in trained if source.name != but for pair in pairs]
    for pair in (*seen, *selection.validation):
        if pair.subject.name in names or pair.subject.person in persons:
            raise InputError(
                f"{path.name} trains or validates on '{pair.subject.name}', who is tested.",
                "Leave that subject out of the recipe.",
            )


def _ids_of(selection: Selection) -> tuple[str, ...]:
    return tuple(dataset.id for dataset in selection.datasets)


def _open(name: str, folders: Mapping[str, str]) -> SliceDataset:
    if name not in folders:
        raise InputError(f"The dataset '{name}' has no folder.", f"Pass --data {name}=FOLDER.")
    return open_dataset(Path(folders[name]))


def _with_both(dataset: SliceDataset, asked: CrossValidation) -> dict[str, SubjectSlices]:
    pairs = dataset.pairs(asked.source, [asked.target])
    return {pair.subject.name: pair.subject for pair in pairs}
