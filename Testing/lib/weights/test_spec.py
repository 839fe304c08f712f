"""Descriptions: what the schema takes, what it refuses, and in which words."""

import json

import pytest
from jsonschema import Draft202012Validator

from SAMI2ILib.about import INTENDED_USE, VERSION
from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import ModelError
from SAMI2ILib.weights import (
    EncoderReference,
    EncoderSpec,
    Metric,
    ModelSpec,
    Normalization,
    Preprocessing,
    Training,
    TrainingData,
)
from SAMI2ILib.weights.spec import FAMILIES


def changed(spec, path, value):
    """Give the JSON of a spec with one field set; `path` is dotted."""
    document = json.loads(spec.to_json())
    *parents, last = path.split(".")
    place = document
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[last] = value
    return json.dumps(document)


@pytest.fixture
def full_spec(make_spec):
    return make_spec(
        encoder=EncoderReference(
            kind="public",
            name="sam2.1_hiera_tiny",
            sha256="ab" * 32,
            hiera={"embed_dim": 96, "stages": [1, 2, 7, 2], "dim_mul": 2.0},
        ),
        decoder={"widths": [384, 192, 96], "depth": 2, "shifted": False, "norm": "layer"},
        preprocessing=Preprocessing(
            orientation="RAS",
            spacing_mm=0.9375,
            size=512,
            normalization=Normalization(percentile=99.0),
            context_slices=3,
            skull="removed",
        ),
        training=Training(
            data=(TrainingData(name="IXI", license="CC-BY-SA-3.0", subjects=581, note="Guys"),),
            recipe={"steps": 10, "data": [{"name": "ixi", "only": []}], "note": None},
        ),
        metrics=(
            Metric(name="PSNR", value=27.5, data="IXI test", unit="dB", region="brain", subjects=9),
            Metric(name="SSIM", value=0.9, data="IXI test", standard_deviation=0.01),
        ),
    )


def test_spec_is_the_same_after_json(full_spec):
    assert ModelSpec.from_json(full_spec.to_json()) == full_spec


def test_encoder_spec_is_the_same_after_json():
    spec = EncoderSpec(
        id="shared",
        title="Shared",
        hiera={"embed_dim": 32, "stages": [1, 1, 3, 1]},
        license="Apache-2.0",
        training=Training(data=(TrainingData(name="simulated"),)),
    )
    assert EncoderSpec.from_json(spec.to_json()) == spec


def test_spec_carries_version_and_intended_use_by_itself(make_spec):
    spec = make_spec()
    assert (spec.software_version, spec.intended_use) == (VERSION, INTENDED_USE)


def test_json_does_not_depend_on_the_order_of_a_recipe(make_spec):
    first = make_spec(training=Training(recipe={"a": 1, "b": 2}))
    second = make_spec(training=Training(recipe={"b": 2, "a": 1}))
    assert first.to_json() == second.to_json()


