"""The encoder: what it feeds the trunk, how it stays frozen, and which sizes it refuses."""

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models import Encoder, HieraConfig


class Recorder(nn.Module):
    """A trunk that keeps its input."""

    channel_list = (32, 16, 8, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        self.images = images
        return [images]


def test_gray_slices_become_standardized_rgb_of_four_times_the_size() -> None:
    trunk = Recorder()
    Encoder(trunk)(torch.full((2, 1, 16, 24), 0.5))
    assert trunk.images.shape == (2, 3, 64, 96)
    expected = [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    torch.testing.assert_close(trunk.images[1, :, 7, 9], torch.tensor(expected))


def test_slices_are_scaled_up_linearly_between_pixel_centers() -> None:
    trunk = Recorder()
    ramp = torch.arange(16.0).expand(1, 1, 16, 16) / 16
    Encoder(trunk)(ramp)
    green = trunk.images[0, 1, 30] * 0.224 + 0.456
    # the center of pixel i lies at 4 i + 1.5 in the larger image
    torch.testing.assert_close(green[2:-2], (torch.arange(2, 62) - 1.5) / 64)


def test_neighboring_slices_go_to_the_channels_as_they_are() -> None:
    trunk = Recorder()
    Encoder(trunk)(torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
    expected = [(0.1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.3 - 0.406) / 0.225]
    torch.testing.assert_close(trunk.images[0, :, 0, 0], torch.tensor(expected))


def test_finest_map_has_the_resolution_of_the_slice(
    small_trunk: nn.Module, small_hiera: HieraConfig
) -> None:
    encoder = Encoder(small_trunk)
    maps = encoder(torch.rand(1, 1, 40, 64))
    assert encoder.channels == small_hiera.channels
    assert [feature.shape[2:] for feature in maps] == [(40, 64), (20, 32), (10, 16), (5, 8)]


def test_frozen_encoder_has_no_gradient_and_stays_in_eval_mode(small_trunk: nn.Module) -> None:
    parent = nn.Sequential(Encoder(small_trunk)).train()
    assert not any(module.training for module in parent[0].modules())
    assert not any(weight.requires_grad for weight in parent.parameters())
    assert not any(feature.requires_grad for feature in parent(torch.rand(1, 1, 32, 32)))


def test_frozen_encoder_records_no_graph_when_its_input_needs_a_gradient(
    small_trunk: nn.Module,
) -> None:
    maps = Encoder(small_trunk)(torch.rand(1, 1, 32, 32, requires_grad=True))
    assert not any(feature.requires_grad for feature in maps)


def test_unfrozen_encoder_learns(small_trunk: nn.Module) -> None:
    encoder = Encoder(small_trunk, frozen=False).train()
    assert small_trunk.training
    sum(feature.square().mean() for feature in encoder(torch.rand(1, 1, 32, 32))).backward()  # type: ignore[union-attr]
    assert all(weight.grad is not None for weight in encoder.parameters())


@pytest.mark.parametrize(
    ("upscale", "height", "width", "message"),
    [
        (4, 60, 64, "multiples of 8, got 60x64. Pad or crop to 56x64 or 64x64."),
        (4, 250, 3, "got 250x3. Pad or crop to 248x8 or 256x8."),
        (1, 100, 64, "multiples of 32, got 100x64. Pad or crop to 96x64 or 128x64."),
        (2, 24, 40, "multiples of 16, got 24x40. Pad or crop to 16x32 or 16x48 or 32x32 or 32x48."),
    ],
)
def test_slices_are_refused_with_the_nearest_sizes_when_no_multiple(
    small_trunk: nn.Module, upscale: int, height: int, width: int, message: str
) -> None:
    encoder = Encoder(small_trunk, upscale=upscale)
    with pytest.raises(ShapeError) as caught:
        encoder(torch.rand(1, 1, height, width))
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("shape", [(1, 2, 32, 32), (1, 32, 32), (32, 32)])
def test_slices_are_refused_when_the_channels_are_wrong(
    small_trunk: nn.Module, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError, match=r"slices must be \(B, 1, H, W\) or \(B, 3, H, W\), got"):
        Encoder(small_trunk)(torch.rand(shape))


@pytest.mark.parametrize("upscale", [0, 2.0, True])
def test_upscale_is_refused_when_no_positive_integer(small_trunk: nn.Module, upscale: int) -> None:
    with pytest.raises(InputError, match="upscale must be an integer of at least 1"):
        Encoder(small_trunk, upscale=upscale)
