"""The decoder: its size, its range, its gradients, and what it refuses."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models import HIERA_VARIANTS, Decoder, DecoderConfig


def pyramid(decoder: Decoder, height: int, width: int, batch: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, channels, height >> level, width >> level, generator=generator)
        for level, channels in enumerate(decoder.config.encoder_channels)
    ]


def test_decoder_for_base_plus_has_7_4_million_parameters() -> None:
    decoder = Decoder(DecoderConfig.for_encoder(HIERA_VARIANTS["base_plus"]))
    assert round(sum(weight.numel() for weight in decoder.parameters()) / 1e6, 1) == 7.4


def test_demo_network_has_1_7_million_parameters() -> None:
    from SAMI2ILib.models import build_sam_i2i

    demo = HIERA_VARIANTS["demo"]
    network = build_sam_i2i(demo, DecoderConfig.for_encoder(demo, depth=1))
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 1) == 1.7


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 48), (8, 8), (40, 104)])
@pytest.mark.parametrize("switched", [False, True])
def test_output_has_the_size_of_the_finest_map_and_lies_in_0_1(
    small_decoder: Decoder, height: int, width: int, switched: bool
) -> None:
    config = dataclasses.replace(
        small_decoder.config, shifted_windows=switched, window_position_embedding=switched
    )
    image = Decoder(config)(pyramid(small_decoder, height, width, batch=2))
    assert image.shape == (2, 1, height, width)
    assert 0 <= image.min() < image.max() <= 1


def test_output_is_float32_and_near_the_exact_one_when_under_autocast(
    small_decoder: Decoder,
) -> None:
    features = pyramid(small_decoder, 64, 64)
    with torch.no_grad():
        exact = small_decoder(features)
        with torch.autocast("cpu", torch.bfloat16):
            image = small_decoder([feature.bfloat16() for feature in features])
    assert image.dtype == torch.float32
    assert len(image.unique()) > 1000  # bfloat16 has at most 256 values between 0.25 and 1
    torch.testing.assert_close(image, exact, rtol=0, atol=0.02)


def test_gradient_reaches_every_parameter(
    small_decoder: Decoder, randomize: Callable[[nn.Module], nn.Module]
) -> None:
    config = dataclasses.replace(
        small_decoder.config, shifted_windows=True, window_position_embedding=True
    )
    decoder = randomize(Decoder(config))
    decoder(pyramid(small_decoder, 32, 32))[..., :7].sum().backward()
    without = [name for name, weight in decoder.named_parameters() if not weight.grad.any()]  # type: ignore[union-attr]
    assert without == []


def test_untrained_output_is_the_mean_intensity_when_features_are_flat(
    small_decoder: Decoder,
) -> None:
    small_decoder.set_mean_intensity(0.2)
    with torch.no_grad():
        small_decoder.output.weight.zero_()
        image = small_decoder(pyramid(small_decoder, 16, 16))
    torch.testing.assert_close(image, torch.full_like(image, 0.2))


@pytest.mark.parametrize("mean", [0.0, 1.0, -0.1, float("nan")])
def test_mean_intensity_is_refused_when_no_logit_exists(
    small_decoder: Decoder, mean: float
) -> None:
    with pytest.raises(InputError, match=r"mean_intensity must lie inside \(0, 1\)"):
        Decoder(small_decoder.config, mean_intensity=mean)


def test_flat_features_give_a_flat_image(
    small_decoder: Decoder, randomize: Callable[[nn.Module], nn.Module]
) -> None:
    randomize(small_decoder)
    features = [
        feature[:, :, :1, :1].expand_as(feature) for feature in pyramid(small_decoder, 64, 64)
    ]
    with torch.no_grad():
        image = small_decoder(features)
    assert float(image.max() - image.min()) < 1e-6


def test_features_are_refused_when_a_map_is_missing(small_decoder: Decoder) -> None:
    with pytest.raises(ShapeError, match=r"features must be 4 maps \(B, C, H, W\), finest first"):
        small_decoder(pyramid(small_decoder, 64, 64)[:3])


def test_features_are_refused_when_they_come_coarsest_first(small_decoder: Decoder) -> None:
    with pytest.raises(ShapeError, match="each map half the size of the one before it"):
        small_decoder(pyramid(small_decoder, 64, 64)[::-1])


def test_features_are_refused_when_a_map_has_another_size(small_decoder: Decoder) -> None:
    features = pyramid(small_decoder, 64, 64)
    features[1] = features[1][..., 1:]
    with pytest.raises(ShapeError, match=r"expected .*\(1, 16, 32, 32\).*, got .*\(1, 16, 32, 31"):
        small_decoder(features)
