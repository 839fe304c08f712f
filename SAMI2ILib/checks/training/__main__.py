"""Set the two classifiers of the input checks on simulated scans, test them apart, print the table.

    python -m SAMI2ILib.checks.training --labels HEADS --real SCANS -o OUT

HEADS holds whole-head label maps; the first ones by name train, the last four test. SCANS, which
may be left out, holds real scans as SUBJECT/T1.nii.gz and so on; nothing is set on them.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.checks.appearance import CONTRAST_NAMES, SHAPE_NAMES, measure
from SAMI2ILib.checks.classifier import Classifiers
from SAMI2ILib.checks.kind import size_problem
from SAMI2ILib.checks.overview import look_at
from SAMI2ILib.checks.training import shapes
from SAMI2ILib.checks.training.cases import CONTRASTS, OTHER, Case, head_cases, other_cases
from SAMI2ILib.checks.training.fit import fit_logistic
from SAMI2ILib.checks.training.report import Judged, table
from SAMI2ILib.checks.training.variants import real_cases, variants
from SAMI2ILib.data.parallel import run_in_processes
from SAMI2ILib.data.simulation.sources import find_label_maps
from SAMI2ILib.errors import InputError

# By four-fold cross-validation over the label maps of the training. An enhanced T1 is a T1 still:
# the two are told apart with more care.
LEAST_SOURCE, LEAST_ALIKE, LEAST_HEAD = 0.2, 0.1, 0.3
_STRETCHES = (0.7, 1.0, 1.3)
_CONTRAST_PENALTY, _HEAD_PENALTY = 0.0005, 0.005
_TEST_MAPS = 4
_TRAIN_SEED, _TEST_SEED = 1, 2
_TRAIN_THINGS, _TEST_THINGS = 12, 8  # of each family that is no head
_HEAD, _NO_HEAD = "head", OTHER


@dataclass(frozen=True, eq=False)
class Measured:
    """A case after its measurement, without its voxels.

    Attributes:
        kind: As in `Case`.
        group: As in `Case`.
        size_problem: Why its size is no head's; empty for most.
        contrast: Measurements, or None where there was nothing to measure.
        shape: Measurements, or None.
    """

    kind: str
    group: str
    size_problem: str
    contrast: NDArray[np.float64] | None
    shape: NDArray[np.float64] | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, test, print and write."""
    args = _parse(arguments)
    sources = [source.path for source in find_label_maps(args.labels) if source.path is not None]
    if len(sources) <= _TEST_MAPS:
        raise InputError(f"--labels holds {len(sources)} maps; it takes more than {_TEST_MAPS}.")
    make_folder(args.output)
    first, last = sources[:-_TEST_MAPS], sources[-_TEST_MAPS:]
    train = _heads(first, args.train, _TRAIN_SEED, args.workers)
    train += _things(shapes.TRAINED, _TRAIN_THINGS, _TRAIN_SEED, args.workers)
    classifiers = fit(train)
    fields = {
        "contrast": classifiers.contrast.to_json(),
        "head": classifiers.head.to_json(),
        "least_source": classifiers.least_source,
        "least_alike": classifiers.least_alike,
        "least_head": classifiers.least_head,
        "training": {"heads": args.train, "maps": len(sources) - _TEST_MAPS, "cases": len(train)},
    }
    write_text(json.dumps(fields, indent=1) + "\n", args.output / "input-checks-1.json")
    test = _heads(last, args.test, _TEST_SEED, args.workers)
    families = (*shapes.TRAINED, *shapes.HELD_OUT)
    test += _things(families, _TEST_THINGS, _TEST_SEED, args.workers)
    tables = [table("Simulated, heads not trained on", judge(test, classifiers))]
    if args.real is not None:
        found = list(real_cases(args.real, CONTRASTS))
        tables.append(table("Real scans", judge(map(measured, found), classifiers)))
        changed = (variant for case in found for variant in variants(case))
        title = "The same, mirrored, cut and tilted"
        tables.append(table(title, judge(map(measured, changed), classifiers)))
    text = "\n".join(tables)
    write_text(text, args.output / "table.md")
    sys.stdout.write(text)
    return 0


