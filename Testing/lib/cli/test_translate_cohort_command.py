"""`sami2i translate-cohort` as its user sees it: volumes, `cohort.csv`, logs, exit codes."""

import json
import os
import signal
import sys

import numpy as np
import pytest

from SAMI2ILib.cli.translate_cohort import _device_of
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.inference.cohort.shard import Shard
from Testing.lib.files import read_csv
from Testing.lib.processes import wait_for_line

TINY = (3, 12, 12)
LONG = (40, 64, 64)


@pytest.fixture
def make_cohort(tmp_path, make_head):
    """Make a folder of small heads."""

    def make(count, shape_kji=TINY):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            write_volume(make_head(shape_kji), folder / f"p{number:03d}_T1.nii")
        return folder

    return make


@pytest.fixture
def run_cohort(sami2i, tiny_model_file, tmp_path):
    def run(folder, *arguments, output="out"):
        return sami2i(
            "translate-cohort", folder, "-o", tmp_path / output, "--model", tiny_model_file,
            "--device", "cpu", *arguments,
        )  # fmt: skip

    return run


def read_table(folder):
    return {row["case"]: row for row in read_csv(folder / "cohort.csv")}


def test_three_hundred_volumes_of_which_five_are_bad(make_cohort, run_cohort, tmp_path):
    folder = make_cohort(300)
    paths = sorted(folder.iterdir())
    bad = {path.stem: path for path in paths[10::60]}
    truncated, text, constant, empty, headless = bad.values()
    truncated.write_bytes(truncated.read_bytes()[:-100])
    text.write_text("no image")
    head = read_volume(paths[0])
    constant.unlink()
    write_volume(head.with_array(np.full(TINY, 7.0)), constant)
    empty.write_bytes(b"")
    headless.write_bytes(bytes(348) + paths[0].read_bytes()[348:])

    outcome = run_cohort(folder, "--progress", "json")

    assert outcome.code == 1
    table = read_table(tmp_path / "out")
    assert len(table) == 300
    assert {name for name, row in table.items() if row["status"] != "done"} == set(bad)
    for name in bad:
        row = table[name]
        assert (row["status"], row["exit_code"]) == ("failed", "2")
        assert row["message"]
        assert not (tmp_path / "out" / row["output"]).exists()
        log = json.loads((tmp_path / "out/logs" / f"{name}_synth-T2.json").read_text())
        assert (log["exit_code"], log["message"]) == (2, row["message"])
    done = [row for row in table.values() if row["status"] == "done"]
    assert all((tmp_path / "out" / row["output"]).is_file() for row in done)
    result = read_volume(tmp_path / "out" / done[0]["output"])
    assert result.grid.is_same(head.grid)
    assert result.array_kji.max() > 0
    events = outcome.events
    assert [event["event"] for event in events][:1] == ["start"]
    assert events[-1] == {
        "event": "result",
        "table": str(tmp_path / "out/cohort.csv"),
        "cases": 300,
        "done": 295,
        "from_earlier_runs": 0,
        "failed": 5,
    }
    counts = [event["done"] for event in events if event.get("stage") == "cases"]
    assert counts == list(range(1, 301))
    warned = [event for event in events if event.get("code") == "case-failed"]
    assert sorted(event["message"].partition(":")[0] for event in warned) == sorted(bad)


def test_second_run_keeps_what_is_there_and_repairs_the_rest(
    make_cohort, run_cohort, tmp_path, make_head
):
    folder = make_cohort(5)
    assert run_cohort(folder).code == 0
    out = tmp_path / "out"
    images = {path.name[:4]: path for path in out.glob("*.nii")}
    before = {name: path.stat().st_mtime_ns for name, path in images.items()}
    images["p001"].write_bytes(images["p001"].read_bytes()[:-4])  # damaged
    images["p002"].unlink()
    write_volume(make_head((4, 12, 12)), folder / "p003_T1.nii")  # another scan
    (out / "logs/p004_T1_synth-T2.json").unlink()

    outcome = run_cohort(folder, "--progress", "json")

    assert outcome.code == 0
    assert outcome.events[-1]["from_earlier_runs"] == 2
    after = {name: path.stat().st_mtime_ns for name, path in images.items()}
    assert {name for name in images if after[name] == before[name]} == {"p000", "p004"}
    assert read_volume(images["p003"]).array_kji.shape == (4, 12, 12)
    assert {row["status"] for row in read_table(out).values()} == {"done"}


@pytest.mark.parametrize(
    ("field", "value"), [("warnings", [1]), ("warnings", None), ("volume", {}), ("model", "x")]
)
def test_result_whose_record_was_changed_is_made_anew(
    make_cohort, run_cohort, tmp_path, field, value
):
    folder = make_cohort(1)
    run_cohort(folder)
    sidecar = tmp_path / "out/p000_T1_synth-T2.json"
    record = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**record, field: value}))
    outcome = run_cohort(folder)
    assert (outcome.code, outcome.out.split(":")[0]) == (0, "1 done, 0 failed")
    assert json.loads(sidecar.read_text())[field] == record[field]


