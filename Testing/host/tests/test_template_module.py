"""The host runs a module of the template's form: everything that a user or Slicer does to it."""

import numpy as np
import pytest


def addRamp(name="Ramp"):
    import slicer

    ramp = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return slicer.util.addVolumeFromArray(ramp, name=name)


def test_setup_fills_the_panel_and_explains_the_disabled_button(brighten):
    assert brighten.ui.applyButton.text == "Apply"
    assert brighten.ui.applyButton.enabled is False
    assert brighten.ui.applyButton.toolTip == "Choose both volumes"
    assert brighten.ui.modeComboBox.count == 2
    assert brighten.ui.advancedCollapsibleButton.collapsed is True
    assert brighten.ui.repeatsSpinBox.maximum == 5


def test_widgets_write_parameters(brighten):
    node = brighten._parameterNode
    brighten.ui.amountSlider.value = 25.5
    brighten.ui.repeatsSpinBox.value = 3
    brighten.ui.invertCheckBox.checked = True
    brighten.ui.modeComboBox.currentIndex = 1
    brighten.ui.noteLineEdit.text = "left"
    assert (node.amount, node.repeats, node.invert, node.mode, node.note) == (
        25.5, 3, True, "multiply", "left",
    )  # fmt: skip
    assert node.parameterNode.GetParameter("mode") == "multiply"


def test_parameters_write_widgets(brighten):
    node = brighten._parameterNode
    volume = addRamp()
    node.amount = -3
    node.repeats = 2
    node.invert = True
    node.mode = "multiply"
    node.note = "right"
    node.outputVolume = volume
    ui = brighten.ui
    assert ui.amountSlider.value == -3
    assert ui.repeatsSpinBox.value == 2
    assert ui.invertCheckBox.checked is True
    assert ui.modeComboBox.currentText == "multiply"
    assert ui.noteLineEdit.text == "right"
    assert ui.outputSelector.currentNode() is volume


def test_parameters_refuse_values_that_the_annotation_forbids(brighten):
    node = brighten._parameterNode
    with pytest.raises(ValueError, match=r"-100.* 100"):
        node.amount = 101
    with pytest.raises(ValueError, match="divide"):
        node.mode = "divide"
    with pytest.raises(TypeError, match="bool"):
        node.invert = "yes"
    with pytest.raises(ValueError, match="volume"):
        node.setValue("volume", 1)
    assert node.amount == 10


def test_node_boxes_follow_the_scene(brighten):
    import slicer

    box = brighten.ui.inputSelector
    assert box.currentNode() is None
    first, second = addRamp("first"), addRamp("second")
    assert box.nodeCount() == 2
    assert box.currentNode() is first
    box.setCurrentNode(second)
    assert brighten._parameterNode.inputVolume is second
    slicer.mrmlScene.RemoveNode(second)
    assert box.currentNode() is first
    assert brighten._parameterNode.inputVolume is first


def test_a_node_added_in_the_box_becomes_the_parameter(brighten):
    brighten.ui.outputSelector.baseName = "Bright"
    node = brighten.ui.outputSelector.addNode()
    assert node.GetName() == "Bright"
    assert brighten._parameterNode.outputVolume is node


def test_apply_computes_on_the_input_grid(brighten):
    import slicer

    ramp = addRamp()
    ramp.SetOrigin(1, 2, 3)
    output = brighten.ui.outputSelector.addNode()
    brighten.ui.inputSelector.setCurrentNode(ramp)
    assert brighten.ui.applyButton.enabled is True
    brighten.ui.applyButton.click()
    assert slicer.util.arrayFromVolume(output).min() == 10
    assert slicer.util.arrayFromVolume(output).max() == 33
    assert output.GetOrigin() == (1, 2, 3)


def test_scene_close_gives_a_fresh_parameter_node(brighten):
    import slicer

    addRamp()
    old = brighten._parameterNode
    old.amount = 50
    slicer.mrmlScene.Clear()
    assert brighten._parameterNode is not old
    assert brighten._parameterNode.amount == 10
    assert brighten.ui.amountSlider.value == 10
    assert brighten.ui.inputSelector.currentNode() is None


def test_scene_round_trip_restores_the_parameters(brighten, tmp_path):
    import slicer

    addRamp("kept")
    brighten._parameterNode.amount = 42
    brighten._parameterNode.mode = "multiply"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    brighten.initializeParameterNode()
    assert brighten._parameterNode.amount == 42
    assert brighten._parameterNode.mode == "multiply"
    assert brighten._parameterNode.inputVolume.GetName() == "kept"
    assert brighten.ui.amountSlider.value == 42


def test_reload_builds_a_new_panel_on_the_same_parameters(brighten, slicerHost):
    import slicer

    brighten._parameterNode.amount = 7
    brighten.onReload()
    slicerHost.processEvents()
    reloaded = slicer.modules.BrightenWidget
    assert reloaded is not brighten
    assert reloaded.ui.amountSlider.value == 7
    assert slicer.util.getModuleWidget("Brighten") is reloaded
    assert brighten.Observations == []


def test_leaving_the_module_stops_the_binding(brighten, slicerHost):
    slicerHost.selectModule("")
    assert brighten.parent.isEntered is False
    node = brighten.logic.getParameterNode()
    node.amount = 5
    assert brighten.ui.amountSlider.value == 10
    slicerHost.selectModule("Brighten")
    assert brighten.ui.amountSlider.value == 5


def test_the_modules_self_test_runs_with_its_sample(brighten):
    import slicer

    slicer.selfTests["Brighten"]()
    assert slicer.mrmlScene.GetFirstNodeByName("Ramp") is not None


def test_a_child_process_reports_through_the_event_loop(brighten, slicerHost):
    slicerHost.answer(True)
    brighten.ui.askButton.click()
    slicerHost.waitUntil(lambda: brighten.exitCode is not None, 20, "the child")
    assert brighten.exitCode == 3
    assert brighten.output.strip() == "hello from the child"


def test_unloading_cleans_the_module_up(brighten, slicerHost):
    import slicer

    slicerHost.unloadModule("Brighten")
    assert brighten.Observations == []
    assert not hasattr(slicer.modules, "brighten")
    assert slicer.util.moduleNames() == []
