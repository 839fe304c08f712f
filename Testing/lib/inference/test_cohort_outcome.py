"""The logs of a cohort and the table that is made from them."""

from pathlib import Path

import pytest

from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.cohort import outcome as outcome_module
from SAMI2ILib.inference.cohort.cases import Case
from SAMI2ILib.inference.cohort.outcome import (
    Outcome,
    log_path,
    read_log,
    write_log,
    write_table,
)
from SAMI2ILib.inference.cohort.run import _without_folders
from SAMI2ILib.tables import read_rows

MODEL = "5" * 64


@pytest.fixture
def cases(tmp_path):
    return [
        Case(
            name,
            tmp_path / f"{name}.nii",
            (tmp_path / f"{name}_synth-T2.nii").relative_to(tmp_path),
        )
        for name in ("anna", "bert")
    ]


def make_outcome(case, model=MODEL, target="T2", exit_code=0, message=""):
    warnings = (Notice("few-slices", "3 slices"),)
    seconds = {"read": 1.0, "translate": 2.25}
    return Outcome(
        case.name, target, model, exit_code, case.source.name, case.output.as_posix(),
        seconds, warnings, message,
    )  # fmt: skip


def test_log_is_read_as_it_was_written(tmp_path, cases):
    outcome = make_outcome(cases[0], exit_code=2, message="Käthe's file, damaged")
    write_log(outcome, log_path(tmp_path, cases[0]))
    assert read_log(tmp_path / "logs/anna_synth-T2.json") == outcome


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"software": 1, "warnings": 3}', "null"])
def test_damaged_log_is_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    assert read_log(tmp_path / "x.json") is None


def test_table_has_a_line_for_each_case_whatever_its_state(tmp_path, cases):
    failed = make_outcome(cases[1], exit_code=4, message='Memory ran out, "all of it"; sorry.')
    write_log(failed, log_path(tmp_path, cases[1]))
    write_table(tmp_path, cases, "T2", MODEL)
    first, second = read_rows(tmp_path / "cohort.csv")
    assert (first["case"], first["status"], first["exit_code"]) == ("anna", "waiting", "")
    assert second == {
        "case": "bert",
        "target": "T2",
        "status": "failed",
        "exit_code": "4",
        "source": "bert.nii",
        "output": "bert_synth-T2.nii",
        "seconds": "3.25",
        "warnings": "few-slices",
        "message": 'Memory ran out, "all of it"; sorry.',
    }


def test_what_another_model_did_is_waiting_for_this_one(tmp_path, cases):
    write_log(make_outcome(cases[0], model="6" * 64), log_path(tmp_path, cases[0]))
    write_table(tmp_path, cases, "T2", MODEL)
    assert [row["status"] for row in read_rows(tmp_path / "cohort.csv")] == ["waiting", "waiting"]


def test_table_includes_what_another_process_logs_while_it_is_written(tmp_path, cases, monkeypatch):
    real = outcome_module.write_rows
    calls = []

    def write_and_be_interrupted(*arguments):
        if not calls:
            write_log(make_outcome(cases[1]), log_path(tmp_path, cases[1]))
        calls.append(arguments)
        real(*arguments)

    monkeypatch.setattr(outcome_module, "write_rows", write_and_be_interrupted)
    write_table(tmp_path, cases, "T2", MODEL)
    assert len(calls) == 2
    assert [row["status"] for row in read_rows(tmp_path / "cohort.csv")] == ["waiting", "done"]


def test_messages_keep_file_names_and_lose_folders(tmp_path, monkeypatch):
    source, output = tmp_path / "DOE JANE" / "head.nii", tmp_path / "out" / "x.nii"
    text = f"The file {source} and\n{str(output.with_name('x.json'))!r} cannot be read."
    assert _without_folders(text, source, output) == (
        "The file head.nii and 'x.json' cannot be read."
    )
    monkeypatch.chdir(tmp_path)
    relative = Path("a") / "head.nii"
    assert _without_folders(f"{relative}: no data/n", relative) == "head.nii: no data/n"
