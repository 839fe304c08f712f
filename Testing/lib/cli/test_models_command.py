"""`sami2i models`: what it prints, records and returns."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.about import INTENDED_USE
from SAMI2ILib.cli import models
from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.weights import (
    EncoderReference,
    EncoderSpec,
    Metric,
    ModelSpec,
    Store,
    Training,
    TrainingData,
    file_sha256,
    write_encoder,
    write_model,
)


class Recorder:
    """A console that keeps what it is told."""

    def __init__(self):
        self.said, self.notes, self.steps, self.warnings, self.results = [], [], [], [], []

    def say(self, text):
        self.said.append(text)

    def note(self, text):
        self.notes.append(text)

    def progress(self, stage, done, total):
        self.steps.append((stage, done, total))

    def warn(self, code, message):
        self.warnings.append((code, message))

    def result(self, fields):
        json.dumps(fields, allow_nan=False)
        self.results.append(fields)

    @property
    def text(self):
        return "\n".join(self.said)


@pytest.fixture
def run():
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)

    def run(*arguments):
        console = Recorder()
        code = models.run(parser.parse_args([str(a) for a in arguments]), console)
        return code, console

    return run


@pytest.fixture(autouse=True)
def no_bundled_models(tmp_path, monkeypatch):
    """What the software brings along must not change what these tests see."""
    monkeypatch.setattr("SAMI2ILib.weights.store.asset_path", lambda *_parts: tmp_path / "none")


@pytest.fixture
def make_file(tmp_path):
    def make(value=1.0, **changes):
        fields = {
            "family": "unet",
            "id": "mine-t1-t2",
            "title": "My own model",
            "source_contrast": "T1",
            "target_contrast": "T2",
            "license": "MIT",
        }
        spec = ModelSpec(**{**fields, **changes})
        path = tmp_path / "files" / f"{spec.id}.safetensors"
        write_model(path, spec, {"w": np.full(3, value, np.float16)})
        return path

    return make


@pytest.fixture
def with_encoder(tmp_path, make_file):
    """A model and, beside it, the encoder that it shares: (model, encoder)."""
    encoder = tmp_path / "files" / "shared.safetensors"
    spec = EncoderSpec(id="shared", title="Shared encoder", hiera={"embed_dim": 8}, license="MIT")
    write_encoder(encoder, spec, {"w": np.ones(2, np.float16)})
    reference = EncoderReference(kind="store", name="shared", sha256=file_sha256(encoder))
    return make_file(encoder=reference), encoder


def test_list_says_that_there_are_no_models_and_where_they_would_be(run, private_store):
    code, console = run("list")
    assert code == 0
    assert console.text.startswith("No models yet.")
    assert "sam2.1_hiera_base_plus  about 324 MB  Apache-2.0" in console.text
    assert f"Store: {private_store}" in console.text


def test_list_shows_models_and_damaged_files(run, private_store, make_file):
    run("add", make_file())
    run("add", make_file(id="long", title="t" * 60))
    (private_store / "broken.safetensors").write_bytes(b"x")
    _code, console = run("list")
    lines = console.text.splitlines()
    assert lines[0] == f"long        T1 to T2  unet  user  {'t' * 53}..."
    assert lines[1] == "mine-t1-t2  T1 to T2  unet  user  My own model"
    assert lines[2].startswith("damaged (user): The file ")


def test_list_gives_the_same_as_one_json_object(run, private_store, make_file):
    run("add", make_file())
    (private_store / "broken.safetensors").write_bytes(b"x")
    _code, console = run("list", "--json")
    (fields,) = [json.loads(text) for text in console.said]
    assert fields == console.results[0]
    assert fields["models"] == [
        {
            "id": "mine-t1-t2",
            "title": "My own model",
            "family": "unet",
            "source_contrast": "T1",
            "target_contrast": "T2",
            "license": "MIT",
            "intended_use": INTENDED_USE,
            "encoder": "none",
            "encoder_kind": "none",
            "training_data": [],
            "metrics": [],
            "origin": "user",
            "path": str(private_store / "mine-t1-t2.safetensors"),
            "encoder_problem": "",
        }
    ]
    assert [entry["id"] for entry in fields["damaged"]] == ["broken"]
    assert len(fields["checkpoints"]) == 8
    assert not any(checkpoint["present"] for checkpoint in fields["checkpoints"])


def test_list_says_which_encoder_a_model_still_needs(run, with_encoder):
    model, encoder = with_encoder
    encoder.unlink()
    _code, added = run("add", model)
    assert added.warnings[0][0] == "encoder-missing"
    _code, console = run("list")
    assert "mine-t1-t2 cannot be used yet: The encoder 'shared'" in console.text


def test_add_takes_the_encoder_along_that_lies_beside_the_model(run, with_encoder):
    _code, added = run("add", with_encoder[0])
    assert added.notes == ["Its encoder shared was added as well."]
    assert added.results[0]["id"] == "mine-t1-t2"
    _code, console = run("list")
    assert "Encoders that models share:\nshared  user  Shared encoder" in console.text
    assert console.results[0]["models"][0]["encoder_problem"] == ""


def test_add_says_hash_and_place(run, private_store, make_file):
    path = make_file()
    _code, console = run("add", path)
    assert f"added: {private_store / path.name}\nSHA-256 {file_sha256(path)}" in console.text
    _code, console = run("add", path)
    assert "was there already" in console.text


def test_add_replaces_only_when_told(run, make_file):
    run("add", make_file())
    with pytest.raises(InputError, match="A different file"):
        run("add", make_file(value=2))
    assert run("add", make_file(value=2), "--replace")[0] == 0


def test_info_shows_what_the_file_says(run, make_file):
    path = make_file(
        training=Training(data=(TrainingData(name="IXI", license="CC BY-SA 3.0", subjects=9),)),
        metrics=(
            Metric(name="PSNR", value=27.123456, unit="dB", data="IXI", standard_deviation=1.25),
            Metric(name="SSIM", value=0.9, data="IXI", region="brain"),
        ),
    )
    _code, console = run("info", path)
    rows = [line.split("  ", maxsplit=1) for line in console.text.splitlines()]
    shown = [(name.strip(), value.strip()) for name, value in rows]
    assert ("contrasts", "T1 to T2") in shown
    assert ("input", "LPS, 1 mm in plane, tiles of 256, 1 slice(s), skull both") in shown
    assert ("trained on", "IXI (9 subjects; CC BY-SA 3.0)") in shown
    assert ("measured", "PSNR 27.12 +- 1.2 dB, full field, IXI") in shown
    assert ("measured", "SSIM 0.9, brain, IXI") in shown
    assert ("SHA-256", file_sha256(path)) in shown


def test_info_says_that_the_encoder_is_missing(run, with_encoder):
    model, encoder = with_encoder
    assert "problem" not in run("info", model)[1].text
    encoder.unlink()
    assert (
        "problem    The encoder 'shared' of the model is not there." in run("info", model)[1].text
    )


def test_info_gives_the_same_as_one_json_object(run, make_file):
    run("add", make_file())
    _code, console = run("info", "mine-t1-t2", "--json")
    fields = json.loads(console.text)
    assert (fields["id"], fields["origin"]) == ("mine-t1-t2", "user")
    assert fields["preprocessing"]["normalization"]["percentile"] == 99.5
    assert fields == json.loads(json.dumps(console.results[0]))


def test_info_of_an_unknown_model_is_missing(run):
    with pytest.raises(MissingError, match="There is no model 'other'"):
        run("info", "other")


def test_remove_deletes_the_model(run, make_file):
    run("add", make_file())
    _code, console = run("remove", "mine-t1-t2")
    assert console.text == "Removed mine-t1-t2."
    assert list(Store().list()) == []


def test_verify_checks_every_file_and_returns_2_when_one_has_changed(run, with_encoder, make_file):
    run("add", with_encoder[0])
    second = make_file(id="second")
    run("add", second)
    code, console = run("verify")
    assert code == 0
    assert [line.split()[:2] for line in console.said] == [
        ["ok", "mine-t1-t2"],
        ["ok", "second"],
        ["ok", "shared"],
    ]
    make_file(id="second", value=2).replace(Store().root / "second.safetensors")
    code, console = run("verify")
    assert code == ModelError.exit_code == 2
    assert [file["ok"] for file in console.results[0]["files"]] == [True, False, True]
    assert "FAILED  second: The file" in console.text


def test_verify_of_one_file_says_that_no_hash_was_recorded(run, private_store, make_file):
    make_file().rename(private_store / "mine-t1-t2.safetensors")
    code, console = run("verify", "mine-t1-t2")
    assert code == 0
    assert "no hash was recorded" in console.text


def test_download_by_address_needs_a_hash(run):
    with pytest.raises(InputError, match="needs --sha256"):
        run("download", "https://example.org/m.safetensors")


def test_hash_of_a_public_checkpoint_is_not_passed_over(run):
    with pytest.raises(InputError, match="--sha256 is for a download by address"):
        run("download", "sam2.1_hiera_tiny", "--sha256", "0" * 64)


def test_download_of_an_unknown_name_lists_the_known_ones(run):
    with pytest.raises(InputError, match="no public checkpoint 'other'"):
        run("download", "other")


def test_download_passes_the_address_on_and_shows_whole_percents(run, make_file, monkeypatch):
    path = make_file()

    def fetch(store, url, sha256, *, replace, on_progress):
        assert (url, sha256, replace) == ("https://example.org/m", "ab" * 32, True)
        for done in (0, 1, 5, 9, 10, 1000):
            on_progress(done, 1000)
        on_progress(2_500_000, None)
        return store.add(path)

    monkeypatch.setattr("SAMI2ILib.weights.fetch.fetch_model", fetch)
    arguments = ("https://example.org/m", "--sha256", "ab" * 32, "--replace")
    _code, console = run("download", *arguments)
    assert [done for _stage, done, _total in console.steps] == [0, 10, 1000, 2_500_000]
    assert [total for _stage, _done, total in console.steps] == [1000, 1000, 1000, 0]
    assert "The model mine-t1-t2 added" in console.text


def test_download_by_name_says_size_and_license_before_it_starts(run, make_file, monkeypatch):
    def fetch(store, checkpoint, *, on_progress):
        return replace(store.add(make_file()), kind="checkpoint", id=checkpoint.name)

    monkeypatch.setattr("SAMI2ILib.weights.fetch.fetch_checkpoint", fetch)
    _code, console = run("download", "sam2.1_hiera_tiny")
    assert console.notes == ["Getting sam2.1_hiera_tiny (about 156 MB, Apache-2.0)."]
    assert "The checkpoint sam2.1_hiera_tiny added" in console.text


def test_damaged_index_is_warned_of(run, private_store):
    (private_store / "index.json").write_text("{")
    _code, console = run("list")
    ((code, message),) = console.warnings
    assert code == "store-index"
    assert "hashes that were recorded" in message


@pytest.mark.parametrize("arguments", [(), ("rename",), ("info",), ("add",), ("download",)])
def test_wrong_usage_is_refused(run, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
