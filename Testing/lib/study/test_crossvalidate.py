"""`sami2i crossvalidate`: leave one subject out, in trainings of two steps."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from SAMI2ILib.cli.main import main
from SAMI2ILib.study.crossvalidation_page import BEGIN, END
from SAMI2ILib.weights import read_spec

REPOSITORY = Path(__file__).resolve().parents[3]
RECIPES = {
    "sam-i2i": """
[encoder]
variant = "custom"
hiera = {embed_dim = 8, num_heads = 1, stages = [1, 1, 2, 1], global_att_blocks = [3], \
window_spec = [8, 4, 4, 2]}
[decoder]
encoder_upscale = 1
detail_width = 2
""",
    "unet": 'family = "unet"\n[generator]\nwidth = 2\nlevels = 2\n',
}
COMMON = """
name = "trial"
targets = ["T2"]
workers = 0
bf16 = false
tensorboard = false
sample_images = 0
optimization = {{ steps = {steps}, batch = 1, crop = 64 }}
"""
ASKED = """
source = "T1"
target = "T2"
leave_out_from = "real"
test_from = "others"
[[system]]
name = "sam-i2i"
pretrain = "sam-i2i-pretrain.toml"
train = "sam-i2i-fold.toml"
[[system]]
name = "unet"
train = "unet-fold.toml"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_dataset):
    """Two persons to leave out, one for tests only, two to begin with."""
    folder = tmp_path_factory.mktemp("data")
    sizes = {"shape_kji": (9, 64, 64)}
    make_dataset(folder / "real", dict.fromkeys(("Anna", "bert"), "T1 T2"), **sizes)
    make_dataset(folder / "others", {"xena": "T1 T2"}, **sizes)
    make_dataset(folder / "simulated", dict.fromkeys(("sim-1", "sim-2"), "T1 T2"), **sizes)
    return [
        word
        for name in ("real", "others", "simulated")
        for word in ("--data", f"{name}={folder / name}")
    ]


@pytest.fixture
def asked(tmp_path):
    """A comparison of two systems, one of them pre-trained on simulation."""
    folder = tmp_path / "recipes"
    folder.mkdir()

    def write(name, system, sources, steps=2):
        data = "".join(f'[[data]]\nname = "{source}"\n' for source in sources)
        text = COMMON.format(steps=steps)
        head, _, rest = RECIPES[system].partition("[")
        (folder / name).write_text(f"{text}{head}{data}[{rest}", encoding="utf-8")

    write("sam-i2i-pretrain.toml", "sam-i2i", ["simulated"])
    write("sam-i2i-fold.toml", "sam-i2i", ["real"], steps=3)
    write("unet-fold.toml", "unet", ["real", "simulated"])
    (folder / "comparison.toml").write_text(ASKED, encoding="utf-8")
    return folder / "comparison.toml"


@pytest.fixture
def crossvalidate(asked, data, tmp_path, capfd):
    def run(*flags, config=asked, data=data):
        capfd.readouterr()
        words = ["crossvalidate", config, "-o", tmp_path / "study", *data, *flags]
        code = main([str(word) for word in (*words, "--device", "cpu")])
        return code, *capfd.readouterr()

    return run


def changed(asked, old, new, file="comparison.toml"):
    path = asked.parent / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def trained_on(model):
    return [entry.note.rpartition(". ")[2] for entry in read_spec(model).training.data]


def test_everybody_is_measured_with_a_model_that_has_not_seen_them(crossvalidate, tmp_path):
    code, out, err = crossvalidate()
    assert code == 0, err
    study = tmp_path / "study"
    assert trained_on(study / "sam-i2i/fold-bert/trial-t1-t2.safetensors") == ["Anna"]
    assert trained_on(study / "unet/fold-Anna/trial-t1-t2.safetensors") == ["bert", "sim-1, sim-2"]
    assert trained_on(study / "unet/all/trial-t1-t2.safetensors")[0] == "Anna, bert"
    assert trained_on(study / "sam-i2i/pretrain/trial-t1-t2.safetensors") == ["sim-1, sim-2"]
    document = json.loads((study / "evaluation.json").read_text(encoding="utf-8"))
    systems = {system["system"]: system for system in document["systems"]}
    assert list(systems) == ["sam-i2i", "unet", "lookup-table"]
    for system in systems.values():
        assert set(system["subjects"]) == {"Anna", "bert", "xena"}
    costs = systems["sam-i2i"]["facts"]["trainings"]
    assert set(costs) == {"pretrain", "fold-Anna", "fold-bert", "all"}
    assert (costs["all"]["steps"], costs["all"]["budget"]) == (3, {"steps": 3})
    assert "budgets-differ" in err
    page = (study / "evaluation.md").read_text(encoding="utf-8")
    assert "for tests only: xena" in page
    assert "data: phantoms, CC0-1.0" in page
    assert "16 of 16 jobs are done" in out

    before = {path: path.stat().st_mtime_ns for path in study.rglob("*.safetensors")}
    code, _, err = crossvalidate()  # nothing is left to do
    assert (code, "job 1 of" in err) == (0, False)
    assert before == {path: path.stat().st_mtime_ns for path in study.rglob("*.safetensors")}


