"""Sizes of encoder and decoder: their table, their JSON and what they refuse."""

import dataclasses
import json

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.models import HIERA_VARIANTS, DecoderConfig, HieraConfig

BASE_PLUS = HIERA_VARIANTS["base_plus"]
DECODER = DecoderConfig.for_encoder(BASE_PLUS)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("tiny", (96, 192, 384, 768)),
        ("small", (96, 192, 384, 768)),
        ("base_plus", (112, 224, 448, 896)),
        ("large", (144, 288, 576, 1152)),
        ("demo", (32, 64, 128, 256)),
    ],
)
def test_channels_are_those_of_the_variant(name: str, channels: tuple[int, ...]) -> None:
    assert HIERA_VARIANTS[name].channels == channels


def test_decoder_for_base_plus_mirrors_its_stages() -> None:
    assert DECODER.widths == (448, 224, 112)
    assert DECODER.heads == (8, 4, 2)
    assert DECODER.windows == (16, 8, 4)
    assert DECODER.depth == 2


@pytest.mark.parametrize("name", sorted(HIERA_VARIANTS))
def test_encoder_configuration_survives_json(name: str) -> None:
    config = HIERA_VARIANTS[name]
    assert HieraConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_decoder_configuration_survives_json() -> None:
    config = dataclasses.replace(DECODER, shifted_windows=True, window_position_embedding=True)
    assert DecoderConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_configuration_takes_defaults_when_a_later_field_is_absent() -> None:
    values = DECODER.to_json()
    del values["shifted_windows"]
    assert DecoderConfig.from_json(values) == DECODER


def test_configuration_is_refused_when_a_field_is_unknown() -> None:
    with pytest.raises(InputError, match="HieraConfig has no field turbo; it has embed_dim"):
        HieraConfig.from_json({**BASE_PLUS.to_json(), "turbo": 1})


def test_configuration_is_refused_when_a_field_is_missing() -> None:
    with pytest.raises(InputError, match="DecoderConfig lacks the field heads, widths"):
        DecoderConfig.from_json({"encoder_channels": [8, 16, 32, 64]})


def test_configuration_is_refused_when_it_is_no_object() -> None:
    with pytest.raises(InputError, match="HieraConfig must be a JSON object of its fields"):
        HieraConfig.from_json(["embed_dim"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embed_dim": 0}, "embed_dim must be an integer of at least 1, got 0"),
        ({"embed_dim": 8.0}, "embed_dim must be an integer of at least 1, got 8.0"),
        ({"num_heads": True}, "num_heads must be an integer of at least 1, got True"),
        ({"num_heads": 3}, "heads of every stage must divide its channels"),
        ({"stages": (2, 3, 16)}, "stages must be a tuple of 4 integers"),
        ({"stages": [2, 3, 16, 3]}, "stages must be a tuple of 4 integers"),
        ({"stages": (2, 3, 16, 0)}, r"stages\[3\] must be an integer of at least 1"),
        ({"global_att_blocks": (24,)}, "global_att_blocks must be numbers below 24"),
        ({"global_att_blocks": (5,)}, "must not name the first block of a later stage, got 5"),
        ({"global_att_blocks": 12}, "global_att_blocks must be a tuple of integers"),
        ({"window_pos_embed_bkg_spatial_size": (14,)}, "must be a tuple of 2 integers"),
        ({"window_spec": (7, 4, 14, 7)}, r"window_spec\[0\] must divide 8"),
        ({"window_spec": (8, 5, 14, 7)}, "window_spec must be even in the first three stages"),
        ({"q_pool": 2}, "q_pool must be 3 and q_stride"),
        ({"q_stride": (2, 1)}, "q_pool must be 3 and q_stride"),
        ({"dim_mul": 0.5}, "dim_mul must be a number of at least 1, got 0.5"),
        ({"head_mul": "2"}, "head_mul must be a number of at least 1, got '2'"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate must be a number in \[0, 1\), got 1.0"),
    ],
)
def test_encoder_configuration_refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(BASE_PLUS, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_channels": (8, 16, 32)}, "encoder_channels must be a tuple of 4 integers"),
        ({"widths": (448, 224)}, "widths must be a tuple of 3 integers"),
        ({"heads": (8, 4, 3)}, "heads must divide widths"),
        ({"windows": (16, 8, 0)}, r"windows\[2\] must be an integer of at least 1, got 0"),
        ({"depth": 0}, "depth must be an integer of at least 1, got 0"),
        ({"shifted_windows": 1}, "shifted_windows must be true or false, got 1"),
        ({"shifted_windows": True, "depth": 1}, "shifted_windows needs a depth of at least 2"),
        ({"window_position_embedding": None}, "window_position_embedding must be true or false"),
    ],
)
def test_decoder_configuration_refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(DECODER, **change)  # type: ignore[arg-type]
