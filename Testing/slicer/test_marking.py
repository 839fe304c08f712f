"""SYNTHETIC in the slice views: there while such a volume is visible, and only then."""

import numpy as np
import pytest

TEXT = "SYNTHETIC T2: research use only"


@pytest.fixture
def marker(slicerHost):
    import slicer
    from SAMI2IPanel.marking import startMarking, stopMarking

    startMarking()
    yield slicer.modules.SAMI2IMarker
    stopMarking()


@pytest.fixture
def volumes(slicerHost):
    """A scan, a synthetic volume, an error map and an uncertainty map."""
    import slicer
    from SAMI2IPanel.bridge import (
        ERROR_MAP_ATTRIBUTE,
        SYNTHETIC_ATTRIBUTE,
        TARGET_ATTRIBUTE,
        UNCERTAINTY_ATTRIBUTE,
    )

    nodes = {}
    for name in ("scan", "synthetic", "error", "uncertainty"):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, np.ones((3, 4, 5), "int16"))
        node.CreateDefaultDisplayNodes()
        nodes[name] = node
    for name in ("synthetic", "error", "uncertainty"):
        nodes[name].SetAttribute(SYNTHETIC_ATTRIBUTE, "true")
        nodes[name].SetAttribute(TARGET_ATTRIBUTE, "T2")
    nodes["error"].SetAttribute(ERROR_MAP_ATTRIBUTE, "true")
    nodes["uncertainty"].SetAttribute(UNCERTAINTY_ATTRIBUTE, "true")
    return nodes


@pytest.fixture
def show(slicerHost, volumes):
    import slicer

    def show(background=None, foreground=None, opacity=0.5):
        slicer.util.setSliceViewerLayers(
            background=volumes.get(background),
            foreground=volumes.get(foreground),
            foregroundOpacity=opacity,
        )

    return show


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (("scan",), ""),
        (("uncertainty",), "UNCERTAINTY of a SYNTHETIC volume"),
        (("synthetic", "uncertainty"), TEXT),
        (("synthetic",), TEXT),
        (("scan", "synthetic"), TEXT),
        (("scan", "synthetic", 0.0), ""),
        (("synthetic", "scan", 1.0), ""),
        (("synthetic", "scan", 0.9), TEXT),
        (("error",), "ERROR MAP: SYNTHETIC minus real"),
        (("synthetic", "error"), TEXT),
        ((), ""),
    ],
)
def test_views_say_what_they_show(marker, show, shown, text):
    show("synthetic")  # so that a stale mark would be seen
    show(*shown)
    assert [marker.text(view) for view in ("Red", "Yellow", "Green")] == [text] * 3


@pytest.mark.parametrize("opening", ["smaller", "threshold", "reversed", "added"])
def test_synthetic_volume_that_is_seen_beside_or_through_the_foreground_is_marked(
    marker, show, volumes, opening
):
    import slicer

    show("synthetic", "scan", 1.0)
    assert marker.text("Red") == ""
    kinds = slicer.vtkMRMLSliceCompositeNode
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    if opening == "smaller":
        slicer.util.updateVolumeFromArray(volumes["scan"], np.ones((3, 4, 2), "int16"))
    elif opening == "threshold":
        volumes["scan"].GetDisplayNode().SetApplyThreshold(True)
    else:
        composite.SetCompositing(kinds.ReverseAlpha if opening == "reversed" else kinds.Add)
    try:
        composite.Modified()
        assert marker.text("Red") == TEXT
    finally:
        composite.SetCompositing(kinds.Alpha)


def test_synthetic_volume_in_a_further_layer_is_marked(marker, show, volumes):
    import slicer

    show("scan")
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    layer = slicer.vtkMRMLSliceCompositeNode.Layer_Last
    composite.SetNthLayerVolumeID(layer, volumes["synthetic"].GetID())
    try:
        assert marker.text("Red") == TEXT
    finally:
        composite.SetNthLayerVolumeID(layer, None)
    assert marker.text("Red") == ""


def test_mark_is_drawn_in_the_view_and_not_in_slicers_own_annotation(marker, show):
    import slicer

    show("synthetic")
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
    drawn = [prop for prop in renderer.GetViewProps() if prop.IsA("vtkCornerAnnotation")]
    texts = {prop.GetText(position) for prop in drawn for position in range(8)}
    assert TEXT in texts
    assert all(view.cornerAnnotation().GetText(corner) in (None, "") for corner in range(8))


def test_mark_goes_with_the_scene_and_with_the_marker(slicerHost, marker, show):
    show("synthetic")
    slicerHost.scene.Clear()
    assert marker.text("Red") == ""


def test_closed_marker_leaves_nothing_in_the_views(marker, show):
    import slicer
    from SAMI2IPanel.marking import stopMarking

    show("synthetic")
    stopMarking()
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
    drawn = [prop for prop in renderer.GetViewProps() if prop.IsA("vtkCornerAnnotation")]
    assert all(prop is view.cornerAnnotation() for prop in drawn)


def test_node_that_becomes_synthetic_while_it_is_shown_is_marked(marker, show, volumes):
    from SAMI2IPanel.bridge import SYNTHETIC_ATTRIBUTE
    from SAMI2IPanel.marking import updateMarks

    show("scan")
    volumes["scan"].SetAttribute(SYNTHETIC_ATTRIBUTE, "true")
    updateMarks()
    assert marker.text("Red").startswith("SYNTHETIC")
