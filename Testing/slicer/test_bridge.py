"""From node to file and back: place, transforms, display, provenance, and what is refused."""

import json

import numpy as np
import pytest

OBLIQUE = np.array(
    [[0.0, 0.35, -2.8, 90.1], [-0.9, 0.06, 0.2, 80.2], [0.06, 0.85, 1.1, -70.3], [0, 0, 0, 1]]
)
RECORD = {
    "output": "/private/x.nrrd", "sidecar": "/private/x.json", "synthetic": True,
    "intended_use": "Research use only.", "source_contrast": "T1", "target_contrast": "T2",
    "source": {"file": "source.nrrd", "sha256": "ab" * 32},
    "model": {"id": "demo", "sha256": "cd" * 32}, "software": {"version": "1.2"},
    "device": {"name": "CPU", "precision": "fp32"}, "date": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


def orthogonal(matrix):
    """The nearest matrix with right angles, the spacing kept."""
    result = matrix.copy()
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    left, _singular, right = np.linalg.svd(matrix[:3, :3] / spacing)
    result[:3, :3] = left @ right * spacing
    return result


OBLIQUE = orthogonal(OBLIQUE)
GRIDS = {
    "oblique sagittal": OBLIQUE,
    "left-handed": OBLIQUE @ np.diag([1.0, 1.0, -1.0, 1.0]),
    "flipped": np.diag([-1.0, 1.0, -3.0, 1.0]),
}


@pytest.fixture
def make_volume(slicerHost):
    import slicer

    def make(matrix=OBLIQUE, kind="int16", name="head"):
        array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(kind)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, array)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        node.CreateDefaultDisplayNodes()
        return node

    return make


@pytest.fixture
def add_transform(slicerHost):
    import slicer

    def add(matrix):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "move")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        return node

    return add


@pytest.fixture
def result_of(tmp_path):
    """What the child writes for a source: its voxels plus 100, on the written grid."""
    from SAMI2IPanel.bridge import writeVolume
    from SAMI2IPanel.nrrd import readNrrd, writeNrrd

    def run(node):
        geometry = writeVolume(node, tmp_path / "source.nrrd")
        array, matrix = readNrrd(tmp_path / "source.nrrd")
        writeNrrd(tmp_path / "result.nrrd", array.astype("float32") + 100, matrix)
        return tmp_path / "result.nrrd", geometry

    return run


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("kind", ["uint8", "int16", "float64"])
def test_result_lies_on_the_very_voxels_of_its_source(
    make_volume, result_of, matrix_of, matrix, kind
):
    import slicer
    from SAMI2IPanel.results import addSynthetic

    node = make_volume(matrix, kind)
    path, geometry = result_of(node)
    output = addSynthetic(path, RECORD, geometry)
    np.testing.assert_array_equal(matrix_of(output), matrix_of(node))
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(output), slicer.util.arrayFromVolume(node) + 100.0
    )


def test_source_is_not_changed_by_being_written(make_volume, result_of):
    node = make_volume()
    before = (node.GetMTime(), node.GetStorageNode(), node.GetName())
    result_of(node)
    assert (node.GetMTime(), node.GetStorageNode(), node.GetName()) == before


def test_rigid_transform_turns_the_slices_and_is_not_hardened(
    make_volume, add_transform, result_of, matrix_of, tmp_path
):
    from SAMI2IPanel.nrrd import readNrrd
    from SAMI2IPanel.results import addSynthetic

    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = (5, 6, 7)
    node, transform = make_volume(), add_transform(turn)
    node.SetAndObserveTransformNodeID(transform.GetID())
    path, geometry = result_of(node)
    np.testing.assert_allclose(readNrrd(tmp_path / "source.nrrd")[1], turn @ matrix_of(node))
    output = addSynthetic(path, RECORD, geometry)
    assert output.GetParentTransformNode() is transform
    np.testing.assert_array_equal(matrix_of(output), matrix_of(node))
    assert geometry.warnings == ()


def test_shearing_transform_is_left_out_and_said(make_volume, add_transform, result_of, matrix_of):
    shear = np.eye(4)
    shear[0, 1] = 0.4
    node = make_volume()
    node.SetAndObserveTransformNodeID(add_transform(shear).GetID())
    _path, geometry = result_of(node)
    np.testing.assert_array_equal(geometry.ijkToFile, matrix_of(node))
    assert "The transform of head shears it" in geometry.warnings[0]


