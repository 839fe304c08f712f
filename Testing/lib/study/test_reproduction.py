from pathlib import Path

import pytest

from SAMI2ILib.cli.main import main
from SAMI2ILib.cli.reproduce import array_element
from SAMI2ILib.errors import InputError
from SAMI2ILib.study import smoke
from SAMI2ILib.study.cells import Budget, Cell
from SAMI2ILib.study.jobs import JobContext, Plan
from SAMI2ILib.study.paper import DIRECTIONS
from SAMI2ILib.study.reproduction import Study, evaluation_job, make_plan, training_job
from SAMI2ILib.study.results import BRAIN, FULL, gather_tables
from Testing.lib.files import read_csv

T1_T2 = DIRECTIONS[:1]


def reproduce(folder: Path, data: Path, *words: str) -> int:
    common = ["--scale", "smoke", "--data", str(data), "--tasks", "T1-T2", "--device", "cpu"]
    return main(["reproduce", "-o", str(folder), *common, "--progress", "none", *words])


@pytest.fixture(scope="module")
def report(tmp_path_factory, phantoms) -> Path:
    """Two systems, one direction, two steps of training each."""
    folder = tmp_path_factory.mktemp("report")
    words = ("--systems", "unet,sam-i2i", "--budget", "2", "steps")
    assert reproduce(folder, phantoms, *words) == 0
    return folder


def test_smoke_run_fills_every_cell(report):
    first, second = read_csv(report / "table1.csv"), read_csv(report / "table2.csv")
    assert [row["system"] for row in first] == ["UNet", "SAM-I2I"]
    assert [row["system"] for row in second] == ["SAM2 Hiera"]
    for row in (*first, *second):
        assert all(row.values())
        assert (row["status"], row["subjects"], row["direction"]) == ("measured", "2", "T1-T2")
        assert 0 < float(row["nrmse"]) < 3
        assert float(row["psnr_low"]) <= float(row["psnr"]) <= float(row["psnr_high"])
    assert first[0]["paper_nrmse"] == "0.2132"
    assert first[1]["nrmse"] == second[0]["nrmse"]


def test_smoke_page_shows_figures_and_says_that_they_are_no_results(report):
    text = (report / "index.html").read_text(encoding="utf-8")
    assert "These are no results" in text
    assert 'class="best' not in text
    assert "random weights" in text
    assert "5 of 5 jobs are done" in text
    for name in ("figure2-t1-t2.png", "figure3.png"):
        assert f'src="figures/{name}"' in text
        assert (report / "figures" / name).read_bytes()[1:4] == b"PNG"


def test_system_that_is_alone_in_its_table_is_not_the_best_of_it(report, phantoms):
    study = smoke_study(phantoms)
    first, second = gather_tables(study, make_plan(study, report))
    won = [first.cells[system, T1_T2[0]].best for system in ("unet", "sam-i2i")]
    assert set(won[0]) | set(won[1]) == {*FULL, *BRAIN}
    alone = second.cells["sam-i2i", T1_T2[0]]
    assert (alone.summaries.keys(), alone.best) == ({*FULL, *BRAIN}, ())


def test_page_names_what_the_figures_come_from(report, phantoms):
    text = (report / "index.html").read_text(encoding="utf-8")
    plan = make_plan(smoke_study(phantoms), report)
    trained = plan.result(training_job(Cell("sam-i2i", T1_T2[0])))
    for value in (trained["sha256"], *trained["starting_weights"].values()):
        assert value in text
    assert trained["subjects"] == ["anna", "bert", "dora"]
    assert "SHA-256 of test.txt" in text
    assert trained["software"]["torch"] in text


def test_finished_run_is_only_reported_again(report, phantoms, capsys):
    before = {path: path.stat().st_mtime_ns for path in report.glob("jobs/*/*")}
    words = ("--systems", "unet,sam-i2i", "--budget", "2", "steps")
    assert reproduce(report, phantoms, *words) == 0
    assert "5 of 5 jobs are done" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in report.glob("jobs/*/*")} == before


def test_plan_tells_where_each_job_stands(report, phantoms, capsys):
    words = ("--systems", "unet,sam-i2i", "--plan")
    assert reproduce(report, phantoms, *words, "--budget", "2", "steps") == 0
    assert capsys.readouterr().out.count("  done  ") == 5
    assert reproduce(report, phantoms, *words, "--budget", "3", "steps") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "done" in lines[0]  # the encoders, which no budget changes
    assert lines[1] == (
        "   2  ready     Train UNet, T1 → T2, seed 0 "
        "(changed since an earlier run, whose results are kept)"
    )
    assert "(needs 2)" in lines[2]


def test_failed_job_is_told_and_the_rest_is_done(tmp_path, phantoms, capsys):
    words = ("--systems", "unet,pix2pix", "--budget", "2", "steps")
    blown_up = ("--set", "optimization.learning_rate=1e30")
    assert reproduce(tmp_path, phantoms, *words, *blown_up) == 1
    assert "Train UNet, T1 → T2, seed 0 failed: The loss is no finite" in capsys.readouterr().err
    rows = {row["system"]: row for row in read_csv(tmp_path / "table1.csv")}
    assert rows["UNet"]["status"].startswith("failed: The loss is no finite number")
    assert rows["UNet"]["nrmse"] == "n/a"
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "failed: The loss is no finite number" in text


