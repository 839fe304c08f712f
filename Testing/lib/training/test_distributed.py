"""Several processes train as one: the same losses, and a run that goes on with another number."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.checkpoint import load_checkpoint
from SAMI2ILib.training.config_file import parse_config, read_table, with_assignments
from SAMI2ILib.training.distributed import (
    LONGEST_WAIT,
    World,
    connected,
    world_of_environment,
)
from SAMI2ILib.training.loop import _go_on, train
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import Session
from SAMI2ILib.training.starting_weights import StartingWeights
from SAMI2ILib.training.validation import validate
from Testing.lib.files import read_csv

REPOSITORY = Path(__file__).resolve().parents[3]
TOLERANCE = 2e-4
"""Relative, of losses after six steps: processes add in another order. Measured: none of the five
digits of the tables differs by more than one in the last."""


def test_environment_of_torchrun_says_who_this_is():
    assert world_of_environment({}) == World(0, 1, 0)
    found = world_of_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert (found, found.is_main) == (World(5, 8, 1), False)
    with pytest.raises(InputError, match="no process of a group: RANK=, WORLD_SIZE=2"):
        world_of_environment({"WORLD_SIZE": "2"})
    with pytest.raises(InputError, match="no process of a group: RANK=2, WORLD_SIZE=2"):
        world_of_environment({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})


def test_single_process_needs_no_connection():
    with connected(World(), "cpu") as world:
        world.wait()
        assert world.sum(torch.ones(2)).tolist() == [1, 1]
        world.sum_gradients([nn.Parameter(torch.ones(1))])
    assert not torch.distributed.is_initialized()


def test_processes_average_what_they_have_in_one_message(monkeypatch):
    messages = []

    def add_the_other_process(tensor):
        messages.append(len(tensor))
        tensor.add_(torch.tensor([3.0, 5.0, 7.0]))

    monkeypatch.setattr(torch.distributed, "all_reduce", add_the_other_process)
    first, second = torch.tensor([1.0]), torch.tensor([[2.0], [3.0]])
    World(0, 2).average([first, second])
    assert (first.tolist(), second.tolist(), messages) == ([2.0], [[3.5], [5.0]], [3])
    World(0, 2).average([])
    World().average([first])
    assert (first.tolist(), len(messages)) == ([2.0], 1)


def test_processes_are_measured_by_the_mean_of_their_batch_norms(configure):
    config = configure(
        family="unet", generator={"width": 2, "levels": 2},
        optimization={"crop": 64, "batch": 2, "adversarial": 0.0},
    )  # fmt: skip
    session = Session(config, StartingWeights())
    norms = [m for m in session.network.modules() if isinstance(m, nn.BatchNorm2d)]
    resting = norms[0].eval()  # as those of a frozen encoder do
    # the other process has seen means higher by 2 and variances three times as large
    session.world = SimpleNamespace(
        average=lambda tensors: [
            t.add_(1) if n % 2 == 0 else t.mul_(2) for n, t in enumerate(tensors)
        ]
    )
    session.average_statistics()
    assert (resting.running_mean == 0).all()
    assert (resting.running_var == 1).all()
    assert all((norm.running_mean == 1).all() for norm in norms[1:])
    assert all((norm.running_var == 2).all() for norm in norms[1:])


def test_processes_on_gpus_are_bound_to_their_own_and_wait_for_one_another(monkeypatch):
    said = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: said.append(str(device)))
    store = torch.distributed.HashStore()
    monkeypatch.setattr(torch.distributed, "rendezvous", lambda _url: iter([(store, 1, 2)]))
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **options: said.append(options)
    )
    monkeypatch.setattr(torch.distributed, "barrier", lambda: said.append("barrier"))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: said.append("end"))
    with connected(World(1, 2, 1), "cuda:1"):
        pass
    device, options, *rest = said
    assert (device, rest) == ("cuda:1", ["barrier", "end"])
    assert options["device_id"] == torch.device("cuda:1")
    assert options["timeout"] == LONGEST_WAIT
    assert (options["rank"], options["world_size"]) == (1, 2)


def test_more_processes_than_crops_are_refused(config, selection, tmp_path):
    with pytest.raises(InputError, match="3 processes cannot share a batch of 2"):
        train(config, selection, tmp_path, world=World(0, 3))


def test_processes_that_see_other_folders_are_stopped(config, tmp_path):
    world = SimpleNamespace(size=2, is_main=True, sum=lambda tensor: tensor + 40)
    session = SimpleNamespace(config=config, device="cpu", world=world)
    with pytest.raises(InputError, match="do not see the same checkpoint"):
        _go_on(session, "{}", tmp_path, lambda _text: None)


def losses(run):
    return [
        {key: float(value or "nan") for key, value in row.items() if key != "seconds"}
        for row in read_csv(run / "training.csv")
    ]


@pytest.fixture(scope="module")
def recipe_file(cohort, tmp_path_factory):
    """A run of six steps that logs and saves each of them."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(
        f"""
        name = "trial"
        targets = ["T2", "PD"]
        workers = 0
        threads = 1
        bf16 = false
        tensorboard = false
        sample_images = 0
        log_every = 1
        checkpoint_minutes = 1e-6
        [[data]]
        name = "phantoms"
        folder = "{cohort.as_posix()}"
        [encoder]
        variant = "custom"
        [encoder.hiera]
        embed_dim = 8
        num_heads = 1
        stages = [1, 1, 2, 1]
        global_att_blocks = [3]
        window_spec = [8, 4, 4, 2]
        [optimization]
        steps = 6
        batch = 5
        crop = 64
        schedule = "constant"
        warm_up = 0.0
        learning_rate = 2e-4
        ema = 0.9
        ssim = 0.2
        """,
        encoding="utf-8",
    )
    return path


