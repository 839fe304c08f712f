"""The detail branch: sizes, flat slices without a frame, and a generator with a coarser trunk."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models import DecoderConfig, Encoder, HieraConfig, SamI2I, build_sam_i2i
from SAMI2ILib.models.detail_branch import DetailBranch


@pytest.mark.parametrize(("extra", "batch_norm"), [(0, False), (0, True), (2, True)])
@pytest.mark.parametrize(("upscale", "levels"), [(4, 0), (2, 1), (1, 2)])
def test_generator_with_a_coarser_trunk_returns_slices_of_full_size(
    small_hiera: HieraConfig, upscale: int, levels: int, extra: int, batch_norm: bool
) -> None:
    config = DecoderConfig.for_encoder(
        small_hiera,
        encoder_upscale=upscale,
        detail_width=4,
        detail_levels=extra,
        detail_batch_norm=batch_norm,
        slice_channels=3,
    )
    network = build_sam_i2i(small_hiera, config)
    assert len(network.decoder.detail.halve) == levels + extra
    size = network.size_multiple
    image = network(torch.rand(2, 3, 2 * size, 3 * size))
    assert image.shape == (2, 1, 2 * size, 3 * size)
    image.sum().backward()
    assert all(weight.grad is not None for weight in network.decoder.parameters())


def test_slices_can_be_halved_as_often_as_the_branch_does(small_hiera: HieraConfig) -> None:
    for extra, expected in ((0, 8), (3, 8), (5, 32)):
        config = DecoderConfig.for_encoder(small_hiera, detail_width=4, detail_levels=extra)
        network = build_sam_i2i(small_hiera, config)
        assert network.size_multiple == expected
        assert network(torch.rand(1, 1, expected, 3 * expected)).shape[-1] == 3 * expected


@pytest.mark.parametrize(("extra", "batch_norm"), [(0, False), (0, True), (2, True)])
def test_flat_slice_and_flat_map_give_a_flat_image(extra: int, batch_norm: bool) -> None:
    torch.manual_seed(0)
    branch = DetailBranch(
        1, 6, width=8, depth=2, levels=1, extra_levels=extra, batch_norm=batch_norm
    )
    branch.eval()
    for layer in branch.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.1)
    image = branch(torch.full((1, 1, 32, 48), 0.5), torch.full((1, 6, 16, 24), 0.3))
    assert image.shape == (1, 8, 32, 48)
    torch.testing.assert_close(image, image[:, :, :1, :1].expand_as(image), rtol=0, atol=1e-5)
    assert image.flatten(2).mean(dim=2).std() > 1e-3


def test_branch_sees_what_is_finer_than_a_token(small_hiera: HieraConfig) -> None:
    torch.manual_seed(0)
    config = DecoderConfig.for_encoder(small_hiera, encoder_upscale=2, detail_width=8)
    decoder = build_sam_i2i(small_hiera, config).decoder
    features = [
        torch.zeros(1, channels, 16 >> level, 16 >> level)
        for level, channels in enumerate(config.encoder_channels)
    ]
    stripes = torch.arange(32).remainder(2).float().expand(1, 1, 32, 32)
    with torch.no_grad():
        image: Tensor = decoder(features, stripes)
    assert (image[..., 8:24:2] - image[..., 9:25:2]).abs().min() > 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_upscale": 3}, "encoder_upscale must be 1, 2 or 4, got 3"),
        ({"encoder_upscale": 2}, "encoder_upscale 2 needs a detail branch"),
        ({"detail_width": -1}, "detail_width must be an integer of at least 0"),
        ({"detail_width": 4, "detail_depth": 0}, "detail_depth must be an integer of at least 1"),
        ({"detail_levels": -1}, "detail_levels must be an integer of at least 0"),
        ({"detail_batch_norm": 1}, "detail_batch_norm must be true or false"),
        ({"slice_channels": 2}, "slice_channels must be 1 or 3, got 2"),
    ],
)
def test_impossible_branch_is_refused(
    small_hiera: HieraConfig, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(DecoderConfig.for_encoder(small_hiera), **changes)


def test_slices_that_do_not_fit_the_maps_are_refused(small_hiera: HieraConfig) -> None:
    config = DecoderConfig.for_encoder(small_hiera, encoder_upscale=2, detail_width=4)
    decoder = build_sam_i2i(small_hiera, config).decoder
    features = [
        torch.zeros(1, channels, 16 >> level, 16 >> level)
        for level, channels in enumerate(config.encoder_channels)
    ]
    with pytest.raises(ShapeError, match=r"must be \(1, 1, 32, 32\) .* got None"):
        decoder(features)
    with pytest.raises(ShapeError, match=r"must be \(1, 1, 32, 32\) .* got \(1, 3, 32, 32\)"):
        decoder(features, torch.zeros(1, 3, 32, 32))


def test_encoder_and_decoder_must_agree_on_the_size(
    small_trunk: nn.Module, small_hiera: HieraConfig
) -> None:
    decoder = build_sam_i2i(small_hiera, DecoderConfig.for_encoder(small_hiera)).decoder
    with pytest.raises(InputError, match="expects slices enlarged by 4, the encoder enlarges them"):
        SamI2I(Encoder(small_trunk, upscale=2), decoder)
