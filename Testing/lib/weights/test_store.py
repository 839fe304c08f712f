"""The store: where it lies, and what it lists, finds and chooses."""

import sys
from pathlib import Path

import platformdirs
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.weights import DamagedFile, Store
from SAMI2ILib.weights.store import default_root


def ids(entries):
    return [entry.id for entry in entries]


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
