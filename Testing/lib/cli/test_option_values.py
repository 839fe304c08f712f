"""Values that no option can mean are refused in words, before any work."""

import pytest

from SAMI2ILib.cli.option_values import read_assignments
from SAMI2ILib.errors import InputError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["translate", "", "-o", "out"], "argument input: is empty: is a variable not set?"),
        (["translate", "x.nii", "-o", ""], "argument -o/--output: is empty"),
        (["translate", "x.nii", "-o", "-"], "argument -o/--output: takes no pipe; write ./- for"),
        (["translate", "x.nii", "-o", "out", "--target", ""], "argument --target: is empty"),
        (["translate", "x.nii", "-o", "out", "--model", " "], "argument --model: is empty"),
        (["translate-cohort", "x", "-o", "out", "--shard", ""], "argument --shard: is empty"),
        (["compare", "", "x.nii"], "argument synthetic: is empty"),
        (["prepare", "pairs", "x", "-o", "out", "--test", "nan"], "--test: must be a number, not"),
        (["prepare", "pairs", "x", "-o", "out", "--jobs", "0"], "--jobs: must be a whole number"),
        (["prepare", "pairs", "x", "-o", "out", "--contrasts", ","], "--contrasts: names nothing"),
        (["evaluate", "m", "--data", "d", "-o", "out", "--seed", "1.5"], "--seed: must be a whole"),
        (["evaluate", "m", "--data", "d", "-o", "out", "--only", ""], "--only: names nothing"),
        (["calibrate", "m", "--subjects", "d", "-o", "out", "--only", ""], "--only: names nothing"),
        (["simulate", "head", "-o", "out", "--noise", "inf"], "--noise: must be a number, not"),
        (["simulate", "head", "-o", "out", "--tilt", "0", "x", "0"], "--tilt: must be a number"),
        (["simulate", "head", "-o", "out", "--spacing", "x"], "--spacing: must be a number, not"),
        (["simulate", "head", "-o", "out", "--spacing", "0"], "--spacing: 0 is not a positive"),
        (["simulate", "head", "-o", "out", "--seed", "x"], "--seed: must be a whole number, not"),
        (["simulate", "head", "-o", "out", "--seed", "-1"], "--seed: -1 is negative"),
        (["train", "-o", "out", "--minutes", "inf"], "--minutes: must be a number, not 'inf'"),
        (["bench", "--threads", "0"], "--threads: must be a whole number of at least 1, not 0"),
        (["export-dicom", "x", "-o", "out", "--series-number", "x"], "must be a whole number, not"),
    ],
)
def test_value_without_a_meaning_is_wrong_usage(sami2i, words, said):
    outcome = sami2i(*words)
    assert outcome.code == 2
    assert said in outcome.err.splitlines()[-1]


def test_name_that_is_assigned_twice_is_refused():
    assert read_assignments(["a=1", "b=2"], "--data") == {"a": "1", "b": "2"}
    with pytest.raises(InputError, match=r"--data a=2: a is given twice\."):
        read_assignments(["a=1", "a=2"], "--data")
