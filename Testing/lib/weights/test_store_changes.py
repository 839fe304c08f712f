"""The store: what it takes in, gives away and checks, and its index."""

import json
from pathlib import Path

import pytest

from SAMI2ILib.errors import InputError, MissingError, ModelError, OutputError
from SAMI2ILib.weights import EncoderReference, Store, file_sha256
from Testing.lib.files import names_in


def damage(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the sign or exponent of the last weight
    path.write_bytes(content)


def test_add_copies_the_file_under_its_id_and_records_its_hash(store, make_model):
    path = make_model().rename(make_model().with_name("Some Name.safetensors"))
    added = store.add(path)
    assert added.path == store.root / "mine-t1-t2.safetensors"
    assert (added.kind, added.id, added.was_there) == ("model", "mine-t1-t2", False)
    assert added.path.read_bytes() == path.read_bytes()
    assert names_in(store.root) == ["index.json", "mine-t1-t2.safetensors"]
    record = json.loads((store.root / "index.json").read_text())["files"][added.path.name]
    assert record["sha256"] == added.sha256 == file_sha256(path)
    assert record["source"] == "Some Name.safetensors"


def test_add_takes_the_same_file_twice(store, make_model):
    store.add(make_model())
    assert store.add(make_model()).was_there


def test_add_refuses_a_different_file_of_the_same_id_unless_told(store, make_model):
    old = store.add(make_model())
    with pytest.raises(InputError, match="A different file with the id 'mine-t1-t2'"):
        store.add(make_model(value=2))
    assert file_sha256(old.path) == old.sha256
    new = store.add(make_model(value=2), replace=True)
    assert store.verify("mine-t1-t2").sha256 == new.sha256 != old.sha256


def test_add_replaces_a_file_of_the_same_id_under_another_name(store, make_model):
    make_model(folder=store.root).rename(store.root / "by-hand.safetensors")
    store.add(make_model(value=2), replace=True)
    assert names_in(store.root) == ["index.json", "mine-t1-t2.safetensors"]


def test_add_refuses_the_id_of_a_bundled_model(store, bundled, make_model):
    make_model(folder=bundled)
    with pytest.raises(InputError, match="belongs to a model that comes with the software"):
        store.add(make_model(value=2), replace=True)
    assert not store.root.exists()


def test_add_does_not_copy_what_comes_with_the_software(store, bundled, make_model):
    path = make_model(folder=bundled)
    assert store.add(make_model()).path == path
    assert not store.root.exists()


def test_add_refuses_a_damaged_file_and_writes_nothing(store, make_model):
    path = make_model()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="truncated"):
        store.add(path)
    assert not store.root.exists()


def test_add_refuses_weights_that_are_not_finite(store, make_model):
    path = make_model()
    path.write_bytes(path.read_bytes()[:-2] + b"\x00\x7c")  # float16 infinity
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        store.add(path)


def test_add_says_that_the_file_is_missing(store, tmp_path):
    with pytest.raises(MissingError, match="There is no file"):
        store.add(tmp_path / "nothing.safetensors")


def test_add_notices_a_file_that_changes_while_it_is_copied(store, make_model, monkeypatch):
    import shutil

    path = make_model()
    copy = shutil.copyfile

    def change_and_copy(source, target):
        damage(path)
        copy(source, target)

    monkeypatch.setattr("shutil.copyfile", change_and_copy)
    with pytest.raises(InputError, match="changed while it was copied"):
        store.add(path)
    assert names_in(store.root) == []


def test_add_says_that_the_store_cannot_be_made(tmp_path, bundled, make_model):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        Store(tmp_path / "file" / "models", bundled).add(make_model())


def test_add_says_that_a_folder_is_in_the_way(store, make_model):
    (store.root / "mine-t1-t2.safetensors" / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read"):
        store.add(make_model(), replace=True)


def test_add_says_that_the_file_cannot_be_moved(store, make_model, monkeypatch):
    path = make_model()

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match=r"cannot be written \(in use\)"):
        store.add(path, move=True)


