"""Model files: the way to disk and back, and every way in which one can be broken."""

import json
import random
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from SAMI2ILib.errors import InputError, MissingError, ModelError, OutputError
from SAMI2ILib.weights import (
    EncoderSpec,
    file_sha256,
    read_encoder_spec,
    read_spec,
    read_tensors,
    write_encoder,
    write_model,
)
from SAMI2ILib.weights.header import MAX_DESCRIPTION_BYTES, MAX_HEADER_BYTES
from SAMI2ILib.weights.model_file import MODEL_KEY


def write_raw(path, header, body=b""):
    """Write a safetensors container by hand; `header` is JSON or bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + body)
    return path


def test_model_comes_back_as_it_was_written(tmp_path, make_spec):
    tensors = {
        "half": np.array([[1.5, -2.0]], np.float16),
        "single": np.linspace(0, 1, 7, dtype=np.float32),
        "scalar": np.array(3.0, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "counter": np.array(12, np.int64),
    }
    path = tmp_path / "new" / "model.safetensors"
    write_model(path, make_spec(), tensors)
    assert read_spec(path) == make_spec()
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor, strict=True)


def test_tensor_that_is_a_transposed_view_keeps_its_order(tmp_path, make_spec):
    view = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_model(tmp_path / "m.safetensors", make_spec(), {"w": view})
    assert read_tensors(tmp_path / "m.safetensors")["w"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_tensor_in_big_endian_order_keeps_its_values(tmp_path, make_spec):
    write_model(tmp_path / "m.safetensors", make_spec(), {"w": np.array([1, 2], ">f4")})
    assert read_tensors(tmp_path / "m.safetensors")["w"].tolist() == [1, 2]


def test_bytes_do_not_depend_on_the_order_of_the_tensors(tmp_path, make_spec):
    tensors = {f"t{i}": np.full(i + 1, i, np.float16) for i in range(20)}
    write_model(tmp_path / "a.safetensors", make_spec(), tensors)
    write_model(tmp_path / "b.safetensors", make_spec(), dict(reversed(tensors.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_write_replaces_a_file_and_leaves_nothing_beside_it(tmp_path, make_spec):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    write_model(path, make_spec(), {"w": np.ones(1, np.float16)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]
    assert read_tensors(path)["w"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (np.ones(2), "has dtype float64; expected one of float16, float32, int64"),
        (np.array([1, np.nan], np.float16), "holds NaN or infinity"),
        (np.array([np.inf], np.float32), "holds NaN or infinity"),
    ],
)
def test_write_refuses_a_tensor_and_keeps_the_old_file(tmp_path, make_spec, tensor, sentence):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=rf"tensors\['w'\] {sentence}"):
        write_model(path, make_spec(), {"w": tensor})
    assert path.read_bytes() == b"old"


def test_write_refuses_a_model_without_weights(tmp_path, make_spec):
    with pytest.raises(InputError, match="tensors must hold the weights"):
        write_model(tmp_path / "m.safetensors", make_spec(), {})


def test_write_refuses_a_description_that_breaks_the_schema(tmp_path, make_spec):
    with pytest.raises(ModelError, match="id: 'No Path'"):
        write_model(tmp_path / "m.safetensors", make_spec(id="No Path"), {})
    assert list(tmp_path.iterdir()) == []


def test_write_refuses_a_description_that_could_not_be_read(tmp_path, make_spec):
    from SAMI2ILib.weights import Training

    recipe = {"subjects": ["x" * 4000] * 300}
    with pytest.raises(ModelError, match=f"at most {MAX_DESCRIPTION_BYTES} fit"):
        write_model(
            tmp_path / "m.safetensors",
            make_spec(training=Training(recipe=recipe)),
            {"w": np.ones(1, np.float16)},
        )


def test_write_says_that_the_folder_cannot_be_made(tmp_path, make_spec):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        write_model(tmp_path / "file" / "m.safetensors", make_spec(), {"w": np.ones(1, np.float16)})


def test_reading_a_description_does_not_read_the_tensors(make_model):
    path = make_model()
    content = bytearray(path.read_bytes())
    content[-12:] = b"\xff" * 12  # all tensor bytes: NaN
    path.write_bytes(content)
    assert read_spec(path).id == "mine-t1-t2"
    with pytest.raises(ModelError, match=r"'decoder\.weight' of .* holds NaN or infinity"):
        read_tensors(path)


@pytest.mark.fault("model-truncated")
def test_truncated_file_is_refused_at_every_length(make_model, tmp_path):
    content = make_model().read_bytes()
    short = tmp_path / "short.safetensors"
    for size in (*range(20), *range(20, len(content), 37), len(content) - 1):
        short.write_bytes(content[:size])
        with pytest.raises(ModelError, match=r"truncated|not a safetensors file|is empty"):
            read_spec(short)
        with pytest.raises(ModelError, match=r"truncated|not a safetensors file|is empty"):
            read_tensors(short)


def test_truncated_file_says_how_much_is_missing(make_model):
    path = make_model()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelError, match=f"it has {size - 3} bytes, its header promises {size}"):
        read_spec(path)


def test_file_with_more_bytes_than_promised_is_refused(make_model):
    path = make_model()
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ModelError, match="is damaged: it has"):
        read_spec(path)


def test_flipped_bits_of_the_header_never_raise_anything_but_our_errors(make_model, tmp_path):
    content = make_model().read_bytes()
    header_end = 8 + struct.unpack("<Q", content[:8])[0]
    draw = random.Random(0)
    damaged = tmp_path / "damaged.safetensors"
    refused = 0
    for _ in range(300):
        flipped = bytearray(content)
        flipped[draw.randrange(header_end)] ^= 1 << draw.randrange(8)
        damaged.write_bytes(flipped)
        try:
            read_spec(damaged)
            read_tensors(damaged)
        except ModelError:
            refused += 1
    # The rest changed a letter of a text or a name, which only the recorded hash can tell.
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"short", "is not a safetensors file"),
        (b"\x1f\x8b\x08\x00" + bytes(100), "is not a safetensors file"),
        (b"PK\x03\x04" + bytes(100), "is not a safetensors file"),
        (b"plain text, long enough to be one", "is not a safetensors file"),
        (bytes(50), "is not a safetensors file"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{", f"at most {MAX_HEADER_BYTES} are allowed"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path, content, sentence):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=sentence):
        read_spec(path)


TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"{nonsense}", "it is not JSON"),
        (b'{"a":' * 50_000, "it is not JSON"),
        (b'{"\xff": 1}', "it is not JSON"),
        ({"w": 3}, "tensor 'w' has no place"),
        ({"w": {"data_offsets": [0]}}, "tensor 'w' has no place"),
        ({"w": {"data_offsets": [0, -4]}}, "tensor 'w' has no place"),
        ({"w": {"data_offsets": [0, True]}}, "tensor 'w' has no place"),
        ({"w": TENSOR, "__metadata__": []}, "its metadata is no text"),
        ({"w": TENSOR, "__metadata__": {"a": 1}}, "its metadata is no text"),
        (
            {"w": TENSOR, "__metadata__": {"a": "x" * (MAX_DESCRIPTION_BYTES + 1)}},
            f"at most {MAX_DESCRIPTION_BYTES} are allowed",
        ),
    ],
)
def test_damaged_header_is_refused(tmp_path, header, sentence):
    path = write_raw(tmp_path / "m.safetensors", header, bytes(4))
    with pytest.raises(ModelError, match=sentence):
        read_spec(path)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 4]},
        {"shape": [1], "data_offsets": [0, 4]},
        {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]},
    ],
)
def test_tensor_that_does_not_fit_its_place_is_refused(tmp_path, make_spec, tensor):
    header = {"__metadata__": {MODEL_KEY: make_spec().to_json()}, "w": tensor}
    path = write_raw(tmp_path / "m.safetensors", header, bytes(4))
    with pytest.raises(ModelError, match=r"cannot be read|has dtype"):
        read_tensors(path)


def test_file_of_another_tool_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"w": np.ones(1, np.float32)}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="its metadata has no 'sami2i-model'"):
        read_spec(path)
    with pytest.raises(ModelError, match="its metadata has no 'sami2i-encoder'"):
        read_encoder_spec(path)


@pytest.mark.parametrize("text", ["no json", "{}", '{"format_version": 1}'])
def test_description_that_is_none_is_refused_with_the_files_name(tmp_path, text):
    path = tmp_path / "m.safetensors"
    save_file({"w": np.ones(1, np.float32)}, path, metadata={MODEL_KEY: text})
    with pytest.raises(ModelError, match=r"m\.safetensors: the model description is not valid"):
        read_spec(path)


def test_encoder_is_not_taken_for_a_model(make_encoder):
    with pytest.raises(ModelError, match="is an encoder that models share, not a model"):
        read_spec(make_encoder())


def test_encoder_comes_back_as_it_was_written(tmp_path):
    spec = EncoderSpec(id="shared", title="Shared", hiera={"embed_dim": 8}, license="MIT")
    write_encoder(tmp_path / "e.safetensors", spec, {"w": np.ones(2, np.float16)})
    assert read_encoder_spec(tmp_path / "e.safetensors") == spec


def test_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(MissingError, match="There is no file"):
        read_spec(tmp_path / "nothing.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        file_sha256(tmp_path / "nothing.safetensors")


def test_folder_is_not_taken_for_a_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_spec(tmp_path)


def test_full_disk_is_said_and_leaves_nothing(tmp_path, make_spec, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_model(tmp_path / "m.safetensors", make_spec(), {"w": np.ones(1, np.float16)})
    assert list(tmp_path.iterdir()) == []


def test_hash_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == expected
