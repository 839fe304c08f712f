"""Volumes, transforms, scenes and the subject hierarchy, through Slicer's own core."""

import numpy as np
import pytest


def addVolume(name="T1", shape=(2, 3, 4)):
    import slicer

    kji = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return slicer.util.addVolumeFromArray(kji, name=name)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_volume_returns_from_its_file_in_place(slicerHost, tmp_path, suffix):
    import slicer

    volume = addVolume()
    volume.SetSpacing(1, 2, 3)
    volume.SetOrigin(10, -20, 30)
    path = str(tmp_path / f"scan{suffix}")
    assert slicer.util.saveNode(volume, path)
    loaded = slicer.util.loadVolume(path)
    assert loaded.GetName() == "scan"
    assert loaded.GetSpacing() == pytest.approx((1, 2, 3))
    assert loaded.GetOrigin() == pytest.approx((10, -20, 30))
    assert (slicer.util.arrayFromVolume(loaded) == slicer.util.arrayFromVolume(volume)).all()
    assert loaded.GetDisplayNode().GetColorNode().GetName() == "Grey"


def test_loading_shows_the_volume_unless_told_otherwise(slicerHost, tmp_path):
    import slicer

    path = str(tmp_path / "scan.nrrd")
    slicer.util.saveNode(addVolume(), path)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    slicer.util.loadVolume(path, {"show": False, "name": "hidden"})
    assert composite.GetBackgroundVolumeID() is None
    shown = slicer.util.loadVolume(path, {"show": True})
    assert composite.GetBackgroundVolumeID() == shown.GetID()


def test_a_broken_file_is_an_error_and_leaves_no_node(slicerHost, tmp_path):
    import slicer

    (tmp_path / "broken.nii").write_bytes(b"no volume")
    with pytest.raises(RuntimeError, match="Failed to load node"):
        slicer.util.loadVolume(str(tmp_path / "broken.nii"))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert slicerHost.takeVtkErrors() != []


def test_files_that_no_reader_knows_are_an_error(slicerHost, tmp_path):
    import slicer

    (tmp_path / "notes.doc").write_text("text")
    with pytest.raises(RuntimeError, match="no reader for 'NoFile'"):
        slicer.util.loadNodeFromFile(str(tmp_path / "notes.doc"))


def test_export_writes_a_copy_and_keeps_the_nodes_storage(slicerHost, tmp_path):
    import slicer

    volume = addVolume()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(
        transform, np.diag([1.0, 1, 1, 1]) + 5 * np.eye(4, k=3)
    )
    volume.SetAndObserveTransformNodeID(transform.GetID())
    before = slicer.mrmlScene.GetNumberOfNodes()
    assert slicer.util.exportNode(volume, str(tmp_path / "out.nrrd"), {}, world=True)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert volume.GetStorageNode() is None
    assert slicer.util.loadVolume(str(tmp_path / "out.nrrd")).GetOrigin()[0] == 5


def test_a_transform_is_loaded(slicerHost, tmp_path):
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Move")
    slicer.util.updateTransformMatrixFromArray(transform, np.eye(4) + 7 * np.eye(4, k=3))
    slicer.util.saveNode(transform, str(tmp_path / "Move.h5"))
    loaded = slicer.util.loadTransform(str(tmp_path / "Move.h5"))
    assert slicer.util.arrayFromTransformMatrix(loaded)[0, 3] == 7


@pytest.mark.parametrize("suffix", [".mrb", ""])
def test_a_scene_with_its_data_round_trips(slicerHost, tmp_path, suffix):
    import slicer

    addVolume("T1").SetAttribute("SAMI2I.synthetic", "true")
    path = tmp_path / f"scene{suffix}"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear()
    found = path if suffix else next(path.glob("*.mrml"))
    slicer.util.loadScene(str(found))
    loaded = slicer.util.getNode("T1")
    assert loaded.GetAttribute("SAMI2I.synthetic") == "true"
    assert slicer.util.arrayFromVolume(loaded).max() == 23


def test_data_nodes_have_subject_hierarchy_items(slicerHost):
    import slicer

    volume = addVolume()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume)
    assert item != hierarchy.GetInvalidItemID()
    assert hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Visit 1")
    hierarchy.SetItemParent(item, folder)
    slicer.mrmlScene.RemoveNode(volume)
    assert hierarchy.GetItemByDataNode(volume) == hierarchy.GetInvalidItemID()
    slicer.mrmlScene.Clear()
    volume = addVolume("after closing")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.GetItemName(hierarchy.GetItemByDataNode(volume)) == "after closing"


def test_reset_leaves_nothing_to_the_next_test(slicerHost):
    import slicer

    slicerHost.reset()
    before = slicer.mrmlScene.GetNumberOfNodes()
    addVolume()
    slicer.app.settings().setValue("SAMI2I/device", "cpu")
    slicerHost.answer(True)
    slicerHost.reset()
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert slicer.app.settings().contains("SAMI2I/device") is False
    assert slicer.app.testingEnabled() is True
