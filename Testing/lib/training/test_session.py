"""One step: what learns, what never does, and that the division of a batch does not matter."""

import copy
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.errors import MissingError, ModelError
from SAMI2ILib.models import build_trunk
from SAMI2ILib.training.average import WeightAverage
from SAMI2ILib.training.crops import load_batches
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.networks import hiera_of
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import TERMS, Session
from SAMI2ILib.training.starting_weights import StartingWeights, find_weights

ADVERSARIAL = {"adversarial": 1.0, "l1": 50.0}


def judged_by(path):
    return {"clip": "tiny-vit", "checkpoint": str(path), "learning_rate": 1e-3}


def step(session, selection, number=0):
    parts = next(load_batches(session.config, selection.training, number, World()))
    counts = torch.stack([part.has_target.sum(dim=0) for part in parts]).sum(dim=0).float()
    return session.step(parts, counts, 1.0)


@pytest.fixture
def frozen_trunk(config, tmp_path):
    """An official-layout SAM2 checkpoint of random values in the tiny size of these tests."""
    torch.manual_seed(5)
    trunk = build_trunk(hiera_of(config)).state_dict()
    path = tmp_path / "sam2.pt"
    torch.save({"model": {f"image_encoder.trunk.{k}": v for k, v in trunk.items()}}, path)
    return path


@pytest.fixture
def adversarial(configure, tiny_clip, frozen_trunk):
    return configure(
        encoder={"checkpoint": str(frozen_trunk), "frozen": True},
        optimization=ADVERSARIAL | {"learning_rate": 1e-3},
        discriminator=judged_by(tiny_clip("tiny-vit")),
    )


def test_adversary_teaches_the_decoder_through_clip_and_changes_neither_clip_nor_trunk(
    adversarial, selection
):
    session = Session(adversarial, find_weights(adversarial))
    clip = session.opponent._judges[0].clip
    before = copy.deepcopy([clip.state_dict(), session.network.encoder.state_dict()])
    assert session.opponent._judges[1].clip is clip
    # the adversarial term alone
    session.config = replace(
        adversarial, optimization=replace(adversarial.optimization, l1=0.0, clip=0.0)
    )
    parts = next(load_batches(session.config, selection.training, 0, World()))
    crops = parts[0]
    prediction = session.network(crops.source, crops.has_target)
    session.opponent.generator_terms(prediction, crops)["adversarial"].sum().backward()
    decoders = list(session.network.decoders.parameters())
    assert sum(p.grad.abs().sum() for p in decoders if p.grad is not None) > 0
    assert all(p.grad is None for p in session.opponent.parameters)
    session.optimizer.zero_grad()
    for number in range(3):
        step(session, selection, number)
    after = [clip.state_dict(), session.network.encoder.state_dict()]
    for old, new in zip(before, after, strict=True):
        assert all(torch.equal(old[name], value) for name, value in new.items())
    assert all(p.grad is None for p in clip.parameters())
    assert all(p.grad is None for p in session.network.encoder.parameters())


@pytest.mark.parametrize("loss", ["nonsaturating", "minimax", "hinge"])
def test_both_adversarial_losses_move(configure, tiny_clip, loss):
    config = configure(
        targets=["T2"],
        optimization=ADVERSARIAL | {"steps": 50},
        discriminator=judged_by(tiny_clip("tiny-vit")) | {"loss": loss},
    )
    session = Session(config, find_weights(config))
    selection = select_subjects(config)
    heads = [p.detach().clone() for p in session.opponent.parameters]
    first = step(session, selection, 0)
    for _ in range(5):
        last = step(session, selection, 0)
    fooling, judging = TERMS.index("adversarial"), TERMS.index("discriminator")
    assert not torch.equal(first[fooling], last[fooling])
    assert (last[judging] < first[judging]).all()  # the discriminator learns the one batch
    assert (last[0] < first[0]).any()  # and so does the generator
    # the last biases stay under the hinge loss while all logits lie within its margins
    for before, after in zip(heads, session.opponent.parameters, strict=True):
        assert after.ndim == 1 or not torch.equal(before, after)


def test_microbatches_give_the_step_of_the_whole_batch(configure, selection, tiny_clip):
    sessions = {}
    for accumulate in (1, 3):
        config = configure(
            optimization=ADVERSARIAL | {"batch": 6, "accumulate": accumulate, "ssim": 0.2},
            discriminator=judged_by(tiny_clip("tiny-vit")),
        )
        sessions[accumulate] = Session(config, find_weights(config))
        sums = [step(sessions[accumulate], selection, n) for n in range(2)]
        sessions[accumulate].sums = sums
    for whole, parted in zip(sessions[1].sums, sessions[3].sums, strict=True):
        torch.testing.assert_close(whole, parted, rtol=1e-4, atol=1e-5)
    for whole, parted in zip(sessions[1].trained, sessions[3].trained, strict=True):
        # Adam divides by the gradient's size: rounding is as large as a step where it is zero
        assert (whole - parted).abs().mean() < 1e-5


def test_batch_without_any_target_changes_nothing(configure, selection):
    config = configure(targets=["PD"], optimization={"weight_decay": 0.1})
    session = Session(config, StartingWeights())
    before = copy.deepcopy(session.network.state_dict())
    sums = session.step([], torch.zeros(1), 1.0)
    assert not sums.any()
    assert all(torch.equal(before[n], v) for n, v in session.network.state_dict().items())


