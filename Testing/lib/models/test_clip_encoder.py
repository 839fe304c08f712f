"""CLIP in the place of the trunk: the same strides and widths, only the projections learn."""

import pytest
import torch

from SAMI2ILib.errors import InputError
from SAMI2ILib.models import Decoder, DecoderConfig, SamI2I
from SAMI2ILib.models.clip import ClipConfig, build_clip, import_open_clip, load_clip
from SAMI2ILib.models.clip_encoder import ClipEncoderConfig, ClipPyramid, build_clip_encoder

WIDTHS = (16, 24, 32, 40)


def tiny(tiny_clip, name):
    return load_clip(tiny_clip(name), ClipConfig(name, ""))


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-rn"])
def test_maps_have_the_strides_and_widths_of_a_trunk(tiny_clip, name):
    encoder = build_clip_encoder(tiny(tiny_clip, name), ClipEncoderConfig(name, "", WIDTHS))
    features = encoder(torch.rand(2, 1, 24, 16))  # 96 x 64 after the enlargement
    assert [tuple(f.shape) for f in features] == [
        (2, 16, 24, 16), (2, 24, 12, 8), (2, 32, 6, 4), (2, 40, 3, 2)
    ]  # fmt: skip
    assert encoder.channels == WIDTHS


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-rn"])
def test_projections_learn_and_clip_does_not(tiny_clip, name):
    clip = tiny(tiny_clip, name)
    encoder = build_clip_encoder(clip, ClipEncoderConfig(name, "", WIDTHS))
    decoder = Decoder(DecoderConfig(WIDTHS, (32, 24, 16), (2, 2, 2), (4, 4, 4)))
    network = SamI2I(encoder, decoder)
    network.train()
    network(torch.rand(1, 1, 16, 16)).mean().backward()
    assert all(p.grad is None for p in clip.parameters())
    assert not clip.visual.training
    assert all(p.grad is not None for p in encoder.projection.parameters())


def test_resnet_maps_are_those_of_its_stages(tiny_clip):
    clip = tiny(tiny_clip, "tiny-rn")
    images = torch.rand(1, 3, 64, 64)
    expected, maps = clip.visual.stem(images), []
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        expected = clip.visual.get_submodule(stage)(expected)
        maps.append(expected)
    for found, wanted in zip(ClipPyramid(clip)(images), maps, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("size", [32, 64])
def test_transformer_maps_are_those_of_open_clip_at_any_size(tiny_clip, size):
    # open_clip interpolates the position embedding once, when it loads the file for a size
    sized = import_open_clip().create_model(
        "tiny-vit", pretrained=str(tiny_clip("tiny-vit")), force_image_size=size, weights_only=True
    )
    images = torch.rand(2, 3, size, size)
    wanted = sized.visual.forward_intermediates(images, indices=[1, 3, 5, 7], output_fmt="NCHW")
    found = ClipPyramid(tiny(tiny_clip, "tiny-vit"))(images)
    for mine, theirs in zip(found, wanted["image_intermediates"], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_slices_are_standardized_as_clip_was_trained(tiny_clip):
    clip = tiny(tiny_clip, "tiny-rn")
    encoder = build_clip_encoder(clip, ClipEncoderConfig("tiny-rn", "", WIDTHS))
    assert torch.equal(encoder.mean, clip.mean)
    assert torch.equal(encoder.std, clip.std)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "pretrained", "channels"),
    [
        ("RN101", "openai", (256, 512, 1024, 2048)),
        ("ViT-B-16", "laion2b_s34b_b88k", (768, 768, 768, 768)),
    ],
)
def test_encoders_of_the_comparison_feed_the_decoder_of_base_plus(model, pretrained, channels):
    config = ClipEncoderConfig(model, pretrained)
    encoder = build_clip_encoder(build_clip(config.clip), config)
    assert tuple(encoder.trunk.channel_list[::-1]) == channels
    with torch.no_grad():
        features = encoder(torch.rand(1, 1, 96, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (112, 96, 96), (224, 48, 48), (448, 24, 24), (896, 12, 12)
    ]  # fmt: skip


def test_configuration_survives_json_and_refuses_nonsense():
    config = ClipEncoderConfig("RN101", "openai", WIDTHS)
    assert ClipEncoderConfig.from_json(config.to_json()) == config
    with pytest.raises(InputError, match="model must be a text"):
        ClipEncoderConfig(3, "openai")
    with pytest.raises(InputError, match="widths must be a tuple of 4 integers"):
        ClipEncoderConfig("RN101", "openai", (1, 2))


def test_transformer_of_three_blocks_is_refused(tiny_clip):
    clip = tiny(tiny_clip, "tiny-vit")
    del clip.visual.transformer.resblocks[3:]
    with pytest.raises(InputError, match="at least 4 blocks, it has 3"):
        ClipPyramid(clip)
