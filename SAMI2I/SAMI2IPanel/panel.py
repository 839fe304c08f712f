"""The panel: joins its sections, starts jobs and shows how they end."""

from collections.abc import Callable
from typing import Any

import slicer
import vtk

from SAMI2ILib.about import INTENDED_USE
from SAMI2IPanel import views
from SAMI2IPanel.dependencies import Dependencies
from SAMI2IPanel.i18n import _
from SAMI2IPanel.jobs import CommandJob, Job, MeasureJob, TranslationJob, TranslationOptions
from SAMI2IPanel.model_choice import ModelChoice
from SAMI2IPanel.protocol import Outcome, PanelError
from SAMI2IPanel.readiness import whyNotReady
from SAMI2IPanel.sections.choices import ChoicesSection
from SAMI2IPanel.sections.compare import CompareSection
from SAMI2IPanel.sections.export import ExportSection
from SAMI2IPanel.sections.plain_text import plainToolTip
from SAMI2IPanel.sections.run import RunSection
from SAMI2IPanel.sections.status import StatusSection
from SAMI2IPanel.sections.store import StoreSection

STATUS_MESSAGE_MS = 10_000


class Panel:
    """What the widgets do.

    Args:
        ui: The widgets by their names.
        logic: A `SAMI2ILogic`.
        parameters: Gives the parameter node, or None while the scene closes.

    Attributes:
        busyWith: What runs, in the user's words; empty when nothing does.
        isEntered: Whether the user is in this module; elsewhere the views are left alone.
    """

    def __init__(self, ui: Any, logic: Any, parameters: Callable[[], Any]) -> None:
        self.ui, self.logic, self._parameters = ui, logic, parameters
        self.busyWith = ""
        self.isEntered = False
        self._isClosed = False
        self._observers: dict[Any, list[int]] = {}  # tags by volume
        ui.researchUseLabel.text = f"<b>{INTENDED_USE}</b>"
        self.run = RunSection(ui)
        self.status = StatusSection(ui, logic, Dependencies(), self.update, self.run.addToLog)
        self.choices = ChoicesSection(ui, parameters, self.update)
        self.compare = CompareSection(ui, parameters)
        self.export = ExportSection(ui, parameters)
        self.store = StoreSection(ui, self._runStoreCommand)
        ui.applyButton.connect("clicked(bool)", self.onApply)
        ui.cancelButton.connect("clicked(bool)", self.onCancel)
        ui.measureButton.connect("clicked(bool)", self.onMeasure)
        ui.checkButton.connect("clicked(bool)", self.onCheck)

    @property
    def parameters(self) -> Any:
        """The parameter node, or None while the scene closes."""
        return self._parameters()

    def close(self) -> None:
        """Let go of the scene, and start nothing any more."""
        self._isClosed = True
        self._watch(set())

    def refresh(self) -> None:
        """Ask what works on this machine and which models there are."""
        if self._isClosed:  # between the panel's start and now
            return
        self.status.refresh()
        self._readModels()

    def stop(self) -> None:
        """End what works on the scene, because it closes; a download goes on."""
        job = self.logic.job
        if job is not None and job.needsScene:
            self.logic.stopJob()
            self.busyWith = ""
            self.run.showStopped()
        self.compare.showScores(None)

    def update(self) -> None:
        """Bring every list, button and explanation in step with what is known."""
        self._watchVolumes()
        if self.parameters is None:
            return
        busy = bool(self.busyWith)
        self.choices.update()
        self.compare.update(busy)
        self.export.update()
        self.store.update(busy)
        situation = {"busyWith": self.busyWith, "statusProblem": self.status.problem}
        reason = whyNotReady(self.choices.describe(situation))
        self.ui.applyButton.enabled = not reason
        self.ui.applyButton.toolTip = plainToolTip(reason) or _("Make the synthetic volume.")
        self.ui.reasonLabel.text = reason
        self.ui.reasonLabel.visible = bool(reason)
        self.ui.cancelButton.enabled = busy

    def onApply(self, _checked: bool = False) -> None:
        """Start the translation."""
        chosen = self.parameters
        options = TranslationOptions(
            chosen.targetContrast, self.choices.sourceContrast, self.choices.model["id"],
            chosen.device, chosen.precision, chosen.batchSize, chosen.keepWorkingGrid,
            chosen.addUncertainty,
        )  # fmt: skip
        job = TranslationJob(
            chosen.inputVolume, chosen.outputVolume, options, self.run.showEvent,
            lambda outcome: self._onTranslated(job, outcome),
        )  # fmt: skip
        self._start(job, _("the translation"))

    def onCancel(self, _checked: bool = False) -> None:
        """Stop what runs."""
        self.ui.cancelButton.enabled = False
        self.logic.cancel()

    def onMeasure(self, _checked: bool = False) -> None:
        """Measure the result against the real volume."""
        pair = self.compare.pair
        self.compare.showScores(None)
        job = MeasureJob(
            *pair, self.run.showEvent, lambda outcome: self._onMeasured(job, pair, outcome)
        )
        self._start(job, _("the measurement"))

    def onCheck(self, _checked: bool = False) -> None:
        """Look again at machine and models."""
        self.refresh()

    def _watchVolumes(self) -> None:
        """Follow the chosen volumes: a file's node is in the scene before its voxels are."""
        parameters = self.parameters
        chosen = set()
        if parameters is not None:
            volumes = (
                parameters.inputVolume, parameters.outputVolume,
                parameters.resultVolume, parameters.referenceVolume,
            )  # fmt: skip
            chosen = {volume for volume in volumes if volume is not None}
        self._watch(chosen)

    def _watch(self, volumes: set[Any]) -> None:
        """Observe these volumes and no others.

        Not by Slicer's `VTKObservationMixin`: it keeps every volume that it once observed in
        memory, also after its removal from the scene.
        """
        for node in self._observers.keys() - volumes:
            for tag in self._observers.pop(node):
                node.RemoveObserver(tag)
        events = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
        for node in volumes - self._observers.keys():
            self._observers[node] = [
                node.AddObserver(event, self._onVolumeModified) for event in events
            ]

    def _onVolumeModified(self, _caller: Any = None, _event: Any = None) -> None:
        self.update()

    def _start(self, job: Job, name: str) -> None:
        try:
            self.logic.start(job)
        except PanelError as error:
            self.run.showFailure(error.failure)
            return
        self.busyWith = name
        self.run.showStart()
        self.update()

    def _finish(self, outcome: Outcome, done: str, warnings: tuple[str, ...] = ()) -> None:
        self.busyWith = ""
        self.run.showEnd(outcome, done, warnings)
        self.update()

    def _onTranslated(self, job: TranslationJob, outcome: Outcome) -> None:
        output = job.nodes.get("output")
        doubt = job.nodes.get("uncertainty")
        done = _("Done: {name}.").format(name=output.GetName()) if output else ""
        if doubt:
            text = _(
                "Its uncertainty map is {name}: bright places are doubtful, but dark ones can be "
                "wrong as well."
            )
            done += " " + text.format(name=doubt.GetName())
        if output is not None:
            self.compare.showScores(None)  # they may be of the voxels that it had before
        self._finish(outcome, done, job.warnings)
        if output is not None:
            self.parameters.resultVolume = output
            if self.isEntered:
                views.showAlone(output)
            else:
                slicer.util.showStatusMessage(done, STATUS_MESSAGE_MS)

    def _onMeasured(self, job: MeasureJob, pair: Any, outcome: Outcome) -> None:
        error = job.nodes.get("error")
        done = _("Measured; the error map is {name}.").format(name=error.GetName()) if error else ""
        if outcome.succeeded:
            self.compare.showScores(outcome.result, pair)
        self._finish(outcome, done)

    def _runStoreCommand(self, arguments: list[str], name: str) -> None:
        self._start(CommandJob(arguments, self.run.showEvent, self._onStoreChanged), name)

    def _onStoreChanged(self, outcome: Outcome) -> None:
        self._finish(outcome, _("Done. The list of models is read again."))
        self._readModels()

    def _readModels(self) -> None:
        try:
            self.logic.query(["models", "list", "--json"], self._onModelsRead)
        except PanelError as error:
            self.run.showFailure(error.failure)

    def _onModelsRead(self, outcome: Outcome) -> None:
        if outcome.succeeded:
            self.choices.models = ModelChoice(outcome.result["models"])
            self.store.show(outcome.result)
        self.update()
