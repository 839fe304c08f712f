"""The stand-ins of CTK's and MRML's widgets do what a user sees of the real ones."""

import gc
import weakref

import pytest


def addVolume(name):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


@pytest.fixture
def box(slicerHost):
    """A node box for scalar volumes in the scene."""
    import slicer

    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    made.setMRMLScene(slicer.mrmlScene)
    return made


def choose(box, label):
    """Pick an entry of the box as a user does."""
    import qt

    inner = box.findChild(qt.QComboBox)
    index = inner.findText(label)
    assert index >= 0, [inner.itemText(i) for i in range(inner.count)]
    inner.setCurrentIndex(index)
    inner.activated.emit(index)


def test_a_node_box_reports_what_the_user_picks(box):
    seen = []
    box.connect(
        "currentNodeChanged(vtkMRMLNode*)", lambda node: seen.append(node and node.GetName())
    )
    box.connect("currentNodeChanged(bool)", seen.append)
    box.connect("nodeActivated(vtkMRMLNode*)", lambda node: seen.append("by the user"))
    addVolume("T1")
    addVolume("PD")
    choose(box, "PD")
    assert seen == ["T1", True, "PD", True, "by the user"]
    assert box.currentNodeID == box.currentNode().GetID()


def test_none_is_an_entry_only_where_it_is_enabled(box):
    box.noneEnabled = True
    box.noneDisplay = "Create new volume"
    addVolume("T1")
    assert box.currentNode() is None
    choose(box, "T1")
    choose(box, "Create new volume")
    assert box.currentNode() is None
    assert box.currentNodeID == ""
    box.noneEnabled = False
    assert box.currentNode().GetName() == "T1"


def test_the_commands_of_a_node_box(box, slicerHost):
    import slicer

    edited, added = [], []
    box.renameEnabled = box.editEnabled = True
    box.baseName = "Result"
    box.connect("nodeAboutToBeEdited(vtkMRMLNode*)", edited.append)
    box.connect("nodeAddedByUserAction(vtkMRMLNode*)", added.append)
    choose(box, "Create new Volume")
    node = box.currentNode()
    assert added == [node]
    assert node.GetName() == "Result"
    slicerHost.answer("T2")
    choose(box, "Rename current node")
    assert node.GetName() == "T2"
    choose(box, "Edit current node")
    assert edited == [node]
    choose(box, "Delete current node")
    assert slicer.mrmlScene.GetFirstNodeByName("T2") is None
    assert box.nodeCount() == 0


def test_a_node_box_shows_renamed_nodes_and_own_actions(box):
    import qt

    ran, names = [], []
    node = addVolume("T1")
    box.connect("currentNodeRenamed(QString)", names.append)
    node.SetName("T1 of visit 2")
    assert names == ["T1 of visit 2"]
    choose(box, "T1 of visit 2")
    action = qt.QAction("Load a volume", box)
    action.connect("triggered()", lambda: ran.append(True))
    box.addMenuAction(action)
    choose(box, "Load a volume")
    assert ran == [True]
    assert box.currentNode() is node


def test_a_node_box_filters_by_class_attribute_and_visibility(box):
    import slicer

    plain, marked, hidden = addVolume("plain"), addVolume("marked"), addVolume("hidden")
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    marked.SetAttribute("synthetic", "true")
    hidden.SetHideFromEditors(True)
    box.setMRMLScene(None)
    assert box.nodeCount() == 0
    box.setMRMLScene(slicer.mrmlScene)
    assert [box.nodeFromIndex(i) for i in range(box.nodeCount())] == [plain, marked, labels]
    box.showChildNodeTypes = False
    assert box.nodeCount() == 2
    box.addAttribute("vtkMRMLScalarVolumeNode", "synthetic", "true")
    assert [box.nodeFromIndex(i) for i in range(box.nodeCount())] == [marked]
    plain.SetAttribute("synthetic", "true")  # a node is marked after it was added
    assert [box.nodeFromIndex(i) for i in range(box.nodeCount())] == [plain, marked]
    marked.RemoveAttribute("synthetic")
    assert [box.nodeFromIndex(i) for i in range(box.nodeCount())] == [plain]
    box.addAttribute("vtkMRMLModelNode", "synthetic", "false")  # not a type of this box
    assert box.nodeCount() == 1
    box.removeAttribute("vtkMRMLScalarVolumeNode", "synthetic")
    box.showHidden = True
    assert box.nodeCount() == 3
    box.setCurrentNodeIndex(2)
    assert box.currentNode() is hidden
    box.setCurrentNodeID(plain.GetID())
    assert box.currentNode() is plain


def test_a_node_box_keeps_no_node_alive(box):
    import slicer

    node = addVolume("T1")
    gone = weakref.ref(node)
    slicer.mrmlScene.RemoveNode(node)
    del node
    gc.collect()
    assert gone() is None


def test_a_box_stays_quiet_while_the_scene_is_busy(box):
    import slicer

    calls = []
    box.connect("currentNodeChanged(vtkMRMLNode*)", calls.append)
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    node = addVolume("T1")
    assert calls == []
    slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)
    assert calls == [node]


def test_a_slider_widget_keeps_its_parts_in_step(slicerHost):
    import ctk
    import qt

    values = []
    widget = ctk.ctkSliderWidget()
    widget.connect("valueChanged(double)", values.append)
    widget.minimum, widget.maximum, widget.singleStep, widget.decimals = -1, 1, 0.5, 1
    widget.value = 0.5
    assert values == [0.5]
    assert widget.findChild(qt.QSlider).value == 3
    widget.findChild(qt.QSlider).sliderMoved.emit(4)
    assert (values, widget.value) == ([0.5, 1.0], 1.0)
    widget.suffix = " mm"
    assert widget.findChild(qt.QDoubleSpinBox).text == "1.0 mm"
    widget.reset()
    assert widget.value == -1


def test_a_double_spin_box_passes_its_signals_on(slicerHost):
    import ctk

    values = []
    widget = ctk.ctkDoubleSpinBox()
    widget.connect("valueChanged(double)", values.append)
    widget.decimals, widget.maximum = 1, 10
    widget.setValue(2.5)
    assert (values, widget.value) == ([2.5], 2.5)


def test_a_path_is_typed_or_browsed(slicerHost, tmp_path):
    import ctk

    paths, valid = [], []
    widget = ctk.ctkPathLineEdit()
    widget.connect("currentPathChanged(QString)", paths.append)
    widget.connect("validInputChanged(bool)", valid.append)
    widget.currentPath = str(tmp_path)
    slicerHost.answer("/no/such/file")
    widget.browse()
    assert paths == [str(tmp_path), "/no/such/file"]
    assert valid == [True, False]


def test_a_mrml_widget_hands_its_scene_on(slicerHost):
    import slicer

    scenes = []
    widget = slicer.qMRMLWidget()
    widget.connect("mrmlSceneChanged(vtkMRMLScene*)", scenes.append)
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setMRMLScene(None)
    assert scenes == [slicer.mrmlScene, None]


def test_quitting_is_announced_without_quitting(slicerHost):
    import slicer

    heard = []

    def onQuit():
        heard.append(True)

    slicer.app.connect("aboutToQuit()", onQuit)
    slicerHost.announceQuit()
    slicer.app.disconnect("aboutToQuit()", onQuit)
    slicerHost.announceQuit()
    assert heard == [True]