def test_other_model_makes_the_results_anew(
    make_cohort, run_cohort, sami2i, tiny_model_file, tmp_path
):
    from dataclasses import replace

    from SAMI2ILib.weights import read_spec, read_tensors, write_model

    folder = make_cohort(1)
    run_cohort(folder)
    spec = replace(read_spec(tiny_model_file), id="tiny-pd", target_contrast="PD")
    other = tmp_path / "pd.safetensors"
    write_model(other, spec, read_tensors(tiny_model_file))
    out = tmp_path / "out"
    assert sami2i("translate-cohort", folder, "-o", out, "--model", other).code == 0
    rows = sorted((row["target"], row["status"]) for row in read_csv(out / "cohort.csv"))
    assert rows == [("PD", "done"), ("T2", "done")]  # both targets have their lines
    write_model(tiny := tmp_path / "t2.safetensors", replace(spec, target_contrast="T2"),
                read_tensors(tiny_model_file))  # fmt: skip
    outcome = sami2i("translate-cohort", folder, "-o", out, "--model", tiny)
    assert "1 done, 0 failed" in outcome.out
    record = json.loads((out / "p000_T1_synth-T2.json").read_text())
    assert record["model"]["id"] == "tiny-pd"


def test_shards_together_make_one_table(make_cohort, run_cohort, tmp_path, monkeypatch):
    folder = make_cohort(5)
    (folder / "p002_T1.nii").write_bytes(b"")
    outcome = run_cohort(folder, "--shard", "1/2")
    assert outcome.code == 1  # p002 is in the first shard
    assert "Shard 1 of 2 (--shard 1/2): 3 of 5 cases." in outcome.err
    statuses = [row["status"] for row in read_table(tmp_path / "out").values()]
    assert statuses == ["done", "waiting", "failed", "waiting", "done"]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = run_cohort(folder)
    assert outcome.code == 0
    assert "Shard 2 of 2 (RANK and WORLD_SIZE): 2 of 5 cases." in outcome.err
    statuses = [row["status"] for row in read_table(tmp_path / "out").values()]
    assert statuses == ["done", "done", "failed", "done", "done"]


def test_shard_without_cases_succeeds(make_cohort, run_cohort):
    outcome = run_cohort(make_cohort(1), "--shard", "2/2")
    assert outcome.code == 0
    assert "0 done, 0 failed" in outcome.out


def test_bids_data_set_becomes_a_derivative(make_head, run_cohort, tmp_path, files_below):
    folder = tmp_path / "bids/sub-01/anat"
    folder.mkdir(parents=True)
    write_volume(make_head(TINY), folder / "sub-01_T1w.nii.gz")
    (tmp_path / "bids/dataset_description.json").write_text('{"Name": "Heads"}')
    assert run_cohort(tmp_path / "bids", output="bids/derivatives/sami2i").code == 0
    assert files_below(tmp_path / "bids/derivatives/sami2i") == [
        ".bidsignore",
        "README",
        "cohort.csv",
        "dataset_description.json",
        "logs/sub-01/anat/sub-01_desc-synthetic_T2w.json",
        "sub-01/anat/sub-01_desc-synthetic_T2w.json",
        "sub-01/anat/sub-01_desc-synthetic_T2w.nii.gz",
    ]
    sidecar = tmp_path / "bids/derivatives/sami2i/sub-01/anat/sub-01_desc-synthetic_T2w.json"
    record = json.loads(sidecar.read_text())
    assert (record["synthetic"], record["SkullStripped"]) == (True, False)


def test_table_names_the_results_and_its_bad_rows_fail_alone(make_cohort, run_cohort, tmp_path):
    make_cohort(1)
    table = tmp_path / "list.csv"
    table.write_text("source,name\nin/p000_T1.nii,anna\nin/nowhere.nii.gz,bert\n")
    assert run_cohort(table).code == 1
    rows = read_table(tmp_path / "out")
    assert [(name, row["status"]) for name, row in rows.items()] == [
        ("anna", "done"),
        ("bert", "failed"),
    ]
    assert rows["bert"]["message"].startswith("nowhere.nii.gz does not exist.")
    assert (tmp_path / "out/anna_synth-T2.nii").is_file()


def test_real_scan_in_the_place_of_a_result_is_kept_and_said(make_cohort, run_cohort, tmp_path):
    folder = make_cohort(2)
    real = tmp_path / "out/p000_T1_synth-T2.nii"
    real.parent.mkdir()
    real.write_bytes(b"a real scan")
    assert run_cohort(folder).code == 1
    assert real.read_bytes() == b"a real scan"
    assert "is not replaced" in read_table(tmp_path / "out")["p000_T1"]["message"]


