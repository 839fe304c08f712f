"""The compared systems in the same trainer: steps, stages, resumption, model files."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.baselines import ResVit
from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.training.baseline_networks import BaselineTranslator
from SAMI2ILib.training.crops import CropDataset, Crops, load_batches
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.export import export_models
from SAMI2ILib.training.image_pool import ImagePool
from SAMI2ILib.training.loop import Callbacks, load_result, train
from SAMI2ILib.training.patch_opponents import CycleOpponent, PatchOpponent
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import Session
from SAMI2ILib.training.starting_weights import StartingWeights
from Testing.lib.files import read_csv

SIZES = {
    "unet": {"width": 2, "levels": 2},
    "pix2pix": {"width": 2, "depth": 5},
    "cyclegan": {"width": 2, "blocks": 1},
    "resvit": {
        "width": 2, "blocks": 2, "transformer_blocks": [1, 2], "hidden": 8, "layers": 1, "heads": 2,
        "mlp": 8, "grid": 4,
    },
}  # fmt: skip
STOP = Callbacks(should_stop=lambda: True)


@pytest.fixture
def configure_family(configure):
    def make(family, **changes):
        changes["optimization"] = {"crop": 64, "ema": 0.0} | changes.get("optimization", {})
        changes["baseline"] = {"judge_width": 2, "pool": 3} | changes.get("baseline", {})
        return configure(family=family, **({"generator": SIZES[family]} | changes))

    return make


def batch(config, number=0):
    return next(load_batches(config, select_subjects(config).training, number, World()))[0]


def step(session, number=0, spent=1.0):
    crops = batch(session.config, number)
    session.enter(number, spent)
    return session.step([crops], crops.has_target.sum(dim=0).float(), 1.0)


def rows(path):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(path)]


@pytest.mark.parametrize("family", SIZES)
def test_resumed_run_equals_an_uninterrupted_one_and_becomes_a_model(
    family, configure_family, tmp_path
):
    config = configure_family(family, optimization={"steps": 4}, sample_images=1)
    selection = select_subjects(config)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(config, selection, tmp_path / "whole")
    for _ in range(3):
        train(config, selection, tmp_path / "parts", callbacks=STOP)
    resumed = train(config, selection, tmp_path / "parts")
    again = load_result(config, selection, tmp_path / "parts")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
        assert torch.equal(value, again.network.state_dict()[name]), name
    logs = [rows(tmp_path / name / "training.csv") for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert ("l1_T2" in logs[0][0]) == (family != "cyclegan")
    assert ("cycle_T2" in logs[0][0]) == (family == "cyclegan")

    files = export_models(config, whole, selection, StartingWeights(), tmp_path)
    model = load_model(files.models[1])
    assert (model.spec.family, model.spec.encoder.kind, files.encoder) == (family, "none", None)
    assert model.spec.training.recipe["label"].startswith(f"{family} demo with generator.width = 2")
    source = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = whole.network.eval()(source)[:, 1:]
        torch.testing.assert_close(model.network(source), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize("family", ["pix2pix", "resvit"])
def test_generator_learns_from_a_judge_that_sees_the_source(family, configure_family):
    config = configure_family(family, targets=["T2"])
    session = Session(config, StartingWeights())
    assert isinstance(session.opponent, PatchOpponent)
    crops = batch(config)
    prediction = session.network(crops.source)
    judged = session.opponent.generator_terms(prediction, crops)["adversarial"]
    elsewhere = crops._replace(source=crops.source.flip(3))
    assert not torch.equal(
        judged, session.opponent.generator_terms(prediction, elsewhere)["adversarial"]
    )
    judged.sum().backward()
    assert all(p.grad is None for p in session.opponent.parameters)
    trained = [p.grad for p in session.network.parameters()]
    assert sum(float(g.abs().sum()) for g in trained if g is not None) > 0
    session.optimizer.zero_grad()
    weights = torch.ones(2, 1)
    session.opponent.backward(prediction, crops, weights)
    assert all(p.grad is not None for p in session.opponent.parameters)
    assert all(p.grad is None for p in session.network.parameters())


@pytest.mark.parametrize("family", ["unet", "pix2pix", "cyclegan", "resvit"])
def test_one_batch_is_learned(family, configure_family):
    config = configure_family(
        family, targets=["T2"], optimization={"learning_rate": 2e-3, "steps": 50}
    )
    session = Session(config, StartingWeights())
    name = "cycle" if family == "cyclegan" else "l1"
    number = ("l1", "ssim", "adversarial", "cycle", "identity", "discriminator").index(name)
    losses = [float(step(session)[number]) for _ in range(6)]
    assert losses[-1] < 0.97 * losses[0]


def test_unpaired_targets_come_from_another_draw_and_sources_stay(configure_family):
    options = {"optimization": {"l1": 1.0}, "baseline": {"paired_l1": True}}
    paired, unpaired = configure_family("cyclegan", **options), configure_family("cyclegan")
    pairs = select_subjects(paired).training
    with_pair = [CropDataset(paired, pairs)[n] for n in range(6)]
    without = [CropDataset(unpaired, pairs)[n] for n in range(6)]
    for mine, other in zip(with_pair, without, strict=True):
        assert torch.equal(mine.source, other.source)
    same = [torch.equal(m.targets, o.targets) for m, o in zip(with_pair, without, strict=True)]
    assert same.count(True) < 3
    again = CropDataset(unpaired, pairs)[4]
    assert torch.equal(again.targets, without[4].targets)


class _Shift(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, slices):
        return slices + self.by


def test_cycle_and_identity_are_what_a_pencil_says(configure_family):
    config = configure_family("cyclegan", targets=["T2"])
    network = BaselineTranslator({"T2": _Shift(0.25)}, {"T2": _Shift(-0.125)})
    opponent = CycleOpponent(config, network)
    source, real = torch.zeros(2, 1, 64, 64), torch.ones(2, 1, 64, 64)
    present = torch.tensor([True, False]).view(2, 1, 1, 1).expand(2, 1, 64, 64)
    crops = Crops(source, real * present, present, torch.zeros(2, 3, 6))
    terms = opponent.generator_terms(network(source), crops)
    # there and back, back and there: 0.125 each; there of a target 0.25, back of a source 0.125
    assert terms["cycle"][:, 0].tolist() == pytest.approx([0.25, 0])
    assert terms["identity"][:, 0].tolist() == pytest.approx([0.375, 0])
    assert terms["adversarial"][0, 0] > 0
    assert terms["adversarial"][1, 0] == 0
    judged = opponent.backward(network(source), crops, torch.ones(2, 1))
    assert judged[0, 0] > 0
    assert judged[1, 0] == 0


def test_pool_fills_then_gives_earlier_images_back_half_of_the_time():
    pool = ImagePool(2)
    images = torch.arange(5.0).view(5, 1, 1, 1)
    draws = torch.tensor([[0.9, 0.0], [0.9, 0.0], [0.4, 0.0], [0.5, 0.6], [0.9, 0.6]])
    given = pool.exchange(images, draws)
    assert given.flatten().tolist() == [0, 1, 2, 1, 3]
    assert pool.images.flatten().tolist() == [0, 4]
    assert torch.equal(ImagePool(0).exchange(images, draws), images)


def test_resvit_rests_its_transformer_in_the_first_stage(configure_family, tmp_path):
    config = configure_family("resvit", targets=["T2"], baseline={"first_stage": 0.5})
    session = Session(config, StartingWeights())
    generator = session.network.generators["T2"]
    assert isinstance(generator, ResVit)

    def changed(spent):
        before = copy.deepcopy(generator.state_dict())
        step(session, spent=spent)
        after = generator.state_dict()
        return {n for n, v in after.items() if not torch.equal(v, before[n])}

    resting = changed(0.49)
    assert any(name.startswith("blocks") for name in resting)
    assert not any(name.startswith(("branches", "transformer")) for name in resting)
    assert session.network.translator("T2").config.transformer_blocks == ()
    assert any(name.startswith("transformer") for name in changed(0.5))
    assert session.network.translator("T2") is generator


def test_resvit_stopped_in_its_first_stage_becomes_a_model_without_transformer(
    configure_family, tmp_path
):
    config = configure_family("resvit", targets=["T2"], optimization={"steps": 3})
    selection = select_subjects(config)
    train(config, selection, tmp_path, callbacks=STOP)
    result = load_result(config, selection, tmp_path)
    files = export_models(config, result, selection, StartingWeights(), tmp_path)
    model = load_model(files.models[0])
    assert model.spec.decoder["transformer_blocks"] == []
    source = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = result.network.eval()(source)
        torch.testing.assert_close(model.network(source), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("unet", {"optimization": {"adversarial": 1.0}}, "'optimization.adversarial' .* zero for"),
        ("unet", {"generator": {"depth": 3}}, "UNetConfig has no field depth"),
        ("unet", {"generator": {"slice_channels": 3}}, "'generator.slice_channels' .* left out"),
        ("unet", {"generator": {"levels": 7}}, "'optimization.crop' .* a multiple of 128"),
        ("unet", {"generator": 3}, "'generator' .* must be a table, not 3"),
        ("unet", {"discriminator": {"augment": ["color"]}}, "'discriminator.augment' .* empty"),
        ("unet", {"baseline": {"first_stage": 0.5}}, "'baseline.first_stage' .* zero but for"),
        ("unet", {"baseline": {"pretrained": True}}, "'baseline.pretrained' .* false but for"),
        ("unet", {"baseline": {"judge_width": 0}}, "'baseline.judge_width' .* at least 1"),
        ("unet", {"baseline": {"pool": -1}}, "'baseline.pool' .* zero or above"),
        ("resvit", {"baseline": {"second_rate": 0.0}}, "'baseline.second_rate' .* above zero"),
        ("cyclegan", {"context_slices": 3}, "'context_slices' .* 1 for cyclegan"),
        ("cyclegan", {"optimization": {"l1": 1.0}}, "'optimization.l1' .* with baseline.paired_l1"),
        ("cyclegan", {"optimization": {"region": "foreground"}}, "region' .* \"image\" for"),
        ("cyclegan", {"baseline": {"cycle": -1.0}}, "'baseline.cycle' .* zero or above"),
        ("cyclegan", {"baseline": {"identity": -1.0}}, "'baseline.identity' .* zero or above"),
    ],
)  # fmt: skip
def test_configuration_that_makes_no_sense_is_refused(family, changes, message, configure_family):
    with pytest.raises(InputError, match=message):
        configure_family(family, **changes)


def test_sizes_of_a_generator_are_refused_for_sam_i2i(configure):
    with pytest.raises(InputError, match=r"'generator' .* empty for sam-i2i"):
        configure(generator={"width": 3})


def test_unet_of_neighboring_slices_is_trained(configure_family):
    config = configure_family("unet", context_slices=3, targets=["T2"])
    session = Session(config, StartingWeights())
    assert np.isfinite(step(session).numpy()).all()
    assert session.network.translator("T2").config.slice_channels == 3