@pytest.mark.parametrize("name", ["model", "encoder"])
def test_schema_is_valid_json_schema(name):
    text = asset_path("schema", f"{name}-1.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(json.loads(text))


def test_schema_and_code_know_the_same_families():
    text = asset_path("schema", "model-1.json").read_text(encoding="utf-8")
    assert tuple(json.loads(text)["properties"]["family"]["enum"]) == FAMILIES


@pytest.mark.parametrize("value", ["a", "sam-i2i_t1.t2-0", "9", "a" * 64, "contrast", "com10"])
def test_id_may_be_a_plain_file_name(make_spec, value):
    assert make_spec(id=value).to_json()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 65,
        "A",
        "../a",
        "a/b",
        "a\\b",
        ".a",
        "-a",
        "a b",
        "a\n",
        "ä",
        "con",
        "nul.x",
        "c:a",
    ],
)
def test_id_that_is_no_file_name_is_refused(make_spec, value):
    with pytest.raises(ModelError, match=r"model description is not valid: id: "):
        make_spec(id=value).to_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format_version", 0),
        ("format_version", "1"),
        ("title", ""),
        ("title", "a\nb"),
        ("title", "a\n"),
        ("title", "bell \x07"),
        ("title", "turned \u202e round"),
        ("title", "half \ud800"),
        ("title", "x" * 201),
        ("source_contrast", "T 1"),
        ("source_contrast", ""),
        ("target_contrast", "../T2"),
        ("license", ""),
        ("intended_use", "\x1b[31m"),
        ("decoder", []),
        ("decoder.Depth", 1),
        ("decoder.depth", 65537),
        ("decoder.depth", [[65537]]),
        ("decoder.depth", "rm -rf /"),
        ("decoder.depth", [0] * 257),
        ("encoder.kind", "remote"),
        ("encoder.sha256", "AB" * 32),
        ("encoder.sha256", ""),
        ("encoder.name", ""),
        ("encoder.name", "../x"),
        ("encoder.hiera", 3),
        ("encoder.url", "https://x"),
        ("preprocessing.orientation", "LLS"),
        ("preprocessing.orientation", "XYZ"),
        ("preprocessing.spacing_mm", 0),
        ("preprocessing.spacing_mm", 11),
        ("preprocessing.size", 250),
        ("preprocessing.size", 8192),
        ("preprocessing.size", 256.5),
        ("preprocessing.normalization.method", "z-score"),
        ("preprocessing.normalization.percentile", 101),
        ("preprocessing.context_slices", 2),
        ("preprocessing.skull", "yes"),
        ("preprocessing.more", 1),
        ("training.data.0.subjects", -1),
        ("training.data.0.name", ""),
        ("training.recipe.note", "a\x00b"),
        ("training.recipe.note", {"a\nb": 1}),
        ("training.extra", 1),
        ("metrics", {}),
        ("metrics.0.value", "27"),
        ("metrics.1.standard_deviation", -1),
        ("extra", 1),
    ],
)
def test_field_outside_the_schema_is_refused_by_name(full_spec, path, value):
    text = changed(full_spec, path, value)
    with pytest.raises(ModelError, match="FILE: the model description is not valid") as caught:
        ModelSpec.from_json(text, "FILE")
    named = path.removesuffix(".more").removesuffix(".url").removesuffix(".extra")
    first = named.split(".", maxsplit=1)[0]
    assert first in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


def test_family_that_is_not_known_is_refused_with_the_known_ones(make_spec):
    text = changed(make_spec(), "family", "diffusion")
    with pytest.raises(ModelError, match=r"family: 'diffusion' is not one of \['sam-i2i', 'unet'"):
        ModelSpec.from_json(text)


@pytest.mark.parametrize("field", ["family", "encoder", "preprocessing", "intended_use"])
def test_field_that_is_missing_is_refused_by_name(make_spec, field):
    document = json.loads(make_spec().to_json())
    del document[field]
    with pytest.raises(ModelError, match=f"'{field}' is a required property"):
        ModelSpec.from_json(json.dumps(document))


@pytest.mark.parametrize("kind", ["public", "store"])
def test_encoder_in_another_file_needs_its_hash(make_spec, kind):
    with pytest.raises(ModelError, match=r"encoder\.sha256"):
        make_spec(encoder=EncoderReference(kind=kind, name="shared")).to_json()


def test_newer_format_is_refused_before_its_unknown_fields_are(make_spec):
    document = json.loads(make_spec().to_json()) | {"format_version": 2, "new": True}
    with pytest.raises(ModelError, match=r"newer version .*format 2; this one reads 1") as caught:
        ModelSpec.from_json(json.dumps(document))
    assert caught.value.hint == "Update SAM-I2I."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be a JSON object, not list"),
        ('"a"', "must be a JSON object, not str"),
        ('{"format_version": NaN}', "NaN is not a JSON number"),
        ('{"format_version": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
)
def test_text_that_is_no_description_is_refused(text, sentence):
    with pytest.raises(ModelError, match=sentence):
        ModelSpec.from_json(text)


def test_nesting_without_end_is_refused(make_spec):
    deep = "[" * 900 + "]" * 900
    text = make_spec().to_json().replace('"recipe":{}', f'"recipe":{{"a":{deep}}}')
    with pytest.raises(ModelError, match=r"nested too deeply|not valid JSON"):
        ModelSpec.from_json(text)


def test_infinite_metric_is_refused(make_spec):
    metric = Metric(name="PSNR", value=float("inf"), data="x")
    with pytest.raises(ModelError, match="Infinity is not a JSON number"):
        make_spec(metrics=(metric,)).to_json()


def test_recipe_that_is_not_json_is_refused(make_spec):
    with pytest.raises(ModelError, match="holds something that is not JSON"):
        make_spec(training=Training(recipe={"folder": object()})).to_json()
