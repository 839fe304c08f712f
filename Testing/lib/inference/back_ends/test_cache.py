"""What is kept between runs: read only where it is whole and of this version."""

import hashlib
import io
import json
import os

import numpy as np
import pytest

from SAMI2ILib.inference.back_ends import cache as cache_module
from SAMI2ILib.inference.back_ends import compare, make_predictor
from SAMI2ILib.inference.back_ends.cache import CacheEntry, cache_folder, weights_sha256
from SAMI2ILib.inference.device import Device

SHAPE = (1, 64, 64)
CPU = Device("cpu", "CPU", "it was asked for", "fp32")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMI2I_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry(kind="thing", version="1", **key):
    return CacheEntry(kind, {"weights": "abc", **key}, {"maker": version})


def replace_content(file, content):
    """Let an entry hold something else, and its note say so."""
    file.write_bytes(content)
    note = file.with_suffix(".json")
    fields = json.loads(note.read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}
    note.write_text(json.dumps(fields))


def test_cache_lies_in_the_users_cache_folder(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SAMI2I_CACHE_DIR")
    assert cache_folder().name == "SAMI2I"


def test_entry_is_found_by_what_it_depends_on():
    entry(shape=[1, 2]).write(b"content")
    assert entry(shape=[1, 2]).read() == b"content"
    assert entry(shape=[2, 1]).read() is None
    assert entry("other", shape=[1, 2]).read() is None


def test_entry_of_another_version_is_ignored_and_replaced(folder):
    entry(version="1").write(b"old")
    assert entry(version="2").read() is None
    entry(version="2").write(b"new")
    assert entry(version="2").read() == b"new"
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "no note", "no text", "a list", "no file"])
def test_damaged_entry_is_ignored(folder, damage):
    entry().write(b"content")
    (file,) = folder.glob("*.bin")
    note = file.with_suffix(".json")
    if damage == "cut":
        file.write_bytes(b"cont")
    elif damage == "flipped":
        file.write_bytes(b"contenT")
    elif damage == "no note":
        note.unlink()
    elif damage == "no text":
        note.write_bytes(b"\xff")
    elif damage == "a list":
        note.write_text("[]")
    else:
        file.unlink()
    assert entry().read() is None


def test_folder_that_cannot_be_made_keeps_nothing(folder):
    folder.write_text("a file")
    entry().write(b"content")
    assert entry().read() is None


def test_oldest_entries_are_removed(folder, monkeypatch):
    monkeypatch.setattr(cache_module, "ENTRIES_KEPT", 2)
    for number in range(3):
        entry(number=number).write(b"content")
        newest = max(folder.glob("*.bin"), key=lambda file: file.stat().st_mtime)
        os.utime(newest, (number, number))
    assert [entry(number=number).read() is not None for number in range(3)] == [False, True, True]
    assert len(list(folder.iterdir())) == 4


def test_weights_and_build_name_a_network(make_generator):
    name = weights_sha256(make_generator())
    assert name == weights_sha256(make_generator())
    changed = make_generator()
    changed.decoder.output.bias += 1
    assert len({name, weights_sha256(changed), weights_sha256(make_generator("shifted"))}) == 3


def test_other_windows_over_equal_weights_are_another_network(make_generator):
    first, second = make_generator(), make_generator()
    second.decoder.blocks[0].layers[0].attention.window += 1
    assert weights_sha256(first) != weights_sha256(second)


class TestCompiledModels:
    """OpenVINO's part of the cache, by what a second run does with it."""

    @pytest.fixture(autouse=True)
    def count(self, openvino, monkeypatch):
        """Count what is compiled and read."""
        self.calls = []
        for name in ("compile_model", "import_model"):
            original = getattr(openvino.Core, name)

            def counted(core, *args, original=original, name=name):
                self.calls.append(name)
                return original(core, *args)

            monkeypatch.setattr(openvino.Core, name, counted)

    def predict(self, network, slices):
        self.calls.clear()
        predictor = make_predictor(network, CPU, SHAPE, "openvino")
        return predictor.predict(slices), list(self.calls)

    def test_second_run_reads_what_the_first_compiled(self, make_generator, make_slices):
        slices = make_slices(1, *SHAPE)
        first, calls = self.predict(make_generator(), slices)
        assert calls == ["compile_model"] * 2
        second, calls = self.predict(make_generator(), slices)
        assert calls == ["import_model"] * 2
        np.testing.assert_array_equal(first, second)

    def test_other_weights_are_compiled_anew(self, make_generator, make_slices):
        slices = make_slices(1, *SHAPE)
        first, _calls = self.predict(make_generator(), slices)
        changed = make_generator()
        changed.decoder.output.bias += 1
        second, calls = self.predict(changed, slices)
        assert calls == ["compile_model"] * 2
        assert compare(first, second).worst > 0.01

    def test_other_version_is_compiled_anew(self, make_generator, make_slices, folder):
        slices = make_slices(1, *SHAPE)
        first, _calls = self.predict(make_generator(), slices)
        for note in folder.glob("openvino-*.json"):
            fields = json.loads(note.read_text())
            fields["made_by"]["openvino"] = "2024.1"
            note.write_text(json.dumps(fields))
        second, calls = self.predict(make_generator(), slices)
        assert calls == ["compile_model"] * 2
        np.testing.assert_array_equal(first, second)

    def test_whole_file_that_is_no_model_is_compiled_anew(
        self, make_generator, make_slices, folder
    ):
        slices = make_slices(1, *SHAPE)
        first, _calls = self.predict(make_generator(), slices)
        for file in folder.glob("openvino-*.bin"):
            replace_content(file, b"not a model")
        second, calls = self.predict(make_generator(), slices)
        assert calls == ["import_model", "compile_model"] * 2
        np.testing.assert_array_equal(first, second)

    def test_reference_that_was_changed_is_computed_anew(self, make_generator, make_slices, folder):
        slices = make_slices(1, *SHAPE)
        self.predict(make_generator(), slices)
        (file,) = folder.glob("reference-*.bin")
        changed = io.BytesIO()
        np.save(changed, np.zeros((1, 64, 64), np.float32))
        replace_content(file, changed.getvalue())
        assert make_predictor(make_generator(), CPU, SHAPE, "openvino").back_end.agreement_db > 90
