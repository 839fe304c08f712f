"""Official checkpoints: the table, how one is recognized, and the hash of the first one seen."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from SAMI2ILib.errors import InputError, ModelError, NetworkError
from SAMI2ILib.models import HIERA_VARIANTS
from SAMI2ILib.weights import file_sha256
from SAMI2ILib.weights.fetch import fetch_checkpoint, fetch_model
from SAMI2ILib.weights.public_checkpoints import (
    PUBLIC_CHECKPOINTS,
    check_checkpoint,
    find_checkpoint,
)

TINY = PUBLIC_CHECKPOINTS["sam2.1_hiera_tiny"]


@pytest.fixture
def served_tiny(server, make_checkpoint):
    """The tiny checkpoint at an address of the tests' server."""
    server.content = make_checkpoint().read_bytes()
    return replace(TINY, url=server.url("tiny.pt"))


def test_table_has_both_releases_in_four_sizes():
    sizes = ("tiny", "small", "base_plus", "large")
    assert list(PUBLIC_CHECKPOINTS) == [
        f"{release}_hiera_{size}" for release in ("sam2.1", "sam2") for size in sizes
    ]
    assert find_checkpoint("sam2.1_hiera_base_plus").url == (
        "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt"
    )
    assert find_checkpoint("sam2_hiera_large").url == (
        "https://dl.fbaipublicfiles.com/segment_anything_2/072824/sam2_hiera_large.pt"
    )


def test_table_agrees_with_the_trunks():
    for checkpoint in PUBLIC_CHECKPOINTS.values():
        trunk = HIERA_VARIANTS[checkpoint.name.partition("hiera_")[2]]
        assert (checkpoint.embed_dim, checkpoint.blocks) == (trunk.embed_dim, sum(trunk.stages))


def test_unknown_checkpoint_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no public checkpoint 'sam3'") as caught:
        find_checkpoint("sam3")
    assert "sam2.1_hiera_tiny" in caught.value.hint


def test_check_accepts_the_right_variant(make_checkpoint):
    check_checkpoint(make_checkpoint(), TINY)


def test_check_refuses_another_variant(make_checkpoint):
    path = make_checkpoint(embed_dim=112, blocks=24)
    with pytest.raises(ModelError, match="trunk is 112 wide with 24 blocks, expected 96 and 12"):
        check_checkpoint(path, TINY)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"weights": {}}, "has no entry 'model'"),
        ({"model": 3}, "has no entry 'model'"),
        ([1, 2], "has no entry 'model'"),
        ({"model": {}}, "trunk is 0 wide with 0 blocks"),
        ({"model": torch.nn.Linear(1, 1)}, "PyTorch cannot read it"),
    ],
)
def test_check_refuses_another_content(tmp_path, content, sentence):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(ModelError, match=sentence):
        check_checkpoint(tmp_path / "file.pt", TINY)


def test_check_refuses_a_page_instead_of_a_file(tmp_path):
    (tmp_path / "file.pt").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(ModelError, match="it is not a PyTorch file"):
        check_checkpoint(tmp_path / "file.pt", TINY)


