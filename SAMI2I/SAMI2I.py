"""SAM-I2I in 3D Slicer: makes a missing MRI contrast (T2 or PD) of the head from a T1 volume."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

MODULE_FOLDER = Path(__file__).resolve().parent
# An installed extension has SAMI2ILib beside this file; the source tree has it one folder up.
for folder in (MODULE_FOLDER, MODULE_FOLDER.parent):
    if (folder / "SAMI2ILib").is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from SAMI2IPanel import marking, private_folder, sample_data, saved_files  # noqa: E402
from SAMI2IPanel.bridge import isSynthetic  # noqa: E402
from SAMI2IPanel.jobs import (  # noqa: E402
    CommandJob,
    Job,
    TranslationJob,
    TranslationOptions,
)
from SAMI2IPanel.panel import Panel  # noqa: E402
from SAMI2IPanel.protocol import Outcome, PanelError  # noqa: E402
from SAMI2IPanel.self_test import SelfTest  # noqa: E402

from SAMI2ILib.about import INTENDED_USE, REPOSITORY_URL  # noqa: E402

DEVICES = ["auto", "cpu", "cuda:0", "cuda:1", "cuda:2", "cuda:3"]
PRECISIONS = ["auto", "fp32", "bf16", "fp16"]


class SAMI2I(ScriptedLoadableModule):
    """What Slicer shows of the module in its lists."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SAM-I2I")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = []
        self.parent.contributors = ["The SAM-I2I for 3D Slicer developers"]
        self.parent.helpText = _(
            "Makes a missing MRI contrast of the head, T2 or PD, from a T1 volume and adds it to "
            "the scene as a new volume, marked synthetic. {use} See the "
            '<a href="{url}">documentation</a>.'
        ).format(use=INTENDED_USE, url=REPOSITORY_URL)
        self.parent.acknowledgementText = _(
            "The method is SAM-I2I by Huo, Ourselin and Sparks, King's College London "
            '(<a href="https://arxiv.org/abs/2411.12755">arXiv:2411.12755</a>).'
        )
        slicer.app.connect("startupCompleted()", onStartupCompleted)
        slicer.app.connect("aboutToQuit()", onAboutToQuit)


def onStartupCompleted() -> None:
    """Mark synthetic volumes whichever module shows or saves them, and offer the sample head."""
    marking.startMarking()
    saved_files.startWritingSidecars()
    sample_data.registerSampleData()


def onAboutToQuit() -> None:
    """Let go of scene and views before Slicer takes them down, which does not wait for Python."""
    marking.stopMarking()
    saved_files.stopWritingSidecars()