def test_one_job_brings_what_it_needs_and_tables_wait_for_all_systems(crossvalidate, tmp_path):
    code, out, _ = crossvalidate("--plan")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split(maxsplit=2) == ["1", "ready", "train sam-i2i/pretrain"]
    waiting = next(line for line in lines if "measure sam-i2i on bert" in line)
    assert waiting.split()[1] == "waiting"
    code, out, err = crossvalidate("--job", waiting.split()[0])
    assert code == 0, err
    done = [line for line in crossvalidate("--plan")[1].splitlines() if line.split()[1] == "done"]
    assert len(done) == 3  # pretraining, fold, measurement
    page = (tmp_path / "study/evaluation.md").read_text(encoding="utf-8")
    assert "systems without any measurement yet: unet, lookup-table" in page
    assert "not measurable: Anna, xena" in page
    code, _, err = crossvalidate("--job", "unet-fold-anna")
    assert code == 0, err
    assert (tmp_path / "study/unet/fold-Anna/trial-t1-t2.safetensors").is_file()


def test_training_that_was_started_by_hand_is_taken_over(crossvalidate, asked, data, tmp_path):
    recipe = tmp_path / "by-hand.toml"
    text = (asked.parent / "unet-fold.toml").read_text(encoding="utf-8")
    own = text.replace('name = "real"\n', 'name = "real"\nonly = ["Anna"]\n')
    recipe.write_text(own, encoding="utf-8")
    folder = tmp_path / "study/unet/fold-bert"
    known = [word for word in data if not word.startswith("others=")]
    del known[known.index("--data") + 2]  # the flag of what is not in the recipe
    words = ["train", recipe, "-o", folder, *known, "--device", "cpu", "--progress", "none"]
    assert main([str(word) for word in words]) == 0
    checkpoint = folder / "checkpoint.pt"
    before = checkpoint.stat().st_mtime_ns
    code, _, err = crossvalidate("--job", "unet-measured-bert")
    assert code == 0, err
    assert checkpoint.stat().st_mtime_ns == before


