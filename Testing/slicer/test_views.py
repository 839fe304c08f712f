"""Source and result in the views, and how the views were before."""

import numpy as np
import pytest


@pytest.fixture
def pair(slicerHost):
    """Two volumes to look at."""
    import slicer

    nodes = []
    for name in ("source", "result"):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, np.ones((3, 4, 5), "int16"))
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
    return nodes


def slice_of(name):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def composite_of(name):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


@pytest.mark.parametrize("then", ["blended", "alone"])
def test_layout_plane_and_links_come_back_after_side_by_side(slicerHost, pair, then):
    import slicer
    from SAMI2IPanel import views

    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
    slice_of("Yellow").SetOrientation("Coronal")
    for name in ("Red", "Yellow"):
        composite_of(name).SetLinkedControl(False)
    for _twice in range(2):
        views.showSideBySide(*pair)
    assert manager.layout == views.SIDE_BY_SIDE
    assert slice_of("Yellow").GetOrientation() == slice_of("Red").GetOrientation() == "Axial"
    assert composite_of("Yellow").GetLinkedControl()
    views.showBlended(*pair) if then == "blended" else views.showAlone(pair[1])
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    assert slice_of("Yellow").GetOrientation() == "Coronal"
    assert not composite_of("Red").GetLinkedControl()
    assert not composite_of("Yellow").GetLinkedControl()


def test_layout_that_the_user_has_chosen_since_stays(slicerHost, pair):
    import slicer
    from SAMI2IPanel import views

    manager = slicer.app.layoutManager()
    views.showSideBySide(*pair)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    views.showAlone(pair[1])
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert slice_of("Yellow").GetOrientation() == "Axial"
