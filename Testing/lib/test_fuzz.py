"""The fuzzer finds what is planted, and the same seed makes the same file."""

import random
import sys

import pytest

from Testing.fuzz.__main__ import Tally, fuzz, shares, table
from Testing.fuzz.mutations import mutated
from Testing.fuzz.targets import TARGETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory and reads /proc")


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("planted hang", "hang for 0.5 s"),
        ("planted crash", "crash with code -6"),
        ("planted defect", "defect KeyError in planted.py"),
        ("planted memory", "memory "),
        ("planted escape", "escape open "),
        ("planted command", "escape subprocess.Popen"),
    ],
)
def test_planted_defect_is_found_with_its_case_and_the_next_one_runs(tmp_path, planted, found):
    folder = tmp_path / "case"
    folder.mkdir()
    tally = fuzz(planted, range(5, 7), 1, 0.5, folder)
    assert [number for number, _outcome in tally.findings] == [5, 6]
    assert all(outcome.startswith(found) for _number, outcome in tally.findings), tally.findings
    assert not (tmp_path / "escaped").exists()


def test_worker_that_cannot_start_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="'no such' ended with 1 before its first case"):
        fuzz("no such", range(1), 1, 1.0, tmp_path)


@pytest.mark.parametrize("target", ["nifti", "nrrd", "metaimage", "sidecar", "cohort table"])
def test_sixty_hostile_files_are_read_or_refused(tmp_path, target):
    tally = fuzz(target, range(60), 1, 30.0, tmp_path)
    assert tally.findings == []
    assert tally.outcomes.total() == 60
    assert tally.outcomes["refused"] > 5


@pytest.mark.parametrize("kind", ["binary", "text", "json", "gzip"])
def test_same_seed_makes_the_same_file_and_most_files_differ(kind):
    import gzip

    seed = b'{"a": [1, 2, {"b": "c"}], "size": 3}\nname: value\nother = 7\n' + bytes(300)
    seed = gzip.compress(seed) if kind == "gzip" else seed
    made = [mutated(seed, kind, random.Random(n)) for n in range(200)]
    assert made == [mutated(seed, kind, random.Random(n)) for n in range(200)]
    assert len(set(made)) > 150


def test_cases_are_divided_by_the_shares():
    divided = shares(20_000, TARGETS)
    assert divided.keys() == TARGETS.keys()
    assert 20_000 <= sum(divided.values()) < 20_000 + len(TARGETS)
    assert divided["nifti"] == max(divided.values())


def test_table_adds_up():
    tally = Tally()
    for outcome in ("read", "refused", "refused", "defect KeyError"):
        tally.add(1, outcome)
    assert "| all | 8 | 2 | 4 | 2 | 0 |" in table({"a": tally, "b": tally})