def test_check_looks_at_the_container_only_when_torch_is_missing(
    make_checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    check_checkpoint(make_checkpoint(blocks=3), TINY)
    (tmp_path / "file.pt").write_bytes(b"text")
    with pytest.raises(ModelError, match="it is not a PyTorch file"):
        check_checkpoint(tmp_path / "file.pt", TINY)


def test_add_takes_an_official_checkpoint_from_a_file(store, make_checkpoint):
    added = store.add(make_checkpoint())
    assert (added.kind, added.path) == ("checkpoint", store.root / "sam2.1_hiera_tiny.pt")
    assert list(store.checkpoints()) == [added.path]
    assert store.record_of("sam2.1_hiera_tiny").sha256 == added.sha256
    assert store.verify("sam2.1_hiera_tiny").recorded_sha256 == added.sha256


def test_add_refuses_a_checkpoint_of_another_name(store, make_checkpoint):
    with pytest.raises(InputError, match="There is no public checkpoint 'best'"):
        store.add(make_checkpoint("best"))


def test_hash_of_the_first_checkpoint_outlives_its_removal(store, make_checkpoint):
    store.add(make_checkpoint())
    store.remove("sam2.1_hiera_tiny")
    assert list(store.checkpoints()) == []
    with pytest.raises(ModelError, match="is not the file that was seen first on 20"):
        store.add(make_checkpoint(value=1))
    assert not store.add(make_checkpoint()).was_there


def test_first_download_records_the_hash_and_the_second_needs_no_network(
    store, server, served_tiny
):
    seen = []
    first = fetch_checkpoint(
        store, served_tiny, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (len(server.content), len(server.content))
    assert first.path.read_bytes() == server.content
    assert not any((store.root / "downloads").iterdir())
    server.status = 500
    assert fetch_checkpoint(store, served_tiny).was_there
    assert len(server.requests) == 1


def test_removed_checkpoint_can_be_downloaded_again(store, server, served_tiny):
    sha256 = fetch_checkpoint(store, served_tiny).sha256
    store.remove(served_tiny.name)
    again = fetch_checkpoint(store, served_tiny)
    assert (again.sha256, again.was_there) == (sha256, False)


def test_damaged_checkpoint_is_downloaded_again(store, server, served_tiny):
    path = fetch_checkpoint(store, served_tiny).path
    path.write_bytes(b"damaged")
    assert not fetch_checkpoint(store, served_tiny).was_there
    assert path.read_bytes() == server.content


def test_later_download_of_another_file_is_refused(store, server, served_tiny, make_checkpoint):
    fetch_checkpoint(store, served_tiny)
    store.remove(served_tiny.name)
    server.content, server.etag = make_checkpoint(value=1).read_bytes(), '"two"'
    with pytest.raises(NetworkError, match="sent another file than expected"):
        fetch_checkpoint(store, served_tiny)
    assert list(store.checkpoints()) == []


def test_first_download_of_something_else_is_refused_and_not_recorded(store, server, served_tiny):
    server.content = b"<html>Please log in</html>"
    with pytest.raises(ModelError, match=r"is not the checkpoint sam2\.1_hiera_tiny"):
        fetch_checkpoint(store, served_tiny)
    assert store.record_of(served_tiny.name) is None
    assert not any((store.root / "downloads").iterdir())


def test_model_is_downloaded_by_address_and_hash(store, server, make_model):
    path = make_model()
    server.content = path.read_bytes()
    added = fetch_model(store, server.url("m.safetensors?key=secret"), file_sha256(path))
    assert store.find("mine-t1-t2").path == added.path
    assert store.verify("mine-t1-t2").recorded_sha256 == file_sha256(path)
    assert "secret" not in (store.root / "index.json").read_text()


def test_model_of_the_same_id_is_replaced_only_when_told(store, server, make_model):
    store.add(make_model())
    path = make_model(value=2)
    server.content, sha256 = path.read_bytes(), file_sha256(path)
    with pytest.raises(InputError, match="A different file with the id"):
        fetch_model(store, server.url(), sha256)
    assert not any((store.root / "downloads").iterdir())
    assert fetch_model(store, server.url(), sha256, replace=True).sha256 == sha256


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "0" * 63, "0" * 64 + "\n0"])
def test_model_by_address_needs_a_hash(store, server, sha256):
    with pytest.raises(InputError, match="sha256 must be 64 hexadecimal digits"):
        fetch_model(store, server.url(), sha256)
    assert server.requests == []


class WritesWhenUnpickled:
    """What a pickle can do: run any function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_checkpoint_that_would_run_code_is_refused_and_runs_nothing(tmp_path):
    path, trace = tmp_path / "sam2.1_hiera_tiny.pt", tmp_path / "trace"
    torch.save({"model": WritesWhenUnpickled(trace)}, path)
    with pytest.raises(ModelError, match=r"sam2\.1_hiera_tiny"):
        check_checkpoint(path, TINY)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the trap is one
    assert trace.exists()
