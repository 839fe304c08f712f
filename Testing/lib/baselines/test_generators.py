"""The generators of the compared systems: their sizes, what they return and what they refuse."""

import dataclasses
import json

import pytest
import torch

from SAMI2ILib.baselines import (
    GENERATOR_CONFIGS,
    CycleGanConfig,
    Pix2PixConfig,
    ResVitConfig,
    UNetConfig,
    build_generator,
)
from SAMI2ILib.errors import InputError, ShapeError

SMALL = {
    "unet": UNetConfig(width=4),
    "pix2pix": Pix2PixConfig(width=4, depth=6),
    "cyclegan": CycleGanConfig(width=4, blocks=2),
    "resvit": ResVitConfig(
        width=4, blocks=3, transformer_blocks=(1, 3), hidden=16, layers=2, heads=2, mlp=32, grid=4
    ),
}
FAMILIES = sorted(SMALL)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def small():
    def make(family, **changes):
        torch.manual_seed(0)
        return build_generator(dataclasses.replace(SMALL[family], **changes))

    return make


@pytest.mark.parametrize(
    ("family", "millions"),
    [("unet", 31.0), ("pix2pix", 54.4), ("cyclegan", 11.4), ("resvit", 123.4)],
)
def test_parameters_are_as_many_as_in_the_papers(family, millions):
    with torch.device("meta"):
        network = build_generator(GENERATOR_CONFIGS[family]())
    assert round(count(network) / 1e6, 1) == millions


def test_resvit_of_the_first_stage_is_as_large_as_a_generator_of_cyclegan():
    with torch.device("meta"):
        network = build_generator(ResVitConfig(transformer_blocks=()))
    assert round(count(network) / 1e6, 1) == 11.4


@pytest.mark.parametrize("family", FAMILIES)
def test_output_has_the_size_of_the_slice_and_lies_in_0_to_1(small, family):
    network = small(family)
    slices = torch.rand(2, 1, 64, 128)
    for parameter in network.parameters():
        parameter.data *= 5  # far out on the tanh and the sigmoid
    output = network(slices)
    assert (output.shape, output.dtype) == (slices.shape, torch.float32)
    assert 0 <= output.min() < output.max() <= 1
    with torch.autocast("cpu", torch.bfloat16):
        assert network(slices).dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_learns(small, family):
    network = small(family)
    (network(torch.rand(2, 1, 64, 64)) ** 2).mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_translation_of_a_slice_does_not_depend_on_its_batch(small, family):
    network = small(family).eval()
    slices = torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        together, alone = network(slices), network(slices[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_neighboring_slices_enter_as_channels(small, family):
    network = small(family, slice_channels=3)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)
    with pytest.raises(ShapeError, match=r"slices must be \(B, 3, H, W\), got \(1, 1, 64, 64\)"):
        network(torch.rand(1, 1, 64, 64))


@pytest.mark.parametrize(
    ("family", "multiple"), [("unet", 16), ("pix2pix", 64), ("cyclegan", 8), ("resvit", 16)]
)
def test_size_that_does_not_fit_is_refused_with_the_nearest_that_do(small, family, multiple):
    network = small(family)
    assert network.size_multiple == multiple
    with pytest.raises(ShapeError, match=f"multiples of {multiple}, got 64x65. Pad or crop to 64x"):
        network(torch.rand(1, 1, 64, 65))
    network.eval()(torch.rand(1, 1, multiple, multiple))


def test_pix2pix_drops_out_in_training_only(small):
    network = small("pix2pix")
    slices = torch.rand(2, 1, 64, 64)
    assert not torch.equal(network(slices), network(slices))
    network.eval()
    assert torch.equal(network(slices), network(slices))


def test_pix2pix_with_batches_of_one_is_its_instance_normed_self(small):
    batch = small("pix2pix", dropout=0.0)
    instance = small("pix2pix", dropout=0.0, instance_norm=True)
    instance.load_state_dict(
        {n: v for n, v in batch.state_dict().items() if n in instance.state_dict()}
    )
    assert count(batch) == count(instance)
    slice_ = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(batch(slice_), instance.eval()(slice_))


def test_resvit_shares_one_transformer_between_its_blocks(small):
    network = small("resvit")
    one = small("resvit", transformer_blocks=(1,))
    branch = count(network.branches["1"])
    assert count(network) - count(one) == branch
    asked = []
    network.transformer.register_forward_hook(lambda *_: asked.append(True))
    network(torch.rand(2, 1, 64, 64))
    assert len(asked) == 2


def test_resvit_without_asking_its_transformer_is_the_network_of_the_first_stage(small):
    network, first = small("resvit").eval(), small("resvit", transformer_blocks=()).eval()
    first.load_state_dict({n: network.state_dict()[n] for n in first.state_dict()})
    slices = torch.rand(1, 1, 64, 64)
    assert not torch.equal(network(slices), first(slices))
    network.uses_transformer = False
    assert torch.equal(network(slices), first(slices))


def test_transformer_layers_compute_what_timm_computes(small):
    from timm.models.vision_transformer import Block

    layer = small("resvit").transformer.blocks[1].eval()
    theirs = Block(16, 2, mlp_ratio=2, qkv_bias=True).eval()
    theirs.norm1.eps = theirs.norm2.eps = 1e-6
    theirs.load_state_dict(layer.state_dict())
    tokens = torch.randn(2, 9, 16)
    torch.testing.assert_close(layer(tokens), theirs(tokens))


def test_resvit_interpolates_its_positions_to_other_sizes(small):
    branch = small("resvit").branches["1"]
    branch.position.data.copy_(torch.arange(16.0).view(4, 4).expand(1, 16, 4, 4))
    wide = branch._positions(4, 8)
    # each position becomes two, a quarter of the distance before and behind it
    assert wide[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_configuration_survives_json(family):
    config = SMALL[family]
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (UNetConfig(), {"width": 0}, "width must be an integer of at least 1, got 0"),
        (UNetConfig(), {"slice_channels": 2}, "slice_channels must be 1 or 3, got 2"),
        (UNetConfig(), {"levels": 0}, "levels must be an integer of at least 1, got 0"),
        (Pix2PixConfig(), {"depth": 1}, "depth must be an integer of at least 2, got 1"),
        (Pix2PixConfig(), {"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        (Pix2PixConfig(), {"instance_norm": 1}, "instance_norm must be true or false, got 1"),
        (CycleGanConfig(), {"blocks": 0}, "blocks must be an integer of at least 1, got 0"),
        (ResVitConfig(), {"heads": 5}, "heads must divide hidden, got 5 for 768"),
        (ResVitConfig(), {"grid": 0}, "grid must be an integer of at least 1, got 0"),
        (ResVitConfig(), {"dropout": True}, r"dropout must be a number in \[0, 1\), got True"),
        (
            ResVitConfig(),
            {"transformer_blocks": (1, 10)},
            r"transformer_blocks must be numbers from 1 to 9, got \(1, 10\)",
        ),
        (ResVitConfig(), {"transformer_blocks": (0,)}, r"transformer_blocks\[0\] must be"),
    ],
)
def test_configuration_refuses(config, change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **change)