@parameterNodeWrapper
class SAMI2IParameterNode:
    """Every choice of the panel; it is saved with the scene.

    Attributes:
        inputVolume: The scan to translate.
        sourceContrast: Its contrast; empty means as guessed.
        targetContrast: The contrast to make.
        model: Id of a model; empty means the best for the pair.
        outputVolume: The volume to fill; None makes a new one.
        addUncertainty: Add a map of the doubt as a second volume.
        resultVolume: The synthetic volume to look at or to measure.
        referenceVolume: A real scan of the target contrast.
        alignReference: Register it before measuring.
        device: Where the network runs.
        precision: In which numbers.
        batchSize: Slices at a time; 0 means as memory allows.
        keepWorkingGrid: Add the result on the grid of the slices as well.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    sourceContrast: str = ""
    targetContrast: str = "T2"
    model: str = ""
    outputVolume: vtkMRMLScalarVolumeNode
    addUncertainty: bool = False
    resultVolume: vtkMRMLScalarVolumeNode
    referenceVolume: vtkMRMLScalarVolumeNode
    alignReference: bool = False
    device: Annotated[str, Choice(DEVICES)] = "auto"
    precision: Annotated[str, Choice(PRECISIONS)] = "auto"
    batchSize: Annotated[int, WithinRange(0, 256)] = 0
    keepWorkingGrid: bool = False


class SAMI2IWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Builds the panel and ties it to Slicer: scene, parameter node, reload, exit."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: SAMI2ILogic | None = None
        self.panel: Panel | None = None
        self._parameterNode: SAMI2IParameterNode | None = None
        self._parameterNodeGuiTag: Any = None

    def setup(self) -> None:
        """Build the panel when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SAMI2I.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = SAMI2ILogic()
        self.panel = Panel(self.ui, self.logic, lambda: self._parameterNode)
        self.panel.isEntered = self.parent.isEntered  # so after it was loaded again
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        slicer.app.connect("aboutToQuit()", self.logic.close)
        self.initializeParameterNode()
        marking.startMarking()
        saved_files.startWritingSidecars()
        private_folder.removeStaleFolders()
        # After the panel is shown: the child processes take longer than the panel itself.
        qt.QTimer.singleShot(0, self.panel.refresh)

    def cleanup(self) -> None:
        """End what runs when the application closes or the module is loaded again."""
        if self.logic is not None:
            slicer.app.disconnect("aboutToQuit()", self.logic.close)
            self.logic.close()
        if self.panel is not None:
            self.setParameterNode(None)
            self.panel.close()
        self.removeObservers()

    def onReload(self) -> None:
        """Load the helpers and the library again as well: Slicer itself loads this file only."""
        marking.stopMarking()
        saved_files.stopWritingSidecars()
        if self.logic is not None:
            self.logic.close()
        for name in list(sys.modules):
            if name.split(".")[0] in ("SAMI2IPanel", "SAMI2ILib"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        """The user opens this module."""
        self.panel.isEntered = True
        self.initializeParameterNode()

    def exit(self) -> None:
        """The user opens another module; what runs goes on."""
        self.panel.isEntered = False
        if self._parameterNode is not None:
            self._disconnectParameterNode()

    def onSceneStartClose(self, _caller: Any, _event: Any) -> None:
        """End what runs: its volume is about to go."""
        self.panel.stop()
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: Any) -> None:
        """Begin again with an empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Take the scene's parameter node, and the first scan as input where none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.inputVolume is None:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            plain = [v for v in volumes if v.GetClassName() == "vtkMRMLScalarVolumeNode"]
            self._parameterNode.inputVolume = next((v for v in plain if not isSynthetic(v)), None)

    def setParameterNode(self, parameterNode: SAMI2IParameterNode | None) -> None:
        """Show and observe a parameter node instead of the one before."""
        if self._parameterNode is not None:
            self._disconnectParameterNode()
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            # The mixin keeps the wrapper for good, and must: Slicer 5.10 leaves an observer of a
            # disconnected wrapper on the node, which VTK would call after Python has collected it.
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onModified)
        self.panel.update()

    def _disconnectParameterNode(self) -> None:
        if self._parameterNodeGuiTag is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onModified)

    def _onModified(self, _caller: Any = None, _event: Any = None) -> None:
        self.panel.update()


class SAMI2ILogic(ScriptedLoadableModuleLogic):
    """Runs the library in child processes; works without the panel."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._job: Job | None = None
        self._queries: list[Job] = []

    def getParameterNode(self) -> SAMI2IParameterNode:
        """The scene's choices."""
        return SAMI2IParameterNode(super().getParameterNode())

    @property
    def isBusy(self) -> bool:
        """Whether a job runs."""
        return self._job is not None and self._job.isRunning

    @property
    def job(self) -> Job | None:
        """The job that runs."""
        return self._job

    def process(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        outputVolume: vtkMRMLScalarVolumeNode | None = None,
        targetContrast: str = "T2",
        model: str = "",
        **options: Any,
    ) -> vtkMRMLScalarVolumeNode:
        """Translate a volume and wait for the result; for scripts and tests.

        Args:
            inputVolume: The scan to translate.
            outputVolume: The node to fill; None makes a new one.
            targetContrast: The contrast to make.
            model: Id or path of a model; empty takes the best for the pair.
            **options: Further fields of `TranslationOptions`.

        Returns:
            The synthetic volume.

        Raises:
            PanelError: The translation failed; the text says why and what to do.
        """
        ended: list[Outcome] = []
        choice = TranslationOptions(targetContrast, model=model, **options)
        job = TranslationJob(inputVolume, outputVolume, choice, lambda _event: None, ended.append)
        self.start(job)
        job.wait()
        if ended[0].failure is not None:
            raise PanelError(ended[0].failure.message, ended[0].failure.hint)
        return job.nodes["output"]

    def start(self, job: Job) -> None:
        """Start a job in the background.

        Raises:
            PanelError: Another one runs, or this one cannot start.
        """
        if self.isBusy:
            raise PanelError(_("Another task is running."), _("Wait for it, or cancel it."))
        self._job = job
        job.onOver = self._forgetJob
        job.start()

    def cancel(self) -> None:
        """Ask the job to stop; it tells its end."""
        if self.isBusy:
            self._job.cancel()

    def stopJob(self) -> None:
        """End the job at once, with all its processes, and tell nobody."""
        if self._job is not None:
            self._job.kill()

    def query(self, arguments: list[str], onFinished: Callable[[Outcome], None]) -> None:
        """Run a short command beside the job.

        Raises:
            PanelError: It cannot start.
        """
        self._queries = [query for query in self._queries if query.isRunning]
        query = CommandJob(arguments, lambda _event: None, onFinished)
        self._queries.append(query)
        query.start()

    def _forgetJob(self) -> None:
        self._job = None

    def close(self) -> None:
        """End everything that runs."""
        self.stopJob()
        for query in self._queries:
            query.kill()
        self._queries.clear()


class SAMI2ITest(SelfTest, ScriptedLoadableModuleTest):
    """The self-test: the sample head and the bundled models; nothing is downloaded."""

    def setUp(self) -> None:
        """Begin with an empty scene and a logic of its own."""
        slicer.mrmlScene.Clear()
        self.logic = SAMI2ILogic()

    def tearDown(self) -> None:
        """Leave nothing running, whatever has failed."""
        self.logic.close()

    def runTest(self) -> None:
        """Run every test (Reload and Test); tests that could not run are no success."""
        self.runAllTests()
