"""Who trains, who validates; those that are for tests do neither."""

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.selection import select_subjects


def names(pairs):
    return [pair.subject.name for pair in pairs]


def chosen(configure, cohort, data=None, **changes):
    source = {"name": "phantoms", "folder": str(cohort)} | (data or {})
    return select_subjects(configure(data=[source], **changes))


def test_parts_of_the_split_decide(configure, cohort):
    selection = chosen(configure, cohort)
    assert names(selection.training[0]) == ["anna", "bert"]
    assert names(selection.validation) == ["carl"]
    assert selection.slices == sum(len(pair) for pair in selection.training[0])


def test_recipe_without_validation_trains_on_that_part_too(configure, cohort):
    selection = chosen(configure, cohort, train_parts=["train", "validation"])
    assert names(selection.training[0]) == ["anna", "bert", "carl"]
    assert selection.validation == ()


def test_named_validation_subjects_are_never_trained_on(configure, cohort):
    selection = chosen(configure, cohort, validation=["bert"])
    assert names(selection.training[0]) == ["anna"]
    assert names(selection.validation) == ["bert"]


def test_named_subjects_are_taken_from_any_part(configure, cohort):
    selection = chosen(configure, cohort, {"only": ["anna", "carl"]})
    assert names(selection.training[0]) == ["anna", "carl"]
    assert selection.validation == ()


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ({"only": ["emil"]}, {}, "'only' names emil"),
        ({"exclude": ["emil"]}, {}, "'exclude' names emil"),
        ({"exclude": ["anna", "bert"]}, {}, "no subject to train on"),
        ({}, {"validation": ["emil"]}, "'validation' names emil"),
        ({"only": ["bert"]}, {}, "No subject to train on has the target PD"),
        ({}, {"targets": ["FLAIR"]}, "has no FLAIR, only T1, T2, PD"),
        ({"folder": "nowhere"}, {}, "nowhere is no dataset"),
    ],
)
def test_impossible_choice_of_subjects_is_refused(configure, cohort, data, changes, message):
    with pytest.raises(InputError, match=message):
        chosen(configure, cohort, data, **changes)
