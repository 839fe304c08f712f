"""The split: sizes, sites, persons, seed."""

from collections import Counter

import pytest

from SAMI2ILib.data.preparation.cases import Case
from SAMI2ILib.data.preparation.split import SplitRule, divide
from SAMI2ILib.errors import InputError


def people(*sites: tuple[str, int]) -> list[Case]:
    return [Case(f"{s}-{n}", {}, f"{s}-{n}", s) for s, count in sites for n in range(count)]


def test_parts_have_their_sizes_overall_and_in_each_site():
    cases = people(("Guys", 55), ("HH", 32), ("IOP", 13))
    parts = divide(cases, SplitRule())
    assert Counter(parts.values()) == {"test": 20, "validation": 4, "train": 76}
    in_test = Counter(case.site for case in cases if parts[case.name] == "test")
    assert in_test == {"Guys": 11, "HH": 6, "IOP": 3}  # 11.0, 6.4, 2.6


def test_sessions_of_a_person_stay_together():
    cases = [Case(f"{p}-{s}", {}, p) for p in "abcdefghij" for s in (1, 2, 3)]
    parts = divide(cases, SplitRule(test=0.3, validation=0.2))
    assert all(len({parts[f"{p}-{s}"] for s in (1, 2, 3)}) == 1 for p in "abcdefghij")
    assert Counter(parts.values()) == {"test": 9, "validation": 3, "train": 18}


def test_split_depends_on_the_seed_and_not_on_the_order():
    cases = people(("A", 20), ("B", 20))
    assert divide(cases, SplitRule()) == divide(cases[::-1], SplitRule())
    assert divide(cases, SplitRule()) != divide(cases, SplitRule(seed=1))


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, {"train": 1}), (2, {"train": 2}), (3, {"test": 1, "train": 2})],
)
def test_few_persons_train(count, sizes):
    assert Counter(divide(people(("A", count)), SplitRule()).values()) == sizes


def test_validation_has_somebody_as_soon_as_three_are_left_for_training():
    parts = divide(people(("A", 3), ("B", 1)), SplitRule())
    assert Counter(parts.values()) == {"test": 1, "validation": 1, "train": 2}


def test_part_of_zero_is_empty():
    parts = divide(people(("A", 10)), SplitRule(test=0, validation=0))
    assert set(parts.values()) == {"train"}


def test_split_of_the_user_is_kept():
    cases = [Case("a", {}, "a", split="Test"), Case("b", {}, "b", split="val")]
    assert divide(cases, SplitRule()) == {"a": "test", "b": "validation"}


@pytest.mark.parametrize(
    ("splits", "person", "message"),
    [
        (("train", ""), "q", "'b' has no split, but 'a' has"),
        (("train", "exam"), "q", "'b' has the split 'exam'"),
        (("train", "test"), "p", "'a' is in train and 'b' in test, but both are scans of 'p'"),
    ],
)
def test_split_of_the_user_that_cannot_be_is_refused(splits, person, message):
    cases = [Case("a", {}, "p", split=splits[0]), Case("b", {}, person, split=splits[1])]
    with pytest.raises(InputError, match=message):
        divide(cases, SplitRule())


@pytest.mark.parametrize("part", ["test", "validation"])
def test_part_must_be_a_part(part):
    with pytest.raises(InputError, match=f"The {part} part must lie in 0 to 1"):
        SplitRule(**{part: 1.0})