def test_transform_that_is_not_linear_is_left_out_and_said(make_volume, result_of, matrix_of):
    import slicer
    import vtk

    node = make_volume()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    warp = vtk.vtkThinPlateSplineTransform()
    transform.SetAndObserveTransformToParent(warp)
    node.SetAndObserveTransformNodeID(transform.GetID())
    _path, geometry = result_of(node)
    np.testing.assert_array_equal(geometry.ijkToFile, matrix_of(node))
    assert "The transform of head is not linear" in geometry.warnings[0]


def test_result_on_another_grid_is_refused_and_nothing_is_added(make_volume, result_of, slicerHost):
    from SAMI2IPanel.nrrd import readNrrd, writeNrrd
    from SAMI2IPanel.protocol import PanelError
    from SAMI2IPanel.results import addSynthetic

    path, geometry = result_of(make_volume())
    array, matrix = readNrrd(path)
    before = slicerHost.scene.GetNumberOfNodes()
    for other, place in ((array[:2], matrix), (array, matrix @ np.diag([1, 1, 1.01, 1]))):
        writeNrrd(path, other, place)
        with pytest.raises(PanelError, match="does not lie on the grid of head"):
            addSynthetic(path, RECORD, geometry)
    path.write_bytes(b"")
    with pytest.raises(PanelError, match="damaged or no volume"):
        addSynthetic(path, RECORD, geometry)
    assert slicerHost.scene.GetNumberOfNodes() == before


def test_volumes_without_gray_voxels_are_refused(slicerHost, tmp_path):
    import slicer
    from SAMI2IPanel.bridge import writeVolume
    from SAMI2IPanel.protocol import PanelError

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(PanelError, match="The volume empty holds no image"):
        writeVolume(empty, tmp_path / "x.nrrd")
    color = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "color")
    slicer.util.updateVolumeFromArray(color, np.zeros((3, 4, 5, 3), "uint8"))
    with pytest.raises(PanelError, match="color has several values per voxel"):
        writeVolume(color, tmp_path / "x.nrrd")


def test_provenance_names_the_node_and_no_folder(make_volume, result_of):
    from SAMI2IPanel.bridge import RECORD_ATTRIBUTE, SOURCE_REFERENCE, isSynthetic
    from SAMI2IPanel.results import addSynthetic

    node = make_volume()
    output = addSynthetic(*with_record(result_of(node)))
    assert isSynthetic(output)
    assert output.GetName() == "head_synth-T2"
    assert output.GetNodeReference(SOURCE_REFERENCE) is node
    assert output.GetAttribute("SAMI2I.ModelID") == "demo"
    assert output.GetAttribute("SAMI2I.SourceSHA256") == "ab" * 32
    assert output.GetDescription().startswith("SYNTHETIC T2, made from head.")
    record = json.loads(output.GetAttribute(RECORD_ATTRIBUTE))
    assert record["source"] == {"node": "head", "sha256": "ab" * 32}
    assert "/private" not in output.GetAttribute(RECORD_ATTRIBUTE)


def test_bids_names_become_bids_names(make_volume, result_of):
    from SAMI2IPanel.results import addSynthetic

    output = addSynthetic(*with_record(result_of(make_volume(name="sub-01_T1w"))))
    assert output.GetName() == "sub-01_desc-synthetic_T2w"


def test_display_is_gray_with_a_window_of_its_own(make_volume, result_of):
    from SAMI2IPanel.results import addSynthetic

    node = make_volume()
    output = addSynthetic(*with_record(result_of(node)))
    display = output.GetDisplayNode()
    assert display is not node.GetDisplayNode()
    assert display.GetAutoWindowLevel()
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_result_joins_the_folder_of_its_source(make_volume, result_of, slicerHost):
    from SAMI2IPanel.results import addSynthetic

    hierarchy = slicerHost.scene.GetSubjectHierarchyNode()
    node = make_volume()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "visit 1")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
    output = addSynthetic(*with_record(result_of(node)))
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(output)) == folder


def test_chosen_output_is_filled_and_renamed_unless_its_name_says_synthetic(make_volume, result_of):
    import slicer
    from SAMI2IPanel.results import addSynthetic

    path, geometry = result_of(make_volume())
    for name, expected in (("Volume", "head_synth-T2"), ("my synthetic", "my synthetic")):
        chosen = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        assert addSynthetic(path, RECORD, geometry, chosen) is chosen
        assert chosen.GetName() == expected


