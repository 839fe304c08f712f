"""The record beside what Slicer saves and exports: for synthetic volumes, and for nothing else."""

import hashlib
import json
import sys

import numpy as np
import pytest

from Testing.lib.files import names_in

RECORD = {"synthetic": True, "target_contrast": "T2", "source": {"node": "head", "sha256": "0"}}


@pytest.fixture(autouse=True)
def writer(slicerHost):
    from SAMI2IPanel.saved_files import startWritingSidecars, stopWritingSidecars

    startWritingSidecars()
    yield
    stopWritingSidecars()


@pytest.fixture
def make_node(slicerHost):
    import slicer
    from SAMI2IPanel.bridge import RECORD_ATTRIBUTE, SYNTHETIC_ATTRIBUTE, TARGET_ATTRIBUTE

    def make(name="head_synth-T2", synthetic=True, record=RECORD):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        voxels = np.arange(60, dtype="float32").reshape(3, 4, 5) + (0 if synthetic else 100)
        slicer.util.updateVolumeFromArray(node, voxels)
        if synthetic:
            node.SetAttribute(SYNTHETIC_ATTRIBUTE, "true")
            node.SetAttribute(TARGET_ATTRIBUTE, "T2")
        if synthetic and record:
            node.SetAttribute(RECORD_ATTRIBUTE, json.dumps(record))
        return node

    return make


def save(node, path):
    import slicer

    assert slicer.util.saveNode(node, str(path))


def export(node, path):
    import slicer

    assert slicer.app.coreIOManager().exportNodes(
        [node.GetID()], [str(path)], {"fileFormat": path.suffix}, False
    )


def with_volume(folder, ending, name="head_synth-T2"):
    """The record, with the file that it lies beside."""
    path = folder / f"{name}{ending}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return RECORD | {"volume": {"file": path.name, "sha256": digest}}


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize("write", [save, export])
def test_record_lies_beside_a_file_that_cannot_hold_it(make_node, tmp_path, write, ending):
    from SAMI2ILib.inference.output_files import read_record

    write(make_node(), tmp_path / f"head_synth-T2{ending}")
    assert names_in(tmp_path) == ["head_synth-T2.json", f"head_synth-T2{ending}"]
    assert read_record(tmp_path / "head_synth-T2.json") == with_volume(tmp_path, ending)


def test_record_needs_no_package_that_is_installed_later(make_node, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SAMI2ILib.weights", None)  # as where it does not load
    save(make_node(), tmp_path / "head_synth-T2.nii")
    assert names_in(tmp_path) == ["head_synth-T2.json", "head_synth-T2.nii"]


def test_saved_under_any_name_it_is_known_by_its_node(make_node, tmp_path):
    save(make_node(), tmp_path / "anything.nii.gz")
    record = json.loads((tmp_path / "anything.json").read_text())
    assert record == with_volume(tmp_path, ".nii.gz", "anything")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("left_handed", [False, True])
def test_exported_under_any_name_it_is_known_by_its_voxels(
    make_node, tmp_path, ending, left_handed
):
    import slicer

    node = make_node()
    matrix = np.diag([1.0, -1.0 if left_handed else 1.0, 2.0, 1.0])
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    make_node("scan", synthetic=False)
    export(node, tmp_path / f"patient{ending}")
    record = json.loads((tmp_path / "patient.json").read_text())
    assert record == with_volume(tmp_path, ending, "patient")


def test_scene_saved_as_a_folder_is_no_volume(slicerHost, make_node, tmp_path):
    import slicer

    make_node("scene")
    properties = {"fileName": str(tmp_path / "scene")}
    assert slicer.app.coreIOManager().saveNodes("SceneFile", properties)
    assert names_in(tmp_path) == ["scene"]
    assert slicerHost.dialogs == []


def test_scene_holds_the_record_itself(slicerHost, make_node, tmp_path):
    import slicer
    from SAMI2IPanel.bridge import RECORD_ATTRIBUTE

    make_node("scene")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    assert names_in(tmp_path) == ["scene.mrb"]
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert json.loads(slicer.util.getNode("scene").GetAttribute(RECORD_ATTRIBUTE)) == RECORD


@pytest.mark.parametrize("write", [save, export])
def test_real_scan_gets_no_record(make_node, tmp_path, write):
    make_node()
    write(make_node("head", synthetic=False), tmp_path / "head.nii.gz")
    assert names_in(tmp_path) == ["head.nii.gz"]


def test_real_scan_saved_under_the_name_of_a_synthetic_volume_gets_no_record(make_node, tmp_path):
    make_node()
    save(make_node("head", synthetic=False), tmp_path / "head_synth-T2.nii.gz")
    assert names_in(tmp_path) == ["head_synth-T2.nii.gz"]


def test_error_map_says_what_it_is(make_node, tmp_path):
    from SAMI2IPanel.bridge import ERROR_MAP_ATTRIBUTE

    node = make_node("head_error", record=None)
    node.SetAttribute(ERROR_MAP_ATTRIBUTE, "true")
    save(node, tmp_path / "head_error.nii.gz")
    record = json.loads((tmp_path / "head_error.json").read_text())
    assert (record["synthetic"], record["quantity"]) == (True, "error")
    assert "Research use only" in record["intended_use"]


def test_record_of_an_earlier_save_is_replaced(make_node, tmp_path):
    (tmp_path / "x.json").write_text('{"synthetic": true, "old": 1}')
    save(make_node(), tmp_path / "x.nii.gz")
    record = json.loads((tmp_path / "x.json").read_text())
    assert record == with_volume(tmp_path, ".nii.gz", "x")


def test_json_of_somebody_else_is_kept_and_the_user_is_told(slicerHost, make_node, tmp_path):
    (tmp_path / "x.json").write_text('{"EchoTime": 0.1}')
    slicerHost.answer(True)
    save(make_node(), tmp_path / "x.nii.gz")
    assert (tmp_path / "x.json").read_text() == '{"EchoTime": 0.1}'
    (told,) = slicerHost.dialogs
    assert "x.nii.gz does not say that it is SYNTHETIC" in told.text
    assert "x.json belongs to something else" in told.text


def test_failure_to_write_is_told(slicerHost, make_node, tmp_path, monkeypatch):
    from SAMI2ILib.errors import OutputError

    def fail(_text, _path):
        raise OutputError("The disk is full.", "Free some space.")

    monkeypatch.setattr("SAMI2ILib.atomic.write_text", fail)
    slicerHost.answer(True)
    save(make_node(), tmp_path / "x.nii.gz")
    assert "The disk is full. Free some space." in slicerHost.dialogs[0].text


def test_module_listens_from_start_to_reload(slicerHost, widget, make_node, tmp_path):
    import slicer

    save(make_node(), tmp_path / "a.nii.gz")
    assert names_in(tmp_path) == ["a.json", "a.nii.gz"]
    widget.onReload()
    assert slicer.modules.SAMI2ISidecarWriter is not None
    save(make_node("b"), tmp_path / "b.nii.gz")
    assert names_in(tmp_path) == ["a.json", "a.nii.gz", "b.json", "b.nii.gz"]