def test_run_of_another_recipe_in_a_folder_is_refused_and_the_rest_goes_on(
    crossvalidate, asked, tmp_path
):
    assert crossvalidate("--job", "unet-all")[0] == 0
    changed(asked, "batch = 1", "batch = 2", "unet-fold.toml")
    code, out, err = crossvalidate("--job", "unet-all", "--job", "lookup-table-measured-bert")
    assert code == 1
    assert "another configuration: optimization.batch differ" in err
    assert "1 of 2 jobs are done" in out


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("comparison.toml", '"T1"', '"FLAIR"', "has no FLAIR"),
        ("comparison.toml", 'source = "T1"', 'source = "T2"', "'source' and 'target' must differ"),
        ("comparison.toml", 'name = "unet"', 'name = "sam-i2i"', "each 'system.name' must be"),
        ("comparison.toml", 'name = "unet"', 'name = "lookup-table"', "no 'system.name' may be"),
        ("comparison.toml", 'name = "unet"', 'name = "U Net"', "'system.name' must be lower case"),
        ("comparison.toml", "[[system]]", "seed = -1\n[[system]]", "'seed' must be zero or above"),
        ("comparison.toml", 'train = "unet', 'tain = "unet', r"unknown key 'system\[1\].tain'"),
        ("comparison.toml", 'test_from = "others"', 'test_only = ["zoe"]', "'test_only' names zoe"),
        ("comparison.toml", "[[system]]", 'subjects = ["zoe"]\n[[system]]', "'subjects' names zoe"),
        ("comparison.toml", "[[system]]", 'subjects = ["bert"]\n[[system]]', "at least two"),
        ("comparison.toml", '"others"', '"elsewhere"', "'elsewhere' has no folder.*--data"),
        ("comparison.toml", '"real"', '"simulated"', "sam-i2i-pretrain.toml trains.*'sim-1'"),
        ("comparison.toml", '"others"', '"real"', "Two subjects are called 'Anna'"),
        ("unet-fold.toml", '"real"', '"others"', "no data source 'real'"),
        ("unet-fold.toml", '"T2"', '"PD"', "unet-fold.toml does not train T1 to T2"),
        ("unet-fold.toml", '"real"\n', '"real"\nexclude = ["bert"]\n', "excludes subjects of"),
        ("unet-fold.toml", "workers", 'validation = ["bert"]\nworkers', "validates on 'bert'"),
        ("unet-fold.toml", '"simulated"', '"others"', "trains or validates on 'xena'"),
        ("sam-i2i-pretrain.toml", '"simulated"', '"real"', "trains or validates on 'Anna'"),
    ],
)  # fmt: skip
def test_comparison_that_would_mislead_or_cannot_be_is_refused(
    crossvalidate, asked, file, old, new, message, tmp_path
):
    text = (asked.parent / file).read_text(encoding="utf-8")
    assert old in text
    (asked.parent / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    code, _, err = crossvalidate("--plan")
    assert code == 2, err
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def test_subject_cannot_both_train_and_be_for_tests_only(crossvalidate, asked):
    changed(asked, 'test_from = "others"', 'test_only = ["bert"]\nsubjects = ["Anna", "bert"]')
    code, _, err = crossvalidate("--plan")
    assert code == 2
    assert "bert: 'subjects' train, 'test_only' never do" in err


def test_data_without_a_folder_is_refused(crossvalidate):
    code, _, err = crossvalidate(data=["--data", "real"])
    assert code == 2
    assert "expected NAME=FOLDER" in err


def test_page_that_cannot_be_written_is_refused_before_any_job(crossvalidate, tmp_path):
    code, out, err = crossvalidate("--plan", "--page", tmp_path)
    assert (code, out, "cannot be written: it is a folder" in err) == (1, "", True)
    (tmp_path / "page.md").write_text("no marks", encoding="utf-8")
    code, out, err = crossvalidate("--plan", "--page", tmp_path / "page.md")
    assert (code, out, "has no place for the tables" in err) == (2, "", True)


def test_page_is_written_between_its_marks(crossvalidate, asked, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Ours\n\nBefore.\n\n{BEGIN}\nbefore it\n{END}\n\nAfter.\n", encoding="utf-8")
    code, _, err = crossvalidate("--job", "lookup-table-measured-bert", "--page", page)
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Ours\n\nBefore.\n\n{BEGIN}\n## T1 to T2, leave one subject out\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "before it" not in text
    new = tmp_path / "new.md"
    assert crossvalidate("--job", "lookup-table-measured-bert", "--page", new)[0] == 0
    assert new.read_text(encoding="utf-8").startswith(f"{BEGIN}\n# T1 to T2")
    page.write_text("no marks", encoding="utf-8")
    code, _, err = crossvalidate("--job", "lookup-table-measured-bert", "--page", page)
    assert (code, "has no place for the tables" in err) == (2, True)


def test_no_job_begins_once_the_user_wants_to_end(crossvalidate, monkeypatch, tmp_path):
    @contextlib.contextmanager
    def stopped():
        event = threading.Event()
        event.set()
        yield event

    monkeypatch.setattr("SAMI2ILib.cli.crossvalidate.stop_requested", stopped)
    for job in ("unet-all", "lookup-table-measured-bert"):
        code, _, err = crossvalidate("--job", job)
        assert (code, "Run the same command again" in err) == (130, True)
    assert not (tmp_path / "study/unet").exists()


@pytest.mark.slow
def test_comparison_that_is_killed_goes_on_to_the_same_tables(asked, data, tmp_path):
    def start(folder):  # sums differ in their last digits with the number of threads
        return subprocess.Popen(
            [
                sys.executable, "-m", "SAMI2ILib", "crossvalidate", str(asked), *data,
                "-o", str(tmp_path / folder), "--device", "cpu", "--progress", "none",
            ],
            cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    for wait_for in ("*/pretrain/checkpoint.pt", "unet/fold-*/*.safetensors"):
        process = start("study")
        while not list((tmp_path / "study").glob(wait_for)) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() != 0
    tables = []
    for folder in ("study", "whole"):
        assert start(folder).wait() == 0
        tables.append((tmp_path / folder / "summary.csv").read_text(encoding="utf-8"))
    assert tables[0] == tables[1]