def test_filled_output_is_not_called_after_an_earlier_target_or_source(make_volume, result_of):
    from SAMI2IPanel.results import addSynthetic

    path, geometry = result_of(make_volume())
    output = addSynthetic(path, RECORD, geometry)
    addSynthetic(path, RECORD | {"target_contrast": "PD"}, geometry, output)
    assert output.GetName() == "head_synth-PD"
    other, place = result_of(make_volume(name="other"))
    addSynthetic(other, RECORD, place, output)
    assert output.GetName() == "other_synth-T2"
    addSynthetic(other, RECORD, place, output)
    assert output.GetName() == "other_synth-T2"


@pytest.mark.parametrize("kind", ["error", "uncertainty"])
def test_map_that_is_filled_with_an_image_is_not_called_a_map(make_volume, result_of, kind):
    from SAMI2IPanel.bridge import UNCERTAINTY_ATTRIBUTE
    from SAMI2IPanel.results import addErrorMap, addSynthetic

    path, geometry = result_of(make_volume())
    node = addSynthetic(path, RECORD, geometry)
    if kind == "error":
        result, node = node, addErrorMap(path, node, geometry)
        assert node.GetNodeReference("SAMI2I.Source") is result.GetNodeReference("SAMI2I.Source")
    else:
        node.SetName("head_synth-T2_uncertainty")
        node.SetAttribute(UNCERTAINTY_ATTRIBUTE, "true")
    addSynthetic(path, RECORD, geometry, node)
    assert "synth-T2" in node.GetName()
    assert "error" not in node.GetName()
    assert "uncertainty" not in node.GetName()


def test_earlier_marks_do_not_survive_in_a_node_that_is_filled_again(make_volume, result_of):
    from SAMI2IPanel.bridge import ERROR_MAP_ATTRIBUTE, isSynthetic
    from SAMI2IPanel.results import addSynthetic

    path, geometry = result_of(make_volume())
    output = addSynthetic(path, RECORD, geometry)
    output.SetAttribute(ERROR_MAP_ATTRIBUTE, "true")
    output.SetAttribute("Mine", "kept")
    marks = set()
    output.AddObserver("ModifiedEvent", lambda node, _event: marks.add(isSynthetic(node)))
    addSynthetic(path, RECORD, geometry, output)
    assert marks == {True}  # never unmarked in between
    assert output.GetAttribute(ERROR_MAP_ATTRIBUTE) is None
    assert output.GetAttribute("Mine") == "kept"


def test_source_output_and_transform_may_leave_the_scene_during_the_run(
    make_volume, add_transform, result_of, matrix_of
):
    import slicer
    from SAMI2IPanel.results import addSynthetic

    node, transform = make_volume(), add_transform(np.eye(4))
    chosen = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "chosen")
    node.SetAndObserveTransformNodeID(transform.GetID())
    place = matrix_of(node)
    path, geometry = result_of(node)
    for gone in (transform, node, chosen):
        slicer.mrmlScene.RemoveNode(gone)
    output = addSynthetic(path, RECORD, geometry, chosen)
    assert output is not chosen
    assert output.GetParentTransformNode() is None
    np.testing.assert_array_equal(matrix_of(output), place)


def test_volume_on_another_grid_keeps_its_place_under_the_transform(
    make_volume, add_transform, result_of, matrix_of, tmp_path
):
    from SAMI2IPanel.nrrd import writeNrrd
    from SAMI2IPanel.results import addWorkingGrid

    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    node = make_volume()
    node.SetAndObserveTransformNodeID(add_transform(turn).GetID())
    _path, geometry = result_of(node)
    world = np.diag([-1.0, -1.0, 2.0, 1.0])
    writeNrrd(tmp_path / "slices.nrrd", np.ones((2, 6, 6), "float32"), world)
    output = addWorkingGrid(tmp_path / "slices.nrrd", RECORD, geometry)
    assert output.GetName() == "head_synth-T2_slices"
    np.testing.assert_allclose(turn @ matrix_of(output), world, atol=1e-9)


def with_record(result):
    path, geometry = result
    return path, RECORD, geometry


def test_uncertainty_map_without_its_record_is_refused(make_volume, result_of):
    import slicer
    from SAMI2IPanel.protocol import PanelError
    from SAMI2IPanel.results import addSynthetic, addUncertainty

    path, geometry = result_of(make_volume())
    output = addSynthetic(path, RECORD, geometry)
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(PanelError, match="record of the uncertainty map is damaged"):
        addUncertainty(path, output, geometry)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
