"""The whole generator: nothing but encoder and decoder, trained only in the decoder."""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.models import (
    HIERA_VARIANTS,
    Decoder,
    DecoderConfig,
    Encoder,
    HieraConfig,
    SamI2I,
    build_sam_i2i,
    load_strictly,
)


def test_generator_is_encoder_and_decoder_and_nothing_else(small_network: SamI2I) -> None:
    parts = {name.split(".")[0] for name in small_network.state_dict()}
    assert parts == {"encoder", "decoder"}
    count = sum(
        weight.numel()
        for part in (small_network.encoder.trunk, small_network.decoder)
        for weight in part.parameters()
    )
    assert sum(weight.numel() for weight in small_network.parameters()) == count


def test_only_the_decoder_is_trained(small_network: SamI2I) -> None:
    small_network.train()
    small_network(torch.rand(2, 1, 32, 32))[..., :9].sum().backward()
    assert all(weight.grad is None for weight in small_network.encoder.parameters())
    assert all(weight.grad is not None for weight in small_network.decoder.parameters())
    assert not small_network.encoder.training
    assert small_network.decoder.training


@pytest.mark.parametrize("channels", [1, 3])
def test_output_is_one_float32_slice_in_0_1(small_network: SamI2I, channels: int) -> None:
    slices = torch.rand(2, channels, 40, 64)
    with torch.inference_mode():
        image = small_network(slices)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = small_network(slices)
    assert image.shape == rounded.shape == (2, 1, 40, 64)
    assert image.dtype == rounded.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    torch.testing.assert_close(rounded, image, rtol=0, atol=0.02)


def test_slices_of_a_batch_do_not_see_each_other(small_network: SamI2I) -> None:
    slices = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        together = small_network(slices)
        alone = small_network(slices[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-5)


def test_sides_of_slices_are_what_encoder_and_detail_branch_need(small_hiera: HieraConfig) -> None:
    for options, multiple in (({}, 8), ({"encoder_upscale": 2, "detail_width": 4}, 16)):
        config = DecoderConfig.for_encoder(small_hiera, **options)
        assert build_sam_i2i(small_hiera, config).size_multiple == multiple


def test_generator_is_refused_when_the_parts_do_not_fit(small_trunk: nn.Module) -> None:
    decoder = Decoder(DecoderConfig.for_encoder(HIERA_VARIANTS["demo"]))
    with pytest.raises(InputError, match=r"expects maps of \(32, 64, 128, 256\) channels, the enc"):
        SamI2I(Encoder(small_trunk), decoder)


def test_weights_are_refused_and_nothing_is_copied_when_one_does_not_fit(
    small_decoder: Decoder,
) -> None:
    before = {name: tensor.clone() for name, tensor in small_decoder.state_dict().items()}
    other = Decoder(dataclasses.replace(small_decoder.config, windows=(8, 8, 8))).state_dict()
    del other["norm.weight"], other["norm.bias"], other["output.bias"], other["output.weight"]
    match = r"decoder weights do not fit: 4 missing \(norm.weight, .*, \.\.\.\)\. Ask again\."
    with pytest.raises(ModelError, match=match):
        load_strictly(small_decoder, other, "decoder", "Ask again.")
    after = small_decoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def smooth_pairs() -> tuple[Tensor, Tensor]:
    """Seven slices of an ellipse with a dark core and their inverted contrast, and a flat one."""
    axis = torch.linspace(-1, 1, 64)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    pairs = [(torch.full((64, 64), 0.5), torch.full((64, 64), 0.4))]
    for step in range(7):
        radius = torch.hypot(rows / (0.9 - 0.02 * step), columns / (0.7 + 0.02 * step))
        head = (radius < 1).float()
        core = (torch.hypot(rows - 0.05 * step + 0.2, columns) < 0.15 + 0.02 * step).float()
        source = head * (0.4 + 0.3 * radius - 0.25 * core)
        pairs.append((source, head * (0.9 - source)))
    sources, targets = zip(*pairs, strict=True)
    return torch.stack(sources)[:, None], torch.stack(targets)[:, None]


@pytest.mark.slow
def test_eight_slices_are_overfitted_without_a_peak_at_the_window_frequency() -> None:
    torch.manual_seed(0)
    demo = HIERA_VARIANTS["demo"]
    sources, targets = smooth_pairs()
    network = build_sam_i2i(
        demo, DecoderConfig.for_encoder(demo, depth=1), mean_intensity=float(targets.mean())
    ).train()
    features = network.encoder(sources)  # frozen, so once is enough
    optimizer = torch.optim.Adam(network.decoder.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[150], gamma=0.2)
    for _ in range(200):
        loss = (network.decoder(features) - targets).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        predictions = network.eval()(sources)
    psnr_db = -10 * math.log10(float((predictions - targets).square().mean()))
    assert psnr_db > 35

    flat = predictions[0, 0]
    assert not window_peaks(flat)
    # the same search finds a grid of half a gray level of an 8-bit display
    grid = 0.5 / 255 * torch.cos(torch.arange(64) * 2 * math.pi / 4)
    assert window_peaks(flat + grid) == [4]
    assert window_peaks(flat + grid[:, None]) == [4]


def window_peaks(image: Tensor) -> list[int]:
    """Find the windows whose frequency stands out of its neighbors in rows or columns."""
    found = []
    for axis, window in itertools.product((0, 1), (4, 8, 16)):
        amplitudes = 2 / 64 * torch.fft.rfft(image.mean(axis)).abs()
        peak = 64 // window
        neighbors = torch.cat([amplitudes[peak - 2 : peak], amplitudes[peak + 1 : peak + 3]])
        if amplitudes[peak] > 1.5 * neighbors.mean() + 1e-4:
            found.append(window)
    return found
