"""The store: what it lists, finds, chooses, takes in, gives away and checks."""

import json
import sys
from pathlib import Path

import platformdirs
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import InputError, MissingError, ModelError, OutputError
from SAMI2ILib.weights import DamagedFile, EncoderReference, Store, file_sha256
from SAMI2ILib.weights.store import default_root


def ids(entries):
    return [entry.id for entry in entries]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def damage(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the sign or exponent of the last weight
    path.write_bytes(content)


def test_store_lies_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMI2I_MODELS", str(tmp_path / "mine"))
    assert Store().root == tmp_path / "mine"
    assert not Store().root.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="~ is USERPROFILE on Windows")
def test_store_expands_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SAMI2I_MODELS", "~/mine")
    assert default_root() == tmp_path / "mine"


@pytest.mark.parametrize("value", [None, "", " "])
def test_store_lies_in_the_users_data_folder_when_the_environment_is_silent(monkeypatch, value):
    monkeypatch.delenv("SAMI2I_MODELS")
    if value is not None:
        monkeypatch.setenv("SAMI2I_MODELS", value)
    assert default_root() == Path(platformdirs.user_data_dir("SAMI2I", False)) / "models"


def test_store_refuses_a_file_in_its_place(tmp_path):
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(InputError, match=r"must be a folder, but .* is a file"):
        Store(tmp_path / "models")


def test_store_is_empty_when_there_is_no_folder(tmp_path):
    store = Store(tmp_path / "nowhere", tmp_path / "nothing")
    assert list(store.list()) == []
    assert list(store.encoders()) == []
    assert list(store.checkpoints()) == []


def test_store_takes_the_models_that_come_with_the_software():
    assert Store().bundled == asset_path("models")


def test_store_works_without_a_folder_of_bundled_models(monkeypatch):
    def missing(*_parts):
        raise MissingError("none")

    monkeypatch.setattr("SAMI2ILib.weights.store.asset_path", missing)
    assert Store().bundled is None
    assert list(Store().list()) == []


def test_list_gives_bundled_models_first_and_hides_no_other_behind_a_damaged_one(
    store, bundled, make_model
):
    make_model(folder=bundled, id="from-us")
    store.add(make_model(id="mine"))
    store.add(make_model(id="zebra"))
    (store.root / "broken.safetensors").write_bytes(b"broken file of some bytes")
    entries = store.list()
    assert ids(entries) == ["from-us", "broken", "mine", "zebra"]
    assert [entry.origin for entry in entries] == ["bundled", "user", "user", "user"]
    assert isinstance(entries[1], DamagedFile)
    assert "is not a safetensors file" in entries[1].problem


def test_list_shows_neither_encoders_nor_files_that_are_being_written(store, make_encoder):
    store.add(make_encoder())
    (store.root / ".sami2i-1f.safetensors").write_bytes(b"half")
    (store.root / "notes.txt").write_bytes(b"")
    assert list(store.list()) == []
    assert ids(store.encoders()) == ["shared"]


def test_find_takes_an_id(store, make_model):
    store.add(make_model())
    found = store.find("mine-t1-t2")
    assert (found.origin, found.path) == ("user", store.root / "mine-t1-t2.safetensors")


def test_find_takes_the_path_of_any_file(store, make_model):
    path = make_model()
    for reference in (path, str(path)):
        found = store.find(reference)
        assert (found.id, found.origin, found.path) == ("mine-t1-t2", "file", path)


def test_find_takes_a_file_name_in_the_present_folder(store, make_model, monkeypatch):
    monkeypatch.chdir(make_model().parent)
    assert store.find("mine-t1-t2.safetensors").origin == "file"


def test_find_lists_what_there_is_when_the_id_is_unknown(store, make_model):
    store.add(make_model())
    with pytest.raises(MissingError, match="There is no model 'other'") as caught:
        store.find("other")
    assert "There are: mine-t1-t2 (T1 to T2)." in caught.value.hint


def test_find_says_that_there_are_no_models(store):
    with pytest.raises(MissingError, match="There are no models yet"):
        store.find("other")


def test_find_says_that_a_path_is_missing(store, tmp_path):
    with pytest.raises(MissingError, match="There is no file"):
        store.find(tmp_path / "other.safetensors")


def test_find_says_why_a_damaged_model_cannot_be_used(store, make_model):
    path = store.add(make_model()).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="truncated"):
        store.find("mine-t1-t2")


def test_find_refuses_to_guess_between_two_models_of_one_id(store, make_model):
    store.add(make_model())
    make_model(value=2, folder=store.root / "other").replace(store.root / "copy.safetensors")
    with pytest.raises(ModelError, match="Two different models have the id 'mine-t1-t2'"):
        store.find("mine-t1-t2")


def test_find_takes_the_bundled_one_of_two_equal_files(store, bundled, make_model):
    make_model(folder=bundled)
    make_model(folder=store.root)
    assert store.find("mine-t1-t2").origin == "bundled"


def test_choose_takes_the_model_of_the_pair_whatever_the_case(store, make_model):
    store.add(make_model(id="t2"))
    store.add(make_model(id="pd", target_contrast="PD"))
    store.add(make_model(id="back", source_contrast="T2", target_contrast="T1"))
    assert store.choose("T1", "PD").id == "pd"
    assert store.choose("t1", "t2").id == "t2"
    assert store.choose(None, "T1").id == "back"


def test_candidates_are_bundled_first_then_sam_i2i_then_the_newest(store, bundled, make_model):
    for name in ("old", "new"):
        store.add(make_model(id=name))
    store.add(make_model(id="net", family="unet"))
    make_model(folder=store.root, id="by-hand")  # without a record of when it came
    make_model(folder=bundled, id="z-ours")
    make_model(folder=bundled, id="a-ours", family="unet")
    (store.root / "broken.safetensors").write_bytes(b"x")
    expected = ["z-ours", "a-ours", "new", "old", "by-hand", "net"]
    assert ids(store.candidates("T1", "T2")) == expected
    assert store.choose("T1", "T2").id == "z-ours"


def test_choose_lists_what_there_is_when_no_model_makes_the_pair(store, make_model):
    store.add(make_model())
    with pytest.raises(MissingError, match="no model that turns T1 into FLAIR") as caught:
        store.choose("T1", "FLAIR")
    assert "mine-t1-t2 (T1 to T2)" in caught.value.hint
    with pytest.raises(MissingError, match="no model that makes FLAIR"):
        store.choose(None, "FLAIR")


def test_add_copies_the_file_under_its_id_and_records_its_hash(store, make_model):
    path = make_model().rename(make_model().with_name("Some Name.safetensors"))
    added = store.add(path)
    assert added.path == store.root / "mine-t1-t2.safetensors"
    assert (added.kind, added.id, added.was_there) == ("model", "mine-t1-t2", False)
    assert added.path.read_bytes() == path.read_bytes()
    assert names(store.root) == ["index.json", "mine-t1-t2.safetensors"]
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
    assert names(store.root) == ["index.json", "mine-t1-t2.safetensors"]


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
    assert names(store.root) == []


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
    assert ids(store.list()) == ["first"]
    assert store.index_problem()
    store.add(make_model(id="second"))
    assert not store.index_problem()
    assert (store.root / "index.json.damaged").read_text() == text
    assert ids(store.list()) == ["first", "second"]


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
