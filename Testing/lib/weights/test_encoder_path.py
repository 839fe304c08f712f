"""Where a model's encoder is looked for, and what is said when it is not there."""

import pytest

from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.weights import EncoderReference, file_sha256


def test_encoder_path_prefers_the_users_file(store, bundled, make_encoder):
    make_encoder(folder=bundled)
    user = make_encoder(folder=store.root)
    reference = EncoderReference(kind="store", name="shared", sha256=file_sha256(user))
    assert store.encoder_path(reference) == user


def test_encoder_path_takes_the_bundled_file_with_the_right_hash(store, bundled, make_encoder):
    ours = make_encoder(folder=bundled)
    make_encoder(folder=store.root, value=2)
    reference = EncoderReference(kind="store", name="shared", sha256=file_sha256(ours))
    assert store.encoder_path(reference) == ours


def test_encoder_path_looks_beside_the_model_first(store, tmp_path, make_encoder):
    beside = make_encoder(folder=tmp_path / "run")
    make_encoder(folder=store.root, value=2)
    reference = EncoderReference(kind="store", name="shared", sha256=file_sha256(beside))
    assert store.encoder_path(reference, beside=tmp_path / "run") == beside


def test_encoder_path_refuses_another_file_of_that_name(store, make_encoder):
    store.add(make_encoder())
    reference = EncoderReference(kind="store", name="shared", sha256="0" * 64)
    with pytest.raises(ModelError, match="not the one that the model was trained with"):
        store.encoder_path(reference)


def test_encoder_path_gives_the_command_that_gets_a_checkpoint(store):
    reference = EncoderReference(kind="public", name="sam2.1_hiera_base_plus", sha256="0" * 64)
    with pytest.raises(MissingError, match="is not there") as caught:
        store.encoder_path(reference)
    assert "`sami2i models download sam2.1_hiera_base_plus`" in caught.value.hint


@pytest.mark.parametrize("kind", ["store", "public"])
def test_encoder_path_says_how_to_bring_a_file(store, kind):
    reference = EncoderReference(kind=kind, name="shared", sha256="0" * 64)
    with pytest.raises(MissingError, match=r"`sami2i models add FILE`"):
        store.encoder_path(reference)


@pytest.mark.parametrize("kind", ["none", "embedded"])
def test_encoder_path_refuses_an_encoder_without_a_file(store, kind):
    with pytest.raises(InputError, match="has no file of its own"):
        store.encoder_path(EncoderReference(kind=kind))


def test_encoder_path_finds_a_public_checkpoint(store, make_checkpoint):
    added = store.add(make_checkpoint())
    reference = EncoderReference(kind="public", name="sam2.1_hiera_tiny", sha256=added.sha256)
    assert store.encoder_path(reference) == added.path