def test_checkpoint_of_a_frozen_encoder_leaves_it_out_and_goes_on_bit_for_bit(
    adversarial, selection
):
    weights = find_weights(adversarial)
    session = Session(adversarial, weights)
    step(session, selection, 0)
    content = copy.deepcopy(session.content())
    assert not any(name.startswith("encoder.trunk") for name in content["network"])
    assert not any(".clip." in name for name in content["opponent"]["heads"])
    step(session, selection, 1)
    other = Session(adversarial, weights)
    other.load(content)
    step(other, selection, 1)
    for name, value in session.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    for mine, theirs in zip(session.opponent.parameters, other.opponent.parameters, strict=True):
        assert torch.equal(mine, theirs)
    for name, value in session.average.tensors.items():
        assert torch.equal(value, other.average.tensors[name]), name


def test_target_that_no_crop_has_leaves_its_decoder_and_its_judge(configure, selection, tiny_clip):
    config = configure(optimization=ADVERSARIAL, discriminator=judged_by(tiny_clip("tiny-vit")))
    session = Session(config, find_weights(config))
    both, bert = selection.training[0], [[selection.training[0][1]]]
    session.step(next(load_batches(config, [both[:1]], 0, World())), torch.tensor([2.0, 2.0]), 1.0)
    parameters = [
        *session.network.decoders["PD"].parameters(),
        *session.opponent._judges[1].head_parameters(),
    ]
    before = [p.detach().clone() for p in parameters]
    # as several processes do it: every decoder takes part, with gradients of zero
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    session.step(next(load_batches(config, bert, 1, World())), torch.tensor([2.0, 0.0]), 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_memory_layout_changes_no_result(configure, selection):
    sums = []
    for channels_last in (False, True):
        config = configure(channels_last=channels_last, decoder={"detail_width": 4})
        sums.append(step(Session(config, StartingWeights()), selection))
    torch.testing.assert_close(sums[0], sums[1], rtol=1e-4, atol=1e-5)


def test_clip_encoder_without_its_weights_is_not_built(configure, tiny_clip):
    tiny_clip("tiny-rn")
    config = configure(encoder={"variant": "clip:tiny-rn/", "hiera": None})
    with pytest.raises(TypeError, match="find_weights gives the file of a CLIP encoder"):
        Session(config, StartingWeights())


def test_average_follows_the_weights_slowly(configure, selection):
    config = configure(optimization={"ema": 0.75, "warm_up": 0.0})
    session = Session(config, StartingWeights())
    session.average.steps = 9
    start = {n: p.detach().clone() for n, p in session.network.named_parameters()}
    step(session, selection)
    with session.exported_weights() as network:
        averaged = {n: p.detach().clone() for n, p in network.named_parameters()}
    for name, parameter in session.network.named_parameters():
        expected = 0.75 * start[name] + 0.25 * parameter
        torch.testing.assert_close(averaged[name], expected, atol=1e-6, rtol=1e-5)


def test_average_of_a_short_run_forgets_where_it_began():
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, decay=0.998)
    steps = np.arange(1, 401)
    for weight in steps:
        nn.init.constant_(network.weight, float(weight))
        average.update()
    # The mean that weighs step n by n squared is at three quarters of the run.
    (averaged,) = average.tensors.values()
    assert averaged.item() == pytest.approx(np.average(steps, weights=steps**2), rel=0.01)
    assert averaged.item() == pytest.approx(300, rel=0.01)
    for _ in range(5000):
        average.update()
    before = averaged.item()
    nn.init.constant_(network.weight, 0.0)
    average.update()
    assert averaged.item() == pytest.approx(0.998 * before)


def test_weights_of_another_network_are_refused(config):
    session = Session(config, StartingWeights())
    with pytest.raises(ModelError, match="The trained weights do not fit"):
        session.load_weights({"decoders.T2.norm.weight": torch.zeros(3)})


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-rn"])
def test_clip_encoder_learns_its_projections_and_stays_itself(configure, tiny_clip, name):
    config = configure(
        encoder={"variant": f"clip:{name}/", "hiera": None, "checkpoint": str(tiny_clip(name))},
        targets=["T2"],
    )
    session = Session(config, find_weights(config))
    before = copy.deepcopy(session.network.encoder.state_dict())
    step(session, select_subjects(config))
    for key, value in session.network.encoder.state_dict().items():
        assert torch.equal(before[key], value) == key.startswith("trunk."), key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"checkpoint": "none.pt"}}, r"no encoder checkpoint none\.pt"),
        (
            {"encoder": {"checkpoint": "sam2.1_hiera_tiny"}},
            "sam2.1_hiera_tiny is not in the model store. Get it with",
        ),
        (
            {"optimization": ADVERSARIAL, "discriminator": {"clip": "tiny-vit"}},
            "CLIP tiny-vit are not on this machine.*--no-adversarial",
        ),
    ],
)
def test_missing_weights_are_said_before_anything_starts(configure, tiny_clip, changes, message):
    tiny_clip("tiny-vit")
    with pytest.raises(MissingError, match=message):
        find_weights(configure(**changes))


def test_public_checkpoint_is_found_in_the_store(configure, private_store):
    path = private_store / "sam2.1_hiera_tiny.pt"
    path.write_bytes(b"weights")
    weights = find_weights(configure(encoder={"checkpoint": "sam2.1_hiera_tiny"}))
    assert (weights.encoder, weights.public_name) == (path, "sam2.1_hiera_tiny")


def test_session_that_was_measured_leaves_its_memory_to_the_training(
    configure, selection, tiny_clip
):
    config = configure(discriminator=judged_by(tiny_clip()), optimization=ADVERSARIAL)
    session = Session(config, find_weights(config))
    step(session, selection)
    network = weakref.ref(session.network)
    gc.disable()  # a GPU's memory does not wait for it
    try:
        del session
        assert network() is None
    finally:
        gc.enable()