def test_table_and_logs_name_no_folder(make_cohort, run_cohort, tmp_path, files_below):
    folder = make_cohort(2)
    (folder / "p000_T1.nii").write_bytes(b"no image")
    (folder / "p001_T1.nii").chmod(0o644)
    (tmp_path / "list.csv").write_text("source\nin/p000_T1.nii\nin/p001_T1.nii\nelsewhere/x.nii\n")
    run_cohort(tmp_path / "list.csv")
    out = tmp_path / "out"
    assert len(files_below(out)) == 1 + 2 + 3  # table, one result with its sidecar, three logs
    for path in out.rglob("*"):
        if path.suffix in (".csv", ".json"):
            text = path.read_text(encoding="utf-8")
            assert str(tmp_path) not in text
            assert tmp_path.name not in text


def test_unexpected_error_fails_one_case_and_is_shown_by_debug(
    make_cohort, run_cohort, tmp_path, monkeypatch
):
    folder = make_cohort(2)
    from SAMI2ILib.inference.cohort import run as cohort_run

    def fail_for_first(volume, *rest, real=cohort_run.prepare_volume):
        if volume.name.startswith("p000"):
            raise RuntimeError("surprise")
        return real(volume, *rest)

    monkeypatch.setattr(cohort_run, "prepare_volume", fail_for_first)
    outcome = run_cohort(folder, "--debug")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    rows = read_table(tmp_path / "out")
    assert rows["p000_T1"]["message"].startswith("Internal error: RuntimeError: surprise.")
    assert (rows["p000_T1"]["exit_code"], rows["p001_T1"]["status"]) == ("1", "done")


@pytest.mark.parametrize(
    ("asked", "shards", "gpus", "expected"),
    [
        ("auto", 4, 2, "cuda:1"),
        ("cuda", 4, 2, "cuda:1"),
        ("cuda:0", 4, 2, "cuda:0"),
        ("auto", 4, 1, "auto"),
        ("auto", 1, 2, "auto"),
        ("cpu", 4, 2, "cpu"),
    ],
)
def test_processes_of_a_machine_take_its_gpus_in_turn(monkeypatch, asked, shards, gpus, expected):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    shard = Shard(shards, shards, local_rank=3)
    assert _device_of(asked, shard) == expected


def test_no_volume_is_wrong_input(run_cohort, tmp_path):
    (tmp_path / "in").mkdir()
    outcome = run_cohort(tmp_path / "in")
    assert outcome.code == 2
    assert "holds no volume" in outcome.error_line
    assert not (tmp_path / "out").exists()


@pytest.fixture
def start_long_cohort(start_sami2i, make_cohort, tiny_model_file, tmp_path):
    """Start a cohort that takes long enough to be stopped, and wait for its first result."""

    def start(*arguments):
        process = start_sami2i(
            "translate-cohort", make_cohort(20, LONG), "-o", tmp_path / "out",
            "--model", tiny_model_file, "--progress", "json", "--batch-size", 1, *arguments,
        )  # fmt: skip
        wait_for_line(process, '"stage": "cases"')
        return process

    return start


def assert_whole(folder, files_below):
    """Every result is whole and has its sidecar; nothing half lies about."""
    images = sorted(folder.glob("*.nii"))
    assert 1 <= len(images) < 20
    for image in images:
        assert read_volume(image).array_kji.shape == LONG
        assert image.with_suffix(".json").is_file()
    assert not [name for name in files_below(folder) if ".sami2i-" in name]


@pytest.mark.fault("cancelled")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child")
def test_interrupt_leaves_what_is_finished_and_says_what_waits(
    start_long_cohort, tmp_path, files_below, error_line
):
    process = start_long_cohort()
    os.kill(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error_line(err) == "sami2i: error: Cancelled."
    assert_whole(tmp_path / "out", files_below)
    statuses = [row["status"] for row in read_table(tmp_path / "out").values()]
    assert statuses.count("done") == len(list((tmp_path / "out").glob("*.nii")))
    assert statuses[-1] == "waiting"


@pytest.mark.fault("cancelled")
def test_closed_stdin_leaves_what_is_finished(start_long_cohort, tmp_path, files_below):
    process = start_long_cohort("--stop-on-stdin-close")
    process.communicate(timeout=60)  # closes stdin
    assert process.returncode == 130
    assert_whole(tmp_path / "out", files_below)


@pytest.mark.fault("child-killed")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_run_goes_on_where_it_was(start_long_cohort, run_cohort, tmp_path, files_below):
    process = start_long_cohort()
    process.kill()
    process.communicate(timeout=60)
    out = tmp_path / "out"
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.nii")}
    assert 1 <= len(finished) < 20
    outcome = run_cohort(tmp_path / "in", "--progress", "json")
    assert outcome.code == 0
    assert outcome.events[-1]["from_earlier_runs"] >= len(finished) - 1
    assert {row["status"] for row in read_table(out).values()} == {"done"}
    assert len(list(out.glob("*.nii"))) == 20
    assert not [name for name in files_below(tmp_path) if ".sami2i-" in name]
