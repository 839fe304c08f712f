"""From a model file to a network that runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from SAMI2ILib.errors import MissingError, ModelError
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.models import HIERA_VARIANTS, DecoderConfig
from SAMI2ILib.weights import (
    EncoderReference,
    EncoderSpec,
    file_sha256,
    read_spec,
    read_tensors,
    write_encoder,
    write_model,
)


@pytest.fixture
def tiny(tiny_model_file):
    return read_spec(tiny_model_file), read_tensors(tiny_model_file)


def test_loaded_network_computes_what_was_saved(tiny_model_file):
    model = load_model(tiny_model_file)
    assert (model.spec.id, model.sha256) == ("tiny-t1-t2", file_sha256(tiny_model_file))
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    slices = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, second = model.network(slices), load_model(tiny_model_file).network(slices)
    assert torch.equal(first, second)
    assert first.shape == (2, 1, 64, 64)


def test_shared_encoder_is_found_beside_the_model(tiny, tmp_path):
    spec, tensors = tiny
    encoder = {
        n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")
    }
    decoder = {n: t for n, t in tensors.items() if n.startswith("decoder.")}
    path = tmp_path / "shared-encoder.safetensors"
    write_encoder(
        path,
        EncoderSpec(id="shared-encoder", title="x", hiera=spec.encoder.hiera, license="Apache-2.0"),
        encoder,
    )
    reference = EncoderReference(
        kind="store", name="shared-encoder", sha256=file_sha256(path), hiera=spec.encoder.hiera
    )
    write_model(tmp_path / "m.safetensors", replace(spec, encoder=reference), decoder)
    model = load_model(tmp_path / "m.safetensors")
    assert model.encoder_sha256 == file_sha256(path)

    path.unlink()
    with pytest.raises(MissingError, match="shared-encoder"):
        load_model(tmp_path / "m.safetensors")


def test_public_encoder_that_is_not_there_names_the_download(tiny, tmp_path):
    spec, tensors = tiny
    reference = EncoderReference(
        kind="public",
        name="sam2.1_hiera_tiny",
        sha256="0" * 64,
        hiera=HIERA_VARIANTS["tiny"].to_json(),
    )
    decoder = DecoderConfig.for_encoder(HIERA_VARIANTS["tiny"]).to_json()
    write_model(
        tmp_path / "m.safetensors", replace(spec, encoder=reference, decoder=decoder), tensors
    )
    with pytest.raises(MissingError, match=r"sami2i models download sam2\.1_hiera_tiny"):
        load_model(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit_the_description_are_refused(tiny, tmp_path):
    spec, tensors = tiny
    name = next(n for n in tensors if n.startswith("decoder."))
    del tensors[name]
    write_model(tmp_path / "m.safetensors", spec, tensors)
    with pytest.raises(ModelError, match=name.removeprefix("decoder.")):
        load_model(tmp_path / "m.safetensors")


def test_description_of_an_impossible_network_is_refused(tiny, tmp_path):
    spec, tensors = tiny
    decoder = {**spec.decoder, "heads": [3, 3, 3]}
    write_model(tmp_path / "m.safetensors", replace(spec, decoder=decoder), tensors)
    with pytest.raises(ModelError, match="describes a network that cannot be built"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "greedy",
    [
        {"embed_dim": 4096},  # some 10 GB
        {"embed_dim": 65536, "dim_mul": 8},  # more than any machine has
        {"stages": [1, 1, 65535, 1]},  # small ones without end
    ],
)
def test_description_of_a_huge_network_is_refused_before_it_takes_memory(tiny, tmp_path, greedy):
    spec, tensors = tiny
    encoder = replace(spec.encoder, hiera={**spec.encoder.hiera, **greedy})
    write_model(tmp_path / "m.safetensors", replace(spec, encoder=encoder), tensors)
    with pytest.raises(ModelError, match="describes a network that cannot be built"):
        load_model(tmp_path / "m.safetensors")


def test_encoder_without_arguments_is_refused(tiny, tmp_path):
    spec, tensors = tiny
    broken = replace(spec, encoder=EncoderReference(kind="embedded"))
    write_model(tmp_path / "m.safetensors", broken, tensors)
    with pytest.raises(ModelError, match="does not say which Hiera encoder"):
        load_model(tmp_path / "m.safetensors")


def test_float16_weights_are_loaded_as_float32(tiny, tmp_path):
    spec, tensors = tiny
    half = {name: value.astype(np.float16) for name, value in tensors.items()}
    write_model(tmp_path / "m.safetensors", spec, half)
    network = load_model(tmp_path / "m.safetensors").network
    assert {p.dtype for p in network.parameters()} == {torch.float32}
