"""Whatever a model file says of itself, it becomes a model, or a sentence of ours; never a path."""

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.inference.output_files import read_record
from SAMI2ILib.weights import ModelSpec, Store
from SAMI2ILib.weights.store_index import read_index, write_index

few = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
text = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
PATHS = ["../x", "..\\x", "/etc/x", "C:\\x", "a/b", "~", "..", ".", "con", "x\0y", "\u202ex", "x\n"]


def write_described(path, description):
    """A safetensors file without tensors, whose description is any text."""
    raw = json.dumps({"__metadata__": {"sami2i-model": description}}).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    return path


def check_line(text):
    assert "\n" not in text


@given(
    field=st.sampled_from(
        ["id", "title", "family", "encoder", "decoder", "preprocessing", "training", "metrics",
         "license", "format_version", "content_sha256", "source_contrast", "anything"]
    ),
    value=json_values,
)  # fmt: skip
@few
def test_description_with_any_value_in_any_field(make_spec, field, value):
    document = json.loads(make_spec().to_json()) | {field: value}
    try:
        spec = ModelSpec.from_json(json.dumps(document))
    except ModelError as error:
        check_line(str(error))
    else:
        assert isinstance(spec.title, str)
        assert spec.format_version == 1


@given(description=text | json_values.map(json.dumps))
@few
def test_description_of_any_text_is_listed_as_damaged(tmp_path, description):
    root = tmp_path / "listed"
    root.mkdir(exist_ok=True)
    write_described(root / "x.safetensors", description)
    (entry,) = Store(root, bundled=tmp_path / "none").list()
    assert entry.id == "x"
    assert "\n" not in entry.problem


@pytest.mark.parametrize("name", PATHS)
def test_id_or_encoder_that_is_a_path_is_refused(store, make_spec, tmp_path, name):
    document = json.loads(make_spec().to_json())
    encoder = {"kind": "store", "name": name, "sha256": "ab" * 32, "hiera": {}}
    for changed in ({"id": name}, {"encoder": encoder}):
        path = write_described(tmp_path / "x.safetensors", json.dumps(document | changed))
        with pytest.raises(ModelError, match="the model description is not valid"):
            store.add(path)
    assert not store.root.exists()


@given(name=text)
@few
def test_reference_of_any_text_never_leaves_the_store(store, name):
    with pytest.raises((MissingError, InputError, ModelError)) as caught:
        store.find(name)
    check_line(str(caught.value).replace(name, ""))


@given(document=json_values)
@few
def test_index_of_any_json_loses_no_model(store, make_model, document):
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / "index.json").write_text(json.dumps(document), encoding="utf-8")
    make_model(folder=store.root)
    assert [model.id for model in store.list()] == ["mine-t1-t2"]
    write_index(store.root, read_index(store.root))
    assert read_index(store.root).problem == ""


@given(document=json_values)
@few
def test_record_of_any_json_is_one_of_ours_or_none(tmp_path, document):
    (tmp_path / "x.json").write_text(json.dumps(document), encoding="utf-8")
    record = read_record(tmp_path / "x.json")
    assert record is None or record["synthetic"] is True


@pytest.mark.fault("model-bit-flipped")
def test_flipped_bit_anywhere_in_a_model_is_noticed(make_model, tmp_path):
    """Every byte of the file, one bit each: length, names, description, weights."""
    from SAMI2ILib.weights import read_model

    content = make_model().read_bytes()
    flipped = tmp_path / "flipped.safetensors"
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        flipped.write_bytes(changed)
        with pytest.raises(ModelError, match=str(flipped)):
            read_model(flipped)