def measured(case: Case) -> Measured:
    """Measure a case and forget its voxels."""
    overview = look_at(case.volume)
    problem = size_problem(overview)
    if not overview.has_region:
        return Measured(case.kind, case.group, problem, None, None)
    appearance = measure(overview)
    return Measured(case.kind, case.group, problem, appearance.contrast, appearance.shape)


def fit(cases: Sequence[Measured]) -> Classifiers:
    """Set both classifiers on the cases that could be measured."""
    seen = [case for case in cases if case.contrast is not None and not case.size_problem]
    heads = [case for case in seen if case.kind != OTHER]
    # Sequences differ in how far they tell tissues apart: every head counts with each stretch of
    # the logarithms of its brightness.
    stretched = np.vstack([np.array([case.contrast for case in heads]) * s for s in _STRETCHES])
    kinds = [case.kind for case in heads] * len(_STRETCHES)
    contrast = fit_logistic(stretched, kinds, CONTRASTS, CONTRAST_NAMES, _CONTRAST_PENALTY)
    head = fit_logistic(
        np.array([case.shape for case in seen]),
        [_NO_HEAD if case.kind == OTHER else _HEAD for case in seen],
        (_HEAD, _NO_HEAD), SHAPE_NAMES, _HEAD_PENALTY,
    )  # fmt: skip
    return Classifiers(contrast, head, LEAST_SOURCE, LEAST_ALIKE, LEAST_HEAD)


def judge(cases: Iterable[Measured], classifiers: Classifiers) -> list[Judged]:
    """Say of each case what the checks say where a T1 is expected."""
    judged = []
    for case in cases:
        if case.contrast is None or case.shape is None:
            judged.append(Judged(case.kind, case.group, True, "", False))
            continue
        head = float(classifiers.head.probabilities(case.shape)[0, 0])
        no_head = bool(case.size_problem) or head < classifiers.least_head
        unlike = classifiers.is_unlike(case.contrast, "T1")
        likely = classifiers.likely_contrast(case.contrast)
        judged.append(Judged(case.kind, case.group, no_head, likely, unlike))
    return judged


def _heads(paths: Sequence[Path], count: int, seed: int, workers: int | None) -> list[Measured]:
    """Persons in every contrast and as CT, from the label maps in turn."""
    tasks = [(paths[n % len(paths)], (seed, n), f"{seed}-{n}") for n in range(count)]
    found = [case for part in run_in_processes(_one_head, tasks, workers) for case in part]
    return sorted(found, key=lambda case: (case.kind, case.group))


def _things(
    families: Sequence[shapes.Family], each: int, seed: int, workers: int | None
) -> list[Measured]:
    """What is no head, `each` of a family."""
    tasks = [(family.__name__, each, (seed, 1000 + n)) for n, family in enumerate(families)]
    found = [case for part in run_in_processes(_one_family, tasks, workers) for case in part]
    return sorted(found, key=lambda case: case.group)


def _one_head(path: Path, seed: tuple[int, ...], group: str) -> list[Measured]:
    cases = head_cases(path, np.random.SeedSequence(seed), group)
    return [measured(case) for case in cases]


def _one_family(name: str, count: int, seed: tuple[int, ...]) -> list[Measured]:
    family: shapes.Family = getattr(shapes, name)
    return [measured(case) for case in other_cases((family,), count, np.random.SeedSequence(seed))]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m SAMI2ILib.checks.training", description=__doc__
    )
    parser.add_argument("--labels", type=Path, required=True, help="folder of head label maps")
    parser.add_argument("--real", type=Path, help="folder of real scans")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--train", type=int, default=32, help="simulated persons to train on")
    parser.add_argument("--test", type=int, default=30, help="simulated persons to test on")
    parser.add_argument("--workers", type=int, help="processes (default: all cores)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
