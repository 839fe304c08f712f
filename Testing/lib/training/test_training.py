"""A whole run in small: train, resume, export, translate."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.training import loop
from SAMI2ILib.training.checkpoint import load_checkpoint
from SAMI2ILib.training.config import DecoderOptions
from SAMI2ILib.training.export import export_models
from SAMI2ILib.training.loop import Callbacks, load_result, train
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import Session
from SAMI2ILib.training.starting_weights import StartingWeights, find_weights
from SAMI2ILib.weights import read_spec, read_tensors
from SAMI2ILib.weights.store import Store
from Testing.lib.files import read_csv

GPU = "cuda:0"
STOP = Callbacks(should_stop=lambda: True)


def same_weights(first, second):
    states = first.network.state_dict(), second.network.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_run_learns_is_exported_and_translates(config, selection, tmp_path):
    result = train(config, selection, tmp_path)
    assert (result.state.step, result.state.finished) == (3, True)
    files = export_models(config, result, selection, StartingWeights(), tmp_path)
    assert [path.name for path in files.models] == [
        "trial-t1-t2.safetensors",
        "trial-t1-pd.safetensors",
    ]
    model = load_model(files.models[1])
    source = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = result.network(source)[:, 1:]
        found = model.network(source)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)  # float16 on disk


def test_network_with_every_switch_is_trained_exported_and_translates(configure, tmp_path):
    options = {
        "depth": 2, "shifted_windows": True, "encoder_upscale": 2, "detail_width": 8,
        "detail_batch_norm": True,
    }  # fmt: skip
    config = configure(decoder=options, context_slices=3, tile=128, optimization={"ssim": 0.1})
    selection = select_subjects(config)
    result = train(config, selection, tmp_path)
    files = export_models(config, result, selection, StartingWeights(), tmp_path)
    model = load_model(files.models[0])
    assert model.spec.preprocessing.context_slices == 3
    assert model.spec.preprocessing.size == 128
    slices = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = result.network.eval()(slices)[:, :1]
        found = model.network(slices)
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)  # float16 on disk


def test_model_says_what_it_was_made_from(config, selection, tmp_path):
    result = train(config, selection, tmp_path)
    files = export_models(config, result, selection, StartingWeights(), tmp_path)
    spec = read_spec(files.models[0])
    (data,) = spec.training.data
    assert (data.name, data.license, data.subjects) == ("phantoms", "CC0-1.0", 2)
    assert "anna, bert" in data.note
    assert spec.training.recipe["steps_done"] == 3
    assert spec.training.recipe["label"].startswith("demo with encoder.variant = custom")
    assert str(config.data[0].folder) not in spec.to_json()
    found = {(m.name, m.region): m for m in spec.metrics}
    assert found.keys() == {
        (name, region) for name in ("PSNR", "SSIM", "NRMSE") for region in ("", "brain")
    }
    nrmse = found["NRMSE", "brain"]
    assert nrmse.value == pytest.approx(result.state.validation["T2"]["brain_nrmse"], abs=1e-5)
    assert (nrmse.subjects, nrmse.data) == (1, "validation subjects carl")
    assert nrmse.standard_deviation is None  # of a single subject there is none


def test_figures_of_earlier_weights_say_their_step(configure, tmp_path):
    config = configure(optimization={"steps": 9, "validate_every": 2})
    selection = select_subjects(config)
    answers = iter([False, False, True])
    train(config, selection, tmp_path, callbacks=Callbacks(should_stop=lambda: next(answers)))
    result = load_result(config, selection, tmp_path)  # as --export-only, from the checkpoint
    files = export_models(config, result, selection, StartingWeights(), tmp_path)
    said = {metric.data for metric in read_spec(files.models[0]).metrics}
    assert said == {"validation subjects carl, at step 2 of these 3"}


def test_single_target_becomes_one_file_that_the_store_lists(configure, tmp_path):
    config = configure(targets=["T2"])
    selection = select_subjects(config)
    result = train(config, selection, tmp_path)
    files = export_models(config, result, selection, find_weights(config), tmp_path)
    assert files.encoder is None
    (path,) = files.models
    store = Store()
    store.add(path)
    assert "trial-t1-t2" in [getattr(entry.spec, "id", "") for entry in store.list()]
    assert load_model("trial-t1-t2").spec.encoder.kind == "embedded"


def test_later_run_adds_a_decoder_to_the_encoder_of_an_earlier_one(configure, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    config = configure(targets=["T2"], encoder={"separate": True})
    selection = select_subjects(config)
    files = export_models(
        config, train(config, selection, first), selection, StartingWeights(), first
    )
    assert files.encoder == first / "trial-encoder.safetensors"

    later = {"frozen": True, "checkpoint": str(files.encoder)}
    config = configure(targets=["PD"], name="later", encoder=later)
    selection, weights = select_subjects(config), find_weights(config)
    result = train(config, selection, second, weights=weights)
    added = export_models(config, result, selection, weights, second)
    assert added.encoder == second / "trial-encoder.safetensors"
    assert added.encoder.read_bytes() == files.encoder.read_bytes()
    t2, pd = load_model(files.models[0]), load_model(added.models[0])
    assert pd.spec.encoder == t2.spec.encoder
    source = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected, found = result.network.eval()(source), pd.network(source)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)  # float16 on disk


def test_clip_encoder_is_inside_the_model_file(configure, tiny_clip, tmp_path):
    config = configure(
        targets=["T2"],
        encoder={
            "variant": "clip:tiny-rn/", "hiera": None, "checkpoint": str(tiny_clip("tiny-rn"))
        },
        optimization={"steps": 1, "ema": 0.0},
    )  # fmt: skip
    selection = select_subjects(config)
    result = train(config, selection, tmp_path)
    files = export_models(config, result, selection, find_weights(config), tmp_path)
    network = load_model(files.models[0]).network
    assert [name for name in read_tensors(files.models[0]) if "num_batches" in name] == []
    assert [name for name in network.state_dict() if "num_batches" in name] != []
    source = torch.rand(1, 1, 64, 64)
    result.network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(source), result.network(source), atol=5e-3, rtol=0)


def test_processor_budget_counts_steps_of_all_calls_but_no_validation(
    configure, tmp_path, monkeypatch
):
    now = [5000.0]
    clock = SimpleNamespace(process_time=lambda: now[0], monotonic=time.monotonic)
    monkeypatch.setattr(loop, "time", clock)

    def taking(seconds, function):
        def slower(*args):
            now[0] += seconds
            return function(*args)

        return slower

    monkeypatch.setattr(Session, "step", taking(20, Session.step))
    monkeypatch.setattr(loop, "validate", taking(1000, loop.validate))
    config = configure(optimization={"steps": 0, "cpu_minutes": 1, "validate_every": 1})
    selection = select_subjects(config)
    first = train(config, selection, tmp_path, callbacks=STOP)
    assert (first.state.step, first.state.cpu_seconds) == (1, 0)
    state = train(config, selection, tmp_path).state
    # asked before each step, as the other clock is: 0, again 0 after the stop, 20, 40, 60
    assert (state.step, state.cpu_seconds, state.finished) == (5, 60, True)


@pytest.mark.parametrize("adversarial", [False, True])
def test_resumed_run_equals_an_uninterrupted_one(configure, tiny_clip, tmp_path, adversarial):
    changes = {"optimization": {"steps": 4, "validate_every": 2}}
    if adversarial:
        changes["optimization"] |= {"adversarial": 1.0, "l1": 50.0}
        judge = {"clip": "tiny-vit", "checkpoint": str(tiny_clip("tiny-vit"))}
        changes["discriminator"] = judge
    config = configure(**changes)
    selection = select_subjects(config)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(config, selection, tmp_path / "whole")
    for _ in range(3):
        stopped = train(config, selection, tmp_path / "parts", callbacks=STOP)
    assert (stopped.state.step, stopped.state.finished) == (3, False)
    resumed = train(config, selection, tmp_path / "parts")
    assert same_weights(whole, resumed)
    assert same_weights(whole, load_result(config, selection, tmp_path / "parts"))
    for name in ("training.csv", "validation.csv"):
        tables = [read_csv(tmp_path / folder / name) for folder in ("whole", "parts")]
        for table in tables:
            assert table
            for row in table:
                del row["seconds"]
        assert tables[0] == tables[1]


@pytest.mark.gpu
def test_gpu_learns_what_the_processor_learns(config, selection, tmp_path):
    losses = []
    for device in ("cpu", GPU):
        (tmp_path / device).mkdir()
        losses.append(train(config, selection, tmp_path / device, device=device).state.losses)
    for target, terms in losses[0].items():
        assert losses[1][target] == pytest.approx(terms, rel=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gpu_goes_on_from_the_very_state_that_it_left(
    configure, selection, tiny_clip, tmp_path, precision
):
    """The state is the same to the bit; the steps from there are but for rounding."""
    config = configure(
        optimization={"steps": 4, "adversarial": 1.0, "l1": 50.0},
        discriminator={"clip": "tiny-vit", "checkpoint": str(tiny_clip("tiny-vit"))},
    )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(config, selection, tmp_path / "whole", device=GPU, dtype=dtype)
    train(config, selection, tmp_path / "parts", device=GPU, dtype=dtype, callbacks=STOP)
    left = load_checkpoint(tmp_path / "parts")[0]
    session = Session(config, find_weights(config), GPU, dtype)
    session.load(left)
    assert {str(weights.device) for weights in session.trained} == {GPU}
    found, expected = _flat(session.content()), _flat(left)
    assert all(torch.equal(value.cpu(), expected[name]) for name, value in found.items())
    assert any("exp_avg" in name for name in found)
    resumed = train(config, selection, tmp_path / "parts", device=GPU, dtype=dtype)
    assert (resumed.state.step, resumed.state.finished) == (4, True)
    for target, terms in whole.state.losses.items():
        assert resumed.state.losses[target] == pytest.approx(terms, rel=0.05)


def _flat(content, name=""):
    """The tensors of nested tables by their names."""
    if isinstance(content, torch.Tensor):
        return {name: content}
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    return {
        path: tensor
        for key, value in entries
        if isinstance(value, torch.Tensor | dict | list)
        for path, tensor in _flat(value, f"{name}/{key}").items()
    }


def test_run_can_be_made_longer(configure, tmp_path):
    short = configure(optimization={"steps": 2, "schedule": "constant"})
    selection = select_subjects(short)
    train(short, selection, tmp_path)
    longer = configure(optimization={"steps": 3, "schedule": "constant"})
    assert train(longer, selection, tmp_path).state.step == 3


@pytest.mark.parametrize("ema", [0.0, 0.99])
def test_new_run_starts_from_the_weights_of_another(configure, config, selection, tmp_path, ema):
    for name in ("first", "second", "empty"):
        (tmp_path / name).mkdir()
    first = train(config, selection, tmp_path / "first")
    # of another seed: an average that began at the new run's own weights would show
    still = configure(optimization={"learning_rate": 1e-12, "ema": ema}, seed=5)
    second = train(still, selection, tmp_path / "second", start_from=tmp_path / "first")
    for name, value in first.network.state_dict().items():
        torch.testing.assert_close(value, second.network.state_dict()[name], atol=1e-8, rtol=1e-6)
    with pytest.raises(InputError, match="holds no checkpoint to start from"):
        train(config, selection, tmp_path / "second", start_from=tmp_path / "empty")
    other = replace(config, decoder=DecoderOptions(depth=2))
    with pytest.raises(InputError, match="trained another network"):
        train(other, selection, tmp_path / "empty", start_from=tmp_path / "first")


def test_best_weights_are_exported_when_asked_for(configure, tmp_path, monkeypatch):
    scores = iter([0.5, 0.3, 0.4])
    monkeypatch.setattr(
        "SAMI2ILib.training.loop.validate",
        lambda _session, _pairs: {"T2": {"brain_nrmse": next(scores)}},
    )
    config = configure(
        targets=["T2"], optimization={"validate_every": 1, "export": "best", "ema": 0.0}
    )
    selection = select_subjects(config)
    monkeypatch.setattr("SAMI2ILib.training.loop.TrainingLog.validation", lambda *_: None)
    result = train(config, selection, tmp_path)
    assert (result.state.best_step, result.state.best_score) == (2, 0.3)
    best = torch.load(tmp_path / "best.pt", weights_only=True)["network"]
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    for name, value in result.network.state_dict().items():
        assert torch.equal(value, best[name])
    assert not all(torch.equal(best[name], value) for name, value in last.items())
    (tmp_path / "next").mkdir()
    still = replace(config, optimization=replace(config.optimization, learning_rate=1e-12))
    scores = iter([0.5, 0.3, 0.4])
    onward = train(still, selection, tmp_path / "next", start_from=tmp_path)
    for name, value in onward.network.state_dict().items():
        torch.testing.assert_close(value, best[name], atol=1e-8, rtol=1e-6)


def test_patience_ends_a_run_and_the_same_command_does_not_go_on(configure, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "SAMI2ILib.training.loop.validate", lambda _session, _pairs: {"T2": {"brain_nrmse": 0.5}}
    )
    monkeypatch.setattr("SAMI2ILib.training.loop.TrainingLog.validation", lambda *_: None)
    config = configure(
        targets=["T2"], optimization={"steps": 9, "validate_every": 1, "patience": 2}
    )
    selection = select_subjects(config)
    assert train(config, selection, tmp_path).state.step == 3
    again = train(config, selection, tmp_path)
    assert (again.state.step, again.state.finished) == (3, True)


def test_pictures_and_tensorboard_are_written(configure, tmp_path):
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = configure(sample_images=2, tensorboard=True)
    train(config, select_subjects(config), tmp_path)
    with Image.open(tmp_path / "samples/step-00000003.png") as picture:
        # source, and translation, truth, error of two targets
        assert picture.size == (64 * 7, 64 * 2)
        assert np.asarray(picture).max() > 100
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss/l1_T2", "validation/brain_nrmse_PD"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["samples"]


def test_missing_tensorboard_is_said_and_the_tables_are_written(configure, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    heard = []
    config = configure(tensorboard=True)
    train(config, select_subjects(config), tmp_path, callbacks=Callbacks(notice=heard.append))
    assert heard == [
        "TensorBoard is not installed; the tables and pictures are written without it."
    ]
    assert len(read_csv(tmp_path / "training.csv")) == 1


def test_folder_of_another_run_is_refused(configure, selection, tmp_path):
    train(configure(), selection, tmp_path, callbacks=STOP)
    with pytest.raises(InputError, match="holds a run of another configuration: seed differ"):
        train(configure(seed=9), selection, tmp_path)


def test_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(config, selection, tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(config, selection, tmp_path / "whole")
    for _ in range(2):
        train(config, selection, tmp_path / "parts", callbacks=STOP)
    path = tmp_path / "parts/checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # one damaged byte in the weights
    path.write_bytes(content)
    heard = []
    resumed = train(config, selection, tmp_path / "parts", callbacks=Callbacks(notice=heard.append))
    assert len(heard) == 1
    assert "is damaged. The run goes on from the one before it" in heard[0]
    assert same_weights(whole, resumed)


def test_damage_without_a_way_back_is_said(config, selection, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is damaged"):
        train(config, selection, tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        load_result(config, selection, tmp_path)


def test_file_that_is_no_checkpoint_of_a_run_is_said(config, selection, tmp_path):
    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="is not one of a training run"):
        train(config, selection, tmp_path)


def test_run_whose_loss_explodes_ends_with_a_sentence(configure, selection, tmp_path):
    wild = configure(optimization={"learning_rate": 1e30})
    with pytest.raises(InputError, match="no finite number any more at step 3"):
        train(wild, selection, tmp_path)
