"""What is measured: networks, their cost, and slices that fit them."""

import numpy as np
import pytest
import torch

from SAMI2ILib.benchmark import subject as subjects
from SAMI2ILib.benchmark.subject_names import RANDOM_SUBJECTS, TRUNKS
from SAMI2ILib.errors import MissingError
from SAMI2ILib.models import HIERA_VARIANTS, DecoderConfig, attention, build_sam_i2i

SHAPE = (1, 256, 256)

# GMAC at 1024 of docs and paper tables: trunk, and the decoder of base_plus
TRUNK_GMAC = {"tiny": 142, "small": 176, "base_plus": 319, "large": 906}
BASE_PLUS_DECODER_GMAC = 69


@pytest.mark.parametrize("name", TRUNKS)
def test_torchs_counter_gives_the_products_of_each_trunk(name):
    hiera = HIERA_VARIANTS[name]
    network = build_sam_i2i(hiera, DecoderConfig.for_encoder(hiera))
    trunk = subjects.count_flops(network.encoder.trunk, (3, 1024, 1024)) / 2e9
    assert trunk == pytest.approx(TRUNK_GMAC[name], rel=0.02)
    if name == "base_plus":
        whole = subjects.count_flops(network, SHAPE) / 2e9
        assert whole - trunk == pytest.approx(BASE_PLUS_DECODER_GMAC, rel=0.05)


def test_counter_gives_the_products_of_a_layer_by_hand():
    layer = torch.nn.Conv2d(2, 5, 3, padding=1, bias=False)
    assert subjects.count_flops(layer, (2, 8, 8)) == 2 * 8 * 8 * 2 * 5 * 9


def test_slices_keep_their_middle_at_another_size():
    slices = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
    larger = subjects.cut_slices(slices, (3, 6, 8))
    assert larger.shape == (2, 3, 6, 8)
    np.testing.assert_array_equal(larger[1, 2, 1:5, 1:7], slices[1])
    assert larger.sum() == 3 * slices.sum()
    np.testing.assert_array_equal(subjects.cut_slices(larger, (3, 4, 6))[:, 1], slices)


def test_spread_output_uses_the_gray_levels(tiny_model_file):
    network = subjects.open_subject(str(tiny_model_file)).network
    slices = np.random.default_rng(0).random((1, 1, 64, 64), dtype=np.float32)
    with torch.inference_mode():
        before = network(torch.from_numpy(slices))
        subjects.spread_output(network, slices)
        after = network(torch.from_numpy(slices))
    logits = torch.logit(after.double(), eps=1e-9)
    assert float(logits.std()) == pytest.approx(1.5, rel=0.01)
    assert float(logits.mean()) == pytest.approx(0, abs=0.05)
    assert after.std() > 2 * before.std()


def test_weights_that_were_saved_are_those_that_are_loaded(tiny_model_file, tmp_path):
    one = subjects.open_subject(str(tiny_model_file)).network
    subjects.spread_output(one, np.random.default_rng(1).random((1, 1, 64, 64), dtype=np.float32))
    subjects.save_weights(one, tmp_path / "w.safetensors")
    other = subjects.open_subject(str(tiny_model_file)).network
    subjects.load_weights(other, tmp_path / "w.safetensors")
    assert all(torch.equal(v, other.state_dict()[n]) for n, v in one.state_dict().items())


def test_naive_network_is_sam2s_own_and_computes_the_same(tiny_model_file, keep_process):
    slices = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    subject = subjects.open_subject(str(tiny_model_file))
    with torch.inference_mode():
        expected = subject.network(slices)
        naive = subjects.naive_network(subject)
        kinds = {type(block.attn).__module__ for block in naive.encoder.trunk.blocks}
        torch.testing.assert_close(naive(slices), expected, rtol=0, atol=1e-6)
    assert kinds == {"sam2.modeling.backbones.hieradet"}
    assert attention.PLAIN_ATTENTION_TOKENS == 0


@pytest.mark.parametrize("name", ["unet", "tiny"])
def test_random_subjects_are_the_same_each_time(name):
    one, other = (subjects.open_subject(name) for _ in range(2))
    assert one.slice_shape == SHAPE
    assert not one.network.training
    weights = zip(one.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)


def test_bundled_stands_for_the_bundled_model():
    subject = subjects.open_subject("bundled")
    assert subject.model.spec.target_contrast == "T2"
    assert subject.slice_shape[0] == subject.model.spec.preprocessing.context_slices
    assert "bundled" not in RANDOM_SUBJECTS


def test_model_that_is_not_there_is_said():
    with pytest.raises(MissingError, match="nowhere"):
        subjects.open_subject("nowhere")