def test_one_job_brings_what_it_needs(tmp_path, phantoms, monkeypatch):
    words = ("--systems", "unet", "--seeds", "2", "--budget", "1", "steps")
    study = smoke_study(phantoms, systems=("unet",), seeds=2, budget=Budget(1, "steps"))
    plan = make_plan(study, tmp_path)
    assert [job.id for job in plan.jobs] == [
        "train-unet-t1-t2-s0", "evaluate-unet-t1-t2-s0",
        "train-unet-t1-t2-s1", "evaluate-unet-t1-t2-s1",
    ]  # fmt: skip
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    assert reproduce(tmp_path, phantoms, *words) == 0
    assert [state.status for state in plan.states()] == ["ready", "waiting", "done", "done"]
    assert not (tmp_path / "index.html").exists()
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    assert reproduce(tmp_path, phantoms, *words) == 0
    (row,) = read_csv(tmp_path / "table1.csv")
    means = [
        plan.result(evaluation_job(Cell("unet", T1_T2[0], seed)))["measured"]["subjects"]
        for seed in (0, 1)
    ]
    by_seed = [
        sum(one["figures"]["full_psnr"] for one in subjects.values()) / 2 for subjects in means
    ]
    assert row["seeds"] == "2"
    assert float(row["psnr"]) == pytest.approx(sum(by_seed) / 2, rel=1e-5)
    spread = abs(by_seed[0] - by_seed[1]) / 2**0.5
    assert float(row["psnr_seed_sd"]) == pytest.approx(spread, rel=1e-4, abs=1e-6)


def smoke_study(data: Path, **changes) -> Study:
    choices = {"systems": ("unet", "sam-i2i"), "budget": Budget(2, "steps"), **changes}
    return Study(data=data, directions=T1_T2, scale="smoke", **choices)


def test_smoke_makes_its_own_data_for_every_cell_of_both_tables(tmp_path):
    plan = make_plan(Study(scale="smoke"), tmp_path)
    assert [job.id for job in plan.jobs[:2]] == ["data", "encoders"]
    assert len(plan.jobs) == 2 + 2 * 7 * 4
    assert plan["train-unet-t1-pd-s0"].needs == ("data",)
    assert plan["train-rn101-pd-t1-s0"].needs == ("data", "encoders")
    assert not tmp_path.joinpath("jobs").exists()


def test_smoke_networks_have_an_eighth_of_the_widths():
    from SAMI2ILib.training.config_file import parse_config
    from SAMI2ILib.training.config_rules import generator_config
    from SAMI2ILib.training.networks import clip_encoder_of, hiera_of

    for system in ("unet", "pix2pix", "cyclegan", "resvit", "sam-i2i", "rn101", "vit-b-16"):
        table = smoke.smoke_table(Cell(system, T1_T2[0]), "paper", Budget(8, "seconds"))
        config = parse_config({**table, "data": [{"name": "ixi"}]})
        assert (config.optimization.crop, config.tile) == (64, 64)
        assert config.optimization.minutes <= 0.5
        if config.is_baseline:
            assert generator_config(config).width == 64 // 8
        else:
            assert hiera_of(config).channels == (14, 28, 56, 112)
            assert config.decoder.encoder_upscale * config.optimization.crop == 256
            clip = clip_encoder_of(config)
            assert clip is None or clip.widths == (14, 28, 56, 112)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "--seeds must be at least 1"),
        ({}, "no dataset to train on"),
        ({"scale": "smoke", "budget": Budget(31, "seconds")}, "at most 30 seconds"),
    ],
)
def test_impossible_studies_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Study(**change)


def test_dataset_without_a_test_part_is_refused(tmp_path, make_dataset):
    data = make_dataset(tmp_path, {"anna": "T1 T2"})
    with pytest.raises(InputError, match="has no test subject with T1 and T2"):
        make_plan(smoke_study(data), tmp_path / "report")


def test_torchrun_must_say_which_job(tmp_path, phantoms, monkeypatch, capsys):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    assert reproduce(tmp_path, phantoms, "--systems", "unet") == 2
    assert "torchrun trains one model with all its processes" in capsys.readouterr().err


def test_array_element_is_read_from_slurm():
    assert array_element({}) is None
    assert array_element({"SLURM_ARRAY_TASK_ID": "7"}) == 7
    with pytest.raises(InputError, match="SLURM_ARRAY_TASK_ID is 'x', not a whole number"):
        array_element({"SLURM_ARRAY_TASK_ID": "x"})


@pytest.mark.slow
def test_smoke_data_are_small_slices_of_simulated_heads(tmp_path, monkeypatch):
    from SAMI2ILib.data.dataset import open_dataset

    monkeypatch.setattr(smoke, "SUBJECTS", 3)
    plan = Plan(tmp_path, [])
    result = smoke.make_dataset(JobContext(tmp_path, plan, lambda: False))
    dataset = open_dataset(tmp_path / "dataset")
    assert (result["dataset"], result["subjects"]) == (dataset.id, 3)
    assert {subject.shape_kji[1:] for subject in dataset.subjects} == {(64, 64)}
    assert len(dataset.split("test")) == 1
    again = smoke.make_dataset(JobContext(tmp_path, plan, lambda: False))
    assert again == result