def command(processes, *arguments, restarts=0):
    """`sami2i train` as one process, or under torchrun."""
    launcher = []
    if processes > 1:
        launcher = [
            "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
            f"--max-restarts={restarts}",
        ]  # fmt: skip
    return [sys.executable, *launcher, *map(str, arguments)]


def run(words):
    done = subprocess.run(
        words, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def check_same_curve(one, other, steps, tolerance=TOLERANCE):
    first, second = losses(one), losses(other)
    assert [row["step"] for row in first] == [row["step"] for row in second]
    assert len(first) == steps
    for mine, theirs in zip(first, second, strict=True):
        for key, value in mine.items():
            assert theirs[key] == pytest.approx(value, rel=tolerance, abs=2e-5, nan_ok=True), key


def training(recipe_file):
    return "-m", "SAMI2ILib", "train", recipe_file, "--device", "cpu"


@pytest.fixture(scope="module")
def one(recipe_file, tmp_path_factory):
    """What a single process makes of the recipe."""
    folder = tmp_path_factory.mktemp("one")
    run(command(1, *training(recipe_file), "-o", folder))
    return folder


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(recipe_file, one, tmp_path):
    done = run(command(2, *training(recipe_file), "-o", tmp_path))
    check_same_curve(one, tmp_path, 6)
    # only one process speaks
    assert done.stdout.count("trial-t1-t2.safetensors") == 1
    measured = [
        torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["validation"]["T2"]
        for folder in (one, tmp_path)
    ]
    assert measured[0]["brain_nrmse"] == pytest.approx(measured[1]["brain_nrmse"], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.gpu(2)
def test_two_gpus_have_the_loss_curve_of_one(recipe_file, tmp_path):
    words = ("-m", "SAMI2ILib", "train", recipe_file, "--device", "cuda")
    for processes in (1, 2):
        run(command(processes, *words, "-o", tmp_path / str(processes)))
    # gradients are added in no fixed order, and convolutions of a training are in TF32
    check_same_curve(tmp_path / "1", tmp_path / "2", 6, tolerance=5e-3)


@pytest.mark.slow
def test_run_goes_on_with_another_number_of_processes(recipe_file, one, tmp_path):
    for processes, steps in ((2, 2), (1, 4), (2, 6)):
        run(command(processes, *training(recipe_file), "-o", tmp_path, "--steps", steps))
    check_same_curve(one, tmp_path, 6)


@pytest.mark.slow
def test_two_processes_fight_the_discriminator_as_one(recipe_file, tiny_clip, tmp_path):
    clip = tiny_clip("tiny-vit")
    script = tmp_path / "train.py"
    script.write_text(
        f"import sys, open_clip\nopen_clip.add_model_config({str(clip.parent)!r})\n"
        "from SAMI2ILib.cli.main import main\nsys.exit(main(['train', *sys.argv[1:]]))\n"
    )
    arguments = (
        script, recipe_file, "--device", "cpu", "--clip-checkpoint", clip,
        "--set", "discriminator.clip=tiny-vit/", "--set", "optimization.adversarial=1",
        "--set", "optimization.l1=50", "--set", "optimization.accumulate=2",
        "--set", "optimization.learning_rate=2e-5", "--steps", "4",
    )  # fmt: skip
    for processes in (1, 2):
        run(command(processes, *arguments, "-o", tmp_path / str(processes)))
    check_same_curve(tmp_path / "1", tmp_path / "2", 4)
    assert {"adversarial_T2", "discriminator_PD"} <= losses(tmp_path / "1")[0].keys()


@pytest.mark.slow
def test_network_that_two_processes_have_measured_is_the_one_that_they_keep(recipe_file, tmp_path):
    changes = [
        'family="unet"', "generator.width=2", "generator.levels=2", 'validation=["carl", "dora"]'
    ]  # fmt: skip
    sets = [word for change in changes for word in ("--set", change)]
    run(command(2, *training(recipe_file), *sets, "-o", tmp_path))  # each measures one subject
    config = parse_config(with_assignments(read_table(recipe_file), changes))
    session = Session(config, StartingWeights())
    content, _ = load_checkpoint(tmp_path)
    session.load(content)
    with session.exported_weights():
        again = validate(session, select_subjects(config).validation)
    measured = content["state"]["validation"]["T2"]
    assert measured["subjects"] == 2
    for metric, value in again["T2"].items():
        assert value == pytest.approx(measured[metric], rel=1e-5), metric


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("rank", ["0", "1"])
def test_torchrun_restarts_a_killed_process_and_the_run_goes_on(recipe_file, one, tmp_path, rank):
    script = tmp_path / "train.py"
    script.write_text(DIES_ONCE.format(rank=rank), encoding="utf-8")
    folder = tmp_path / "run"
    words = (script, recipe_file, "--device", "cpu", "-o", folder)
    done = run(command(2, *words, restarts=1))
    assert "-9" in done.stderr  # torchrun names the signal
    check_same_curve(one, folder, 6)


# In the third step, after two checkpoints, and only before the restart.
DIES_ONCE = """
import os, signal, sys
from SAMI2ILib.cli.main import main
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import Session

step, taken = Session.step, []

def step_and_die(*arguments):
    taken.append(1)
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first and len(taken) == 3 and os.environ["RANK"] == "{rank}":
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

Session.step = step_and_die
sys.exit(main(["train", *sys.argv[1:]]))
"""
