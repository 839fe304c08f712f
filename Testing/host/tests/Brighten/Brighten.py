"""A small scripted module in the template's order: the host's own test runs it."""

import logging
import sys
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *  # noqa: F403
from slicer.util import VTKObservationMixin


class Brighten(ScriptedLoadableModule):  # noqa: F405
    """Registration."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        self.parent.title = _("Brighten")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        self.parent.contributors = ["The host's test"]
        self.parent.helpText = _("Adds a number to every voxel.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """One sample made on demand."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Brighten", sampleName="BrightenRamp", customDownloader=lambda source: makeRamp()
    )


def makeRamp():
    """A 4 x 3 x 2 volume with voxels 0 to 23."""
    import numpy as np

    ramp = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return slicer.util.addVolumeFromArray(ramp, name="Ramp")


@parameterNodeWrapper
class BrightenParameterNode:
    """The parameters, saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    amount: Annotated[float, WithinRange(-100, 100)] = 10
    repeats: Annotated[int, WithinRange(1, 5)] = 1
    invert: bool = False
    mode: Annotated[str, Choice(["add", "multiply"]), Default("add")]
    note: str = ""


class BrightenWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.process = None
        self.output = ""
        self.exitCode = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Brighten.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BrightenLogic()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.askButton.clicked.connect(self.onAskButton)
        self.initializeParameterNode()

    def cleanup(self):
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply
            )
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller=None, event=None):
        node = self._parameterNode
        ready = bool(node and node.inputVolume and node.outputVolume)
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Compute") if ready else _("Choose both volumes")

    def onApplyButton(self):
        with slicer.util.tryWithErrorDisplay(_("Failed to compute."), waitCursor=True):
            node = self._parameterNode
            self.logic.process(node.inputVolume, node.outputVolume, node.amount)

    def onAskButton(self):
        if slicer.util.confirmYesNoDisplay(_("Start the child process?")):
            self.startProcess("print('hello from the child'); import sys; sys.exit(3)")

    def startProcess(self, code):
        self.process = qt.QProcess()
        self.process.connect("readyReadStandardOutput()", self.onOutput)
        self.process.connect("finished(int,QProcess::ExitStatus)", self.onFinished)
        self.process.start(sys.executable, ["-c", code])

    def onOutput(self):
        self.output += self.process.readAllStandardOutput().data().decode()

    def onFinished(self, exitCode, exitStatus):
        self.exitCode = exitCode
        if exitStatus != qt.QProcess.NormalExit:
            logging.warning("The child crashed.")


class BrightenLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    """The computation."""

    def getParameterNode(self):
        return BrightenParameterNode(super().getParameterNode())

    def process(self, inputVolume, outputVolume, amount):
        """Write input + amount into the output, on the input's grid."""
        if not inputVolume or not outputVolume:
            raise ValueError("Choose an input and an output volume.")
        voxels = slicer.util.arrayFromVolume(inputVolume) + amount
        outputVolume.CopyOrientation(inputVolume)
        slicer.util.updateVolumeFromArray(outputVolume, voxels)


class BrightenTest(ScriptedLoadableModuleTest):  # noqa: F405
    """The self-test."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_ramp_is_brighter()

    def test_ramp_is_brighter(self):
        import SampleData

        self.delayDisplay("Start", 0)
        ramp = SampleData.downloadSample("BrightenRamp")
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        BrightenLogic().process(ramp, output, 5)
        self.assertEqual(slicer.util.arrayFromVolume(output).max(), 28)
