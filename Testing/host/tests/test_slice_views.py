"""Slice views render off screen what Slicer's slice logics blend."""

import numpy as np

SIZE = 90


def addBlock(name, right, anterior, superior, value=100.0):
    """A 30 mm cube of zeros around the origin with a bright block in one octant of RAS."""
    import slicer

    kji = np.zeros((30, 30, 30), np.float32)
    half = {True: slice(15, 30), False: slice(0, 15)}
    kji[half[superior], half[anterior], half[right]] = value
    ijkToRas = [[1, 0, 0, -14.5], [0, 1, 0, -14.5], [0, 0, 1, -14.5], [0, 0, 0, 1]]
    node = slicer.util.addVolumeFromArray(kji, ijkToRAS=np.array(ijkToRas), name=name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(200, 100)
    return node


def quarters(picture):
    """Mean gray of [top left, top right, bottom left, bottom right]."""
    h = SIZE // 2
    return [round(float(part.mean())) for part in (
        picture[:h, :h], picture[:h, h:], picture[h:, :h], picture[h:, h:],
    )]  # fmt: skip


def test_views_show_the_patient_as_a_radiologist_expects(slicerHost, sliceViews, tmp_path):
    """The patient's right is on the left; anterior, then superior, is on top or on the left."""
    import slicer

    block = addBlock("RAS", right=True, anterior=True, superior=True)
    slicer.util.setSliceViewerLayers(background=block)
    slicerHost.grabSlices(tmp_path / "slices.png", SIZE)
    for name in sliceViews.sliceViewNames():
        sliceViews.sliceWidget(name).mrmlSliceNode().JumpSliceByOffsetting(7, 7, 7)
    row = slicerHost.grabSlices(tmp_path / "slices.png", SIZE, fit=False)
    for view in range(3):
        topLeft, *others = quarters(row[:, view * SIZE : (view + 1) * SIZE])
        assert topLeft > 100
        assert max(others) < 10


def test_blending_mixes_background_and_foreground(slicerHost, sliceViews, tmp_path):
    import slicer

    below = addBlock("below", True, True, True, value=0)
    above = addBlock("above", True, True, True, value=0)
    slicer.util.arrayFromVolume(below)[:] = 40  # of window 0 to 200: gray 51
    slicer.util.arrayFromVolumeModified(below)
    slicer.util.arrayFromVolume(above)[:] = 160  # gray 204
    slicer.util.arrayFromVolumeModified(above)
    slicer.util.setSliceViewerLayers(background=below, foreground=above, foregroundOpacity=0.5)
    row = slicerHost.grabSlices(tmp_path / "slices.png", SIZE)
    assert abs(int(row[SIZE // 2, SIZE // 2, 0]) - (51 + 204) // 2) <= 2


def test_the_corner_annotation_is_in_the_picture(slicerHost, sliceViews, tmp_path):
    import vtk

    without = slicerHost.grabSlices(tmp_path / "without.png", SIZE)
    annotation = sliceViews.sliceWidget("Red").sliceView().cornerAnnotation()
    annotation.SetText(vtk.vtkCornerAnnotation.UpperLeft, "SYNTHETIC")
    row = slicerHost.grabSlices(tmp_path / "with.png", SIZE)
    assert without.max() == 0
    assert row[: SIZE // 2, :SIZE].max() > 200
    assert row[SIZE // 2 :].max() == 0


def test_closing_the_scene_empties_the_views_and_keeps_their_nodes(
    slicerHost, sliceViews, tmp_path
):
    import slicer

    block = addBlock("RAS", True, True, True)
    slicer.util.setSliceViewerLayers(background=block, fit=True)
    node = sliceViews.sliceWidget("Red").mrmlSliceNode()
    slicer.mrmlScene.Clear()
    assert sliceViews.sliceWidget("Red").mrmlSliceNode() is node
    assert sliceViews.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
    assert slicerHost.grabSlices(tmp_path / "empty.png", SIZE).max() == 0