def test_remove_deletes_the_file_and_its_record(store, make_model):
    path = store.add(make_model()).path
    assert store.remove("mine-t1-t2") == path
    assert not path.exists()
    assert json.loads((store.root / "index.json").read_text())["files"] == {}


def test_remove_deletes_a_damaged_file(store):
    store.root.mkdir(parents=True)
    (store.root / "broken.safetensors").write_bytes(b"x")
    store.remove("broken")
    assert list(store.list()) == []


def test_remove_refuses_what_comes_with_the_software(store, bundled, make_model):
    path = make_model(folder=bundled)
    with pytest.raises(InputError, match="comes with the software and cannot be removed"):
        store.remove("mine-t1-t2")
    assert path.exists()


def test_remove_says_that_there_is_no_such_model(store):
    with pytest.raises(MissingError, match="There is no model 'other'"):
        store.remove("other")


def test_remove_keeps_an_encoder_that_a_model_needs(store, make_model, make_encoder):
    encoder = store.add(make_encoder())
    reference = EncoderReference(kind="store", name="shared", sha256=encoder.sha256)
    store.add(make_model(encoder=reference))
    with pytest.raises(InputError, match="The models mine-t1-t2 need the encoder 'shared'"):
        store.remove("shared")
    store.remove("mine-t1-t2")
    assert store.remove("shared") == encoder.path


def test_remove_says_that_the_file_is_held_open(store, make_model, monkeypatch):
    store.add(make_model())

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=r"cannot be removed \(in use\)"):
        store.remove("mine-t1-t2")


def test_verify_gives_the_recorded_hash(store, make_model):
    added = store.add(make_model())
    found = store.verify("mine-t1-t2")
    assert found.sha256 == found.recorded_sha256 == added.sha256


def test_verify_notices_one_changed_bit(store, make_model):
    damage(store.add(make_model()).path)
    with pytest.raises(ModelError, match="has changed since it was added"):
        store.verify("mine-t1-t2")


def test_verify_works_without_a_record(store, make_model):
    path = store.add(make_model()).path
    (store.root / "index.json").unlink()
    found = store.verify("mine-t1-t2")
    assert (found.sha256, found.recorded_sha256) == (file_sha256(path), None)


def test_add_records_a_hash_that_was_lost(store, make_model):
    store.add(make_model())
    (store.root / "index.json").unlink()
    assert store.add(make_model()).was_there
    assert store.verify("mine-t1-t2").recorded_sha256 == file_sha256(make_model())


def test_verify_reads_a_file_without_a_record_in_full(store, make_model):
    path = make_model(folder=store.root)
    path.write_bytes(path.read_bytes()[:-2] + b"\x00\x7c")
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        store.verify("mine-t1-t2")


def test_verify_says_that_there_is_no_such_model(store):
    with pytest.raises(MissingError, match="There is no model 'other'"):
        store.verify("other")


def test_bundled_folder_can_be_given_its_own_index(bundled, make_model, tmp_path):
    Store(bundled, bundled).add(make_model())
    store = Store(tmp_path / "user", bundled)
    assert [entry.origin for entry in store.list()] == ["bundled"]
    assert store.verify("mine-t1-t2").recorded_sha256 is not None
    damage(bundled / "mine-t1-t2.safetensors")
    with pytest.raises(ModelError, match="has changed"):
        store.verify("mine-t1-t2")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 9}', '{"version": 1, "files": 3}'])
def test_damaged_index_loses_no_model_and_is_set_aside(store, make_model, text):
    store.add(make_model(id="first"))
    (store.root / "index.json").write_text(text)
    assert [entry.id for entry in store.list()] == ["first"]
    assert store.index_problem()
    store.add(make_model(id="second"))
    assert not store.index_problem()
    assert (store.root / "index.json.damaged").read_text() == text
    assert [entry.id for entry in store.list()] == ["first", "second"]


def test_damaged_index_that_cannot_be_set_aside_is_said(store, make_model, monkeypatch):
    store.add(make_model(id="first"))
    index = store.root / "index.json"
    index.write_text("{")
    rename = Path.replace

    def refuse(path, target):
        if path == index:
            raise PermissionError(13, "in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="cannot be set aside"):
        store.add(make_model(id="second"))
