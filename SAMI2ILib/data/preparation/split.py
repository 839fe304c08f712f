"""Who trains, who validates, who tests: by person, stratified by site, seeded."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from SAMI2ILib.data.dataset import SPLITS
from SAMI2ILib.data.preparation.cases import Case
from SAMI2ILib.errors import InputError

_SYNONYMS = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}


@dataclass(frozen=True)
class SplitRule:
    """How the persons are divided.

    Attributes:
        test: Part of all persons that is kept for the test.
        validation: Part of the others that validates while they train.
        seed: Another seed, another division.

    Raises:
        InputError: A part is not in [0, 1).
    """

    test: float = 0.2
    validation: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("test", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"The {name} part must lie in 0 to 1 (1 excluded), not {getattr(self, name)}."
                )


def divide(cases: Sequence[Case], rule: SplitRule) -> dict[str, str]:
    """Give each case a part: `train`, `validation` or `test`.

    All cases of a person are in one part. The order of the persons within a site follows from a
    hash of the seed and the name, so that it does not depend on the order of the files, and the
    sizes of the parts are spread over the sites by largest remainder. A part above 0 holds at
    least one person as soon as there are three to divide.

    Args:
        cases: Either all or none carry a part of their own.
        rule: Sizes and seed; unused where the cases carry their parts.

    Raises:
        InputError: Only some cases carry a part, a part is unknown, or a person is in two.
    """
    given = [case for case in cases if case.split]
    if given:
        return _as_given(cases, given)
    sites: dict[str, set[str]] = defaultdict(set)
    home: dict[str, str] = {}
    for case in sorted(cases, key=lambda case: case.name):
        sites[home.setdefault(case.person, case.site)].add(case.person)
    queues = {site: sorted(people, key=_order(rule.seed)) for site, people in sites.items()}
    part_of: dict[str, str] = {}
    for part, share in (("test", rule.test), ("validation", rule.validation)):
        for site, count in _spread(share, {s: len(q) for s, q in queues.items()}).items():
            part_of.update(dict.fromkeys(queues[site][:count], part))
            queues[site] = queues[site][count:]
    return {case.name: part_of.get(case.person, "train") for case in cases}


def _order(seed: int):  # type: ignore[no-untyped-def]
    return lambda person: hashlib.sha256(f"{seed}/{person}".encode()).hexdigest()


def _spread(share: float, sizes: Mapping[str, int]) -> dict[str, int]:
    """How many of each site make up a share of all, by largest remainder."""
    everybody = sum(sizes.values())
    wanted = round(share * everybody)
    if share > 0 and everybody >= 3:
        wanted = max(wanted, 1)
    exact = {site: share * size for site, size in sizes.items()}
    counts = {site: int(value) for site, value in exact.items()}
    by_remainder = sorted(sizes, key=lambda site: (counts[site] - exact[site], site))
    for site in by_remainder[: wanted - sum(counts.values())]:
        counts[site] += 1
    return counts


def _as_given(cases: Sequence[Case], given: Sequence[Case]) -> dict[str, str]:
    if len(given) != len(cases):
        without = next(case.name for case in cases if not case.split)
        raise InputError(
            f"'{without}' has no split, but '{given[0].name}' has.",
            "Fill the column 'split' for all subjects or for none.",
        )
    parts: dict[str, str] = {}
    first_of: dict[str, Case] = {}
    for case in cases:
        part = _SYNONYMS.get(case.split.lower(), case.split.lower())
        if part not in SPLITS:
            raise InputError(
                f"'{case.name}' has the split {case.split!r}.", f"Use {', '.join(SPLITS)}."
            )
        parts[case.name] = part
        first = first_of.setdefault(case.person, case)
        if parts[first.name] != part:
            raise InputError(
                f"'{first.name}' is in {parts[first.name]} and '{case.name}' in {part}, but both "
                f"are scans of '{case.person}'.",
                "Put all scans of a person into one part.",
            )
    return parts
