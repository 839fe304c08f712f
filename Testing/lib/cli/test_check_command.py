"""`sami2i check`, and what `translate` does with a doubtful input."""

import json

import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.volume import Volume

T1, T2 = (asset_path("sample", f"{name}.nii.gz") for name in ("T1", "T2"))


def codes(found: list[dict]) -> list[str]:
    return [doubt["code"] for doubt in found]


def test_check_has_no_doubt_of_a_t1(sami2i):
    outcome = sami2i("check", T1, "--strict")
    assert (outcome.code, outcome.out) == (0, "T1.nii.gz: no doubt.\n")


def test_check_says_its_doubts_on_stderr(sami2i):
    outcome = sami2i("check", T2)
    assert (outcome.code, outcome.out) == (0, "")
    assert "warning (contrast-unlike): The scan looks like a T2" in outcome.err


def test_strict_check_ends_with_2(sami2i):
    assert sami2i("check", T2, "--strict").code == 2


def test_check_compares_with_the_contrast_that_is_asked_for(sami2i):
    assert sami2i("check", T2, "--source", "T2", "--strict").code == 0


@pytest.fixture
def few_slices(tmp_path):
    volume = read_volume(T1)
    path = tmp_path / "few_T1.nii.gz"
    write_volume(Volume(volume.array_kji[40:44], volume.ijk_to_ras), path)
    return path


def test_few_slices_are_a_doubt(sami2i, few_slices):
    outcome = sami2i("check", few_slices, "--strict")
    assert outcome.code == 2
    assert "warning (few-slices): The input has 4 axial slices" in outcome.err


def test_few_slices_are_refused_by_a_strict_translation_and_said_once_otherwise(
    sami2i, few_slices, tmp_path
):
    words = ["translate", few_slices, "-o", tmp_path / "out.nii", "--target", "T2"]
    outcome = sami2i(*words, "--checks", "strict")
    assert (outcome.code, (tmp_path / "out.nii").exists()) == (2, False)
    assert "The input is in doubt: The input has 4 axial slices" in outcome.error_line
    outcome = sami2i(*words)
    assert (outcome.code, outcome.err.count("warning (few-slices)")) == (0, 1)
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert codes(record["warnings"]) == ["few-slices"]


def test_contrast_that_the_checks_do_not_know_is_refused(sami2i):
    outcome = sami2i("check", T2, "--source", "SWI")
    assert outcome.code == 2
    assert "a contrast that the checks do not know. They know T1," in outcome.error_line


def test_check_prints_json(sami2i):
    fields = json.loads(sami2i("check", T2, "--json").out)
    assert fields["input"] == "T2.nii.gz"
    assert codes(fields["doubts"]) == ["contrast-unlike"]


def test_check_asks_what_a_model_expects(sami2i, tiny_model_file):
    events = sami2i("check", T2, "--model", tiny_model_file, "--progress", "json").events
    assert events[0]["event"] == "start"
    assert codes([event for event in events if event["event"] == "warning"]) == ["contrast-unlike"]
    assert codes(events[-1]["doubts"]) == ["contrast-unlike"]


@pytest.fixture
def instant_network(monkeypatch):
    """Return the input instead of translating it: what is tested comes before."""
    from SAMI2ILib.inference import translate_file
    from SAMI2ILib.inference.translate import Translation

    def translate(volume, _model, _predictor, _options, on_progress, _is_cancelled):
        on_progress("translate", 1, 1)
        return Translation(volume, 1.0, 1.0, volume.notices)

    monkeypatch.setattr(translate_file, "translate", translate)


@pytest.fixture
def translate(instant_network, sami2i, tiny_model_file, tmp_path):
    return lambda *words: sami2i(
        "translate", T2, "-o", tmp_path / "out.nii.gz", "--model", tiny_model_file,
        "--device", "cpu", *words,
    )  # fmt: skip


def test_translate_says_its_doubts_before_the_network_runs(translate, tmp_path):
    events = translate("--progress", "json").events
    kinds = [event.get("stage", event["event"]) for event in events]
    assert kinds.index("warning") < kinds.index("translate")
    assert codes([event for event in events if event["event"] == "warning"]) == ["contrast-unlike"]
    record = json.loads((tmp_path / "out.json").read_text())
    assert codes(record["warnings"]) == ["contrast-unlike"]


def test_translate_refuses_a_doubtful_input_when_checks_are_strict(translate, tmp_path):
    outcome = translate("--checks", "strict")
    assert outcome.code == 2
    assert "The input is in doubt: The scan looks like a T2" in outcome.error_line
    assert not (tmp_path / "out.nii.gz").exists()


def test_translate_does_not_look_when_checks_are_off(translate, tmp_path):
    assert translate("--checks", "off").code == 0
    assert json.loads((tmp_path / "out.json").read_text())["warnings"] == []


def test_cohort_fails_the_doubtful_case_when_checks_are_strict(sami2i, tiny_model_file, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b_T1.nii.gz").write_bytes(T2.read_bytes())
    outcome = sami2i(
        "translate-cohort", folder, "-o", tmp_path / "out", "--model", tiny_model_file,
        "--device", "cpu", "--checks", "strict",
    )  # fmt: skip
    assert outcome.code == 1
    assert "b_T1: The input is in doubt: The scan looks like a T2" in outcome.err
