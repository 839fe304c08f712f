"""The dataset folder: what is written is read again, slice by slice; damage is said."""

import json
import multiprocessing.reduction
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.dataset import PairedSlices, open_dataset
from SAMI2ILib.data.dataset_writer import (
    PreparedSubject,
    claim_dataset,
    finished_record,
    write_manifest,
    write_subject,
)
from SAMI2ILib.errors import InputError, OutputError, ShapeError

LPS = np.diag([-1.0, -1.0, 2.0, 1.0])


def make_subject(name: str, contrasts: tuple[str, ...], shape=(5, 8, 6)) -> PreparedSubject:
    """Each voxel of contrast n is k / 10 + n / 100: exact values to look for."""
    k = np.arange(shape[0], dtype=np.float32)[:, None, None]
    images = {c: np.broadcast_to(k / 10 + n / 100, shape).copy() for n, c in enumerate(contrasts)}
    foregrounds = {c: np.zeros(shape, bool) for c in contrasts}
    for n, c in enumerate(contrasts):
        foregrounds[c][:, n + 1 :, :] = True
    brain = np.zeros(shape, bool)
    brain[:, 3:5, 2:4] = True
    return PreparedSubject(name, images, foregrounds, LPS, [1, 2, 3], brain, site="A")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`anna` with T1, T2, PD; `bert`, of another size and without a brain mask, with T1 and T2."""
    anna = make_subject("anna", ("T1", "T2", "PD"))
    anna.images["T2"][2, 0, 0] = np.nan
    bert = replace(make_subject("bert", ("T1", "T2"), (4, 10, 12)), brain=None, person="b")
    records = [write_subject(tmp_path, subject, "as it is") for subject in (bert, anna)]
    write_manifest(
        tmp_path,
        records,
        {"anna": "train", "bert": "test"},
        contrasts=("T1", "T2", "PD"),
        name="trial",
        license_text="CC0-1.0",
        skipped=[{"name": "carl", "reason": "no T2", "failed": False}],
    )
    return tmp_path


def test_slice_is_read_as_it_was_written(folder):
    anna, bert = open_dataset(folder).subjects
    assert (anna.name, bert.person, anna.site, bert.split) == ("anna", "b", "A", "test")
    assert anna.spacing_mm == (1.0, 1.0, 2.0)
    np.testing.assert_allclose(anna.read("PD", 3), 0.32, atol=2e-4)
    assert np.isnan(anna.read("T2", 2)[0, 0])
    assert anna.volume("T1").dtype == np.float16
    assert anna.foreground("T2", 0)[:, 0].tolist() == [False, False, *[True] * 6]
    assert anna.brain(0).sum() == 4
    assert anna.foreground("T1").shape == (5, 8, 6)
    assert bert.brain(0) is None


def test_pair_has_nan_for_a_contrast_that_the_subject_lacks(folder):
    (pairs,) = open_dataset(folder).pairs("T1", ["T2", "PD"], "test")
    pair = pairs.read(0)
    assert len(pairs) == 3
    np.testing.assert_allclose(pair.source, np.full((1, 10, 12), 0.1), atol=2e-4)
    np.testing.assert_allclose(pair.targets[0], 0.11, atol=2e-4)
    assert np.isnan(pair.targets[1]).all()
    assert pair.brain is None


def test_unmeasured_source_is_zero_and_unmeasured_target_is_nan(folder):
    (forward, *_) = open_dataset(folder).pairs("T1", ["T2"])
    (backward, *_) = open_dataset(folder).pairs("T2", ["T1"])
    assert np.isnan(forward.read(1).targets[0, 0, 0])
    assert backward.read(1).source[0, 0, 0] == 0


def test_context_adds_neighbors_and_repeats_the_outermost_slice(folder):
    (pairs,) = open_dataset(folder).pairs("T1", ["T2"], "test", context=3)
    means = [pairs.read(n).source.mean(axis=(1, 2)) for n in range(3)]
    np.testing.assert_allclose(means[0], (0.0, 0.1, 0.2), atol=2e-4)
    np.testing.assert_allclose(means[2], (0.2, 0.3, 0.3), atol=2e-4)


def test_subjects_without_the_source_or_any_target_are_left_out(folder):
    dataset = open_dataset(folder)
    assert [p.subject.name for p in dataset.pairs("T1", ["PD"])] == ["anna"]
    assert [s.name for s in dataset.split("train", "validation")] == ["anna"]
    assert dataset.by_name["bert"].contrasts == ("T1", "T2")


def test_worker_process_gets_names_and_not_voxels(folder):
    pairs = open_dataset(folder).pairs("T1", ["T2"])[0]
    pairs.read(0)
    sent = multiprocessing.reduction.ForkingPickler.dumps(pairs)
    assert len(sent) < 2500


def test_lists_of_names_lie_beside_the_data(folder):
    texts = {p.stem: p.read_text() for p in folder.glob("*.txt")}
    assert texts == {"train": "anna\n", "validation": "", "test": "bert\n"}


def test_id_follows_the_content_and_the_split(folder):
    before = open_dataset(folder).id
    anna = make_subject("anna", ("T1", "T2", "PD"))
    record = write_subject(folder, anna, "as it is")
    changed = write_manifest(folder, [record], {"anna": "train"}, contrasts=("T1", "T2", "PD"))
    moved = write_manifest(folder, [record], {"anna": "test"}, contrasts=("T1", "T2", "PD"))
    assert len({before, changed, moved}) == 3
    assert open_dataset(folder).id == moved


def test_finished_subject_is_found_by_its_request_only(folder):
    assert finished_record(folder, "anna", "as it is")["name"] == "anna"
    assert finished_record(folder, "anna", "otherwise") is None
    assert finished_record(folder, "carl", "as it is") is None
    (folder / "subjects" / "anna" / "subject.json").write_text("{")
    assert finished_record(folder, "anna", "as it is") is None


def test_changed_file_is_found_by_verify(folder):
    dataset = open_dataset(folder)
    dataset.verify()
    path = folder / "subjects" / "anna" / "PD.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"PD.npy of subject 'anna' is missing or damaged"):
        dataset.verify()


@pytest.mark.parametrize("damage", ["missing", "truncated", "another"])
def test_damaged_array_is_said_when_it_is_read(folder, damage):
    path = folder / "subjects" / "anna" / "T1.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:60])
    else:
        np.save(path, np.zeros((5, 8, 7), np.float16))
    with pytest.raises(InputError, match=r"T1.npy of subject 'anna' is missing or damaged"):
        open_dataset(folder).by_name["anna"].read("T1", 0)


def change_manifest(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "dataset.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format_version=2), "newer version of the software"),
        (lambda m: m["subjects"][0].update(name="../anna"), r"is damaged: subjects\[0\].name"),
        (lambda m: m["subjects"][0].update(split="tst"), r"is damaged: subjects\[0\].split"),
        (lambda m: m.pop("id"), "is damaged: the whole file: 'id' is a required property"),
        (lambda m: m["subjects"].append(m["subjects"][0]), "names a subject twice"),
        (lambda m: m["subjects"][0].update(slices=[5]), "names slice 5 of 5"),
    ],
)
def test_manifest_that_is_not_right_is_refused(folder, change, message):
    change_manifest(folder, change)
    with pytest.raises(InputError, match=message):
        open_dataset(folder)


def test_folder_without_a_manifest_is_no_dataset_or_an_unfinished_one(folder, tmp_path):
    with pytest.raises(InputError, match="is no dataset"):
        open_dataset(tmp_path / "nowhere")
    claim_dataset(folder)
    (folder / "dataset.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        open_dataset(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset.json cannot be read"):
        open_dataset(folder)


def test_question_for_what_is_not_there_is_refused(folder):
    dataset = open_dataset(folder)
    with pytest.raises(InputError, match="has no FLAIR, only T1, T2, PD"):
        dataset.pairs("FLAIR", ["T2"])
    with pytest.raises(InputError, match="no 'exam'"):
        dataset.split("exam")
    with pytest.raises(InputError, match="'bert' has no PD"):
        dataset.by_name["bert"].read("PD", 0)
    with pytest.raises(InputError, match="context must be odd"):
        PairedSlices(dataset.subjects[0], "T1", ("T2",), context=2)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"name": "../x"}, InputError, "cannot be called '../x'"),
        ({"name": "Nul.1"}, InputError, "cannot be called 'Nul.1', which is a device on Windows"),
        ({"slices": []}, InputError, "there must be at least one"),
        ({"slices": [5]}, InputError, "must lie in 0 to 4"),
        ({"brain": np.zeros((5, 8, 7), bool)}, ShapeError, "must share one shape"),
        ({"foregrounds": {}}, InputError, "needs a foreground for each contrast"),
        ({"images": {}}, InputError, "has 0 contrasts"),
        ({"images": {"T1/x": np.zeros((5, 8, 6))}}, InputError, "contrast cannot be called"),
        ({"images": {"Masks": np.zeros((5, 8, 6))}}, InputError, "contrast cannot be called"),
        ({"images": {"AUX": np.zeros((5, 8, 6))}}, InputError, "contrast cannot be called"),
    ],
)
def test_subject_that_is_not_right_is_not_written(tmp_path, change, kind, message):
    subject = replace(make_subject("anna", ("T1", "T2")), **change)
    with pytest.raises(kind, match=message):
        write_subject(tmp_path, subject, "")
    assert list(tmp_path.iterdir()) == []


def test_manifest_needs_subjects_and_a_part_for_each(tmp_path):
    with pytest.raises(InputError, match="would be empty"):
        write_manifest(tmp_path, [], {}, contrasts=["T1"])
    record = write_subject(tmp_path, make_subject("anna", ("T1",)), "")
    with pytest.raises(InputError, match="'anna' is in no part"):
        write_manifest(tmp_path, [record], {}, contrasts=["T1"])


@pytest.mark.parametrize("name", ["dataset.json", "subjects/anna/T1.nii.gz", "thesis.txt"])
def test_folder_of_other_things_is_not_claimed(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('{"name": "BRATS", "modality": {"0": "T1"}}')
    with pytest.raises(InputError, match="is not empty and no dataset"):
        claim_dataset(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / name]


def test_new_empty_finished_and_unfinished_datasets_are_claimed(folder, tmp_path):
    claim_dataset(tmp_path / "new")
    claim_dataset(tmp_path / "new")  # now unfinished
    claim_dataset(folder)
    (folder / "unfinished.txt").unlink()
    claim_dataset(folder)
    assert open_dataset(folder).by_name.keys() == {"anna", "bert"}


def test_folder_that_is_no_prepared_subject_is_never_replaced(tmp_path):
    scan = tmp_path / "subjects" / "anna" / "T1.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"the only copy")
    with pytest.raises(OutputError, match="was not written by `sami2i prepare`"):
        write_subject(tmp_path, make_subject("anna", ("T1",)), "")
    assert scan.read_bytes() == b"the only copy"


def test_subject_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "subjects").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be made"):
        write_subject(tmp_path, make_subject("anna", ("T1",)), "")
