"""Which encoder a configuration means."""

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.models import HIERA_VARIANTS
from SAMI2ILib.training.networks import clip_encoder_of, hiera_of
from SAMI2ILib.training.starting_weights import find_weights


@pytest.mark.parametrize("variant", ["tiny", "small", "base_plus", "large", "demo"])
def test_variant_names_a_trunk(configure, variant):
    config = configure(encoder={"variant": variant, "hiera": None})
    assert hiera_of(config) == HIERA_VARIANTS[variant]
    assert clip_encoder_of(config) is None


def test_clip_is_named_by_size_and_training_and_feeds_the_decoder_of_base_plus(configure):
    config = configure(encoder={"variant": "clip:RN101/openai", "hiera": None})
    clip = clip_encoder_of(config)
    assert (clip.model, clip.pretrained) == ("RN101", "openai")
    assert clip.widths == hiera_of(config).channels == HIERA_VARIANTS["base_plus"].channels


def test_clip_may_feed_the_decoder_of_another_trunk(configure):
    config = configure(encoder={"variant": "clip:RN101/openai"})
    assert clip_encoder_of(config).widths == (8, 16, 32, 64)


def test_impossible_encoder_is_refused(configure):
    with pytest.raises(InputError, match="'huge', which is no trunk"):
        hiera_of(configure(encoder={"variant": "huge", "hiera": None}))
    with pytest.raises(InputError, match=r"no 'encoder\.checkpoint'"):
        find_weights(configure(encoder={"frozen": True}))
