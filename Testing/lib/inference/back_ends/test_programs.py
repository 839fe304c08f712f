"""The folded generator on every back end against the network that it was folded from."""

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.back_ends import compare
from SAMI2ILib.inference.back_ends.folded import fold_generator
from SAMI2ILib.inference.back_ends.openvino_network import OpenVinoPredictor
from SAMI2ILib.inference.back_ends.torch_operations import FoldedNetwork
from SAMI2ILib.inference.device import Device
from SAMI2ILib.models import HieraConfig

CPU = Device("cpu", "CPU", "it was asked for", "fp32")
# maps of 72x88 tokens leave windows of the trunk and of the decoder to be padded on both axes
SIZES = {
    "faithful": (72, 88),
    "shifted": (72, 88),
    "detail": (144, 176),
    "batch-norm": (288, 352),
    "deep": (288, 352),
}


def reference(network, slices):
    with torch.inference_mode():
        return network(torch.from_numpy(slices))[:, 0].numpy()


@pytest.mark.parametrize(
    ("build", "channels"),
    [
        ("faithful", 1),
        ("faithful", 3),
        ("shifted", 1),
        ("detail", 3),
        ("batch-norm", 1),
        ("deep", 1),
    ],
)
def test_torch_computes_what_the_network_does(make_generator, make_slices, build, channels):
    network = make_generator(build)
    slices = make_slices(2, channels, *SIZES[build])
    folded = FoldedNetwork(fold_generator(network, slices.shape[1:]))
    with torch.inference_mode():
        output = folded(torch.from_numpy(slices))
    assert output.dtype == torch.float32
    assert output.std() > 1e-3
    assert compare(output[:, 0].numpy(), reference(network, slices)).decibels > 110


def test_torch_keeps_no_more_with_each_slice(make_generator, make_slices):
    slices = torch.from_numpy(make_slices(1, 1, *SIZES["shifted"]))
    folded = FoldedNetwork(fold_generator(make_generator("shifted"), slices.shape[1:]))
    kept = []
    for _ in range(3):
        with torch.inference_mode():
            folded(slices)
        kept.append(sum(len(ops._constants) for ops in (folded._coarse, folded._fine)))
    assert kept[0] == kept[1] == kept[2] > 0


@pytest.mark.parametrize("build", SIZES)
def test_openvino_computes_what_the_network_does(openvino, make_generator, make_slices, build):
    network = make_generator(build)
    slices = make_slices(2, network.decoder.config.slice_channels, *SIZES[build])
    generator = fold_generator(network, slices.shape[1:])
    predictor = OpenVinoPredictor(lambda: generator, build, slices.shape[1:], CPU)
    output = predictor.predict(slices)
    assert output.shape == (2, *SIZES[build])
    assert output.std() > 1e-3
    assert compare(output, reference(network, slices)).decibels > 110
    np.testing.assert_array_equal(predictor.predict(slices[1:]), output[1:])


def test_gray_levels_are_made_in_float32(make_generator, make_slices):
    network = make_generator("faithful")
    slices = make_slices(1, 1, 64, 64)
    folded = FoldedNetwork(fold_generator(network, (1, 64, 64)))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = folded(torch.from_numpy(slices))[:, 0].numpy()
    agreement = compare(output, reference(network, slices))
    assert 45 < agreement.decibels < 110
    # bfloat16 has 128 levels between 0.5 and 1
    assert len(np.unique(output)) > 1000


def test_trunk_pools_windows_of_an_even_number_of_tokens_only(make_generator):
    network = make_generator("faithful")
    network.encoder.trunk.blocks[1].window_size = 7
    with pytest.raises(InputError, match="A pooled window of 7 tokens cannot be folded"):
        fold_generator(network, (1, 64, 64))


def test_other_networks_are_not_folded():
    with pytest.raises(InputError, match="Only SAM-I2I networks with a Hiera encoder"):
        fold_generator(nn.Identity(), (1, 64, 64))


@pytest.mark.parametrize("shape", [(1, 60, 64), (2, 64, 64)])
def test_slices_that_the_network_cannot_take_are_refused(make_generator, shape):
    with pytest.raises(InputError, match="slices must be 1 or 3 channels of multiples of 8"):
        fold_generator(make_generator("faithful"), shape)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["tiny", "base_plus"])
def test_trunks_of_sam2_agree_at_full_size(openvino, make_slices, variant):
    from SAMI2ILib.models import HIERA_VARIANTS, DecoderConfig, build_sam_i2i

    encoder: HieraConfig = HIERA_VARIANTS[variant]
    torch.manual_seed(0)
    network = build_sam_i2i(encoder, DecoderConfig.for_encoder(encoder)).eval()
    slices = make_slices(1, 1, 256, 256)
    generator = fold_generator(network, (1, 256, 256))
    for precision, least in (("fp32", 90), ("bf16", 45)):
        device = Device("cpu", "CPU", "it was asked for", precision)
        predictor = OpenVinoPredictor(lambda: generator, variant, (1, 256, 256), device)
        assert compare(predictor.predict(slices), reference(network, slices)).decibels >= least
