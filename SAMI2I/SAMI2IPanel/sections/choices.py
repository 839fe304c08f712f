"""Inputs and output: source contrast with its guess, target contrast, model and card."""

from collections.abc import Callable
from typing import Any

from SAMI2IPanel.bridge import holdsImage, isSynthetic
from SAMI2IPanel.contrast_guess import Guess
from SAMI2IPanel.i18n import _
from SAMI2IPanel.model_choice import ModelChoice, cardHtml, originText
from SAMI2IPanel.readiness import Situation
from SAMI2IPanel.sections.combo_box import currentValue, fillComboBox
from SAMI2IPanel.sections.plain_text import plainToolTip
from SAMI2IPanel.source_contrast import groundsOf, guessSourceContrast


class ChoicesSection:
    """Keeps the drop-down lists in step with the parameter node and the models.

    Args:
        ui: The panel's widgets.
        parameters: Gives the parameter node, or None while the scene closes.
        onChosen: Called after the user has changed the parameter node through a list.

    Attributes:
        models: What there is to choose from.
    """

    def __init__(
        self, ui: Any, parameters: Callable[[], Any], onChosen: Callable[[], None]
    ) -> None:
        self._ui, self._parameters, self._onChosen = ui, parameters, onChosen
        self.models = ModelChoice()
        self._guess = Guess()
        self._guessedFor: tuple[str, ...] | None = None
        ui.sourceComboBox.connect("currentIndexChanged(int)", self.onSourceChosen)
        ui.targetComboBox.connect("currentIndexChanged(int)", self.onTargetChosen)
        ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelChosen)

    @property
    def sourceContrast(self) -> str:
        """As chosen, else as guessed; empty when unknown."""
        return self._parameters().sourceContrast or self._guess.contrast

    @property
    def model(self) -> dict[str, Any] | None:
        """The chosen model, or the best for the pair; None where there is none."""
        parameters = self._parameters()
        fitting = self.models.forPair(self.sourceContrast, parameters.targetContrast)
        if not parameters.model:
            return fitting[0] if fitting else None
        return next((model for model in fitting if model["id"] == parameters.model), None)

    def onSourceChosen(self, _index: int) -> None:
        """Keep the contrast that the user chose; the first entry means the guess."""
        self._parameters().sourceContrast = currentValue(self._ui.sourceComboBox)
        self._forgetUnfitModel()

    def onTargetChosen(self, _index: int) -> None:
        """Keep the target that the user chose."""
        self._parameters().targetContrast = currentValue(self._ui.targetComboBox)
        self._forgetUnfitModel()

    def onModelChosen(self, _index: int) -> None:
        """Keep the model that the user chose."""
        self._parameters().model = currentValue(self._ui.modelComboBox)
        self._onChosen()

    def update(self) -> None:
        """Show the parameter node."""
        parameters = self._parameters()
        self._updateGuess(parameters.inputVolume)
        fillComboBox(
            self._ui.sourceComboBox,
            [(self._guessText(), ""), *((c, c) for c in self.models.sources())],
            parameters.sourceContrast,
        )
        targets = self.models.targets()
        wanted = parameters.targetContrast
        fillComboBox(
            self._ui.targetComboBox,
            [(c, c) for c in (targets if wanted in targets else [*targets, wanted])],
            wanted,
        )
        self._updateModels(parameters)

    def describe(self, situation: dict[str, Any]) -> Situation:
        """Add what is chosen here to what else is known."""
        parameters = self._parameters()
        node = parameters.inputVolume
        return Situation(
            inputName=node.GetName() if node else "",
            inputProblem=_inputProblem(node) if node else "",
            sourceContrast=self.sourceContrast,
            targetContrast=parameters.targetContrast,
            model=self.model,
            modelId=parameters.model,
            modelsKnown=self.models.isKnown,
            outputProblem=_outputProblem(parameters.outputVolume, node),
            **situation,
        )

    def _updateGuess(self, node: Any) -> None:
        seen = groundsOf(node) if node else None
        if seen == self._guessedFor:
            return
        changedNode = self._guessedFor is not None and (seen or "")[:1] != self._guessedFor[:1]
        self._guessedFor = seen
        self._guess = guessSourceContrast(node) if node else Guess()
        if changedNode:
            self._parameters().sourceContrast = ""  # it was said of another volume

    def _guessText(self) -> str:
        if not self._guess.contrast:
            return _("Unknown: please choose")
        return _("{contrast} (guess, from the {ground})").format(
            contrast=self._guess.contrast, ground=self._guess.ground
        )

    def _updateModels(self, parameters: Any) -> None:
        fitting = self.models.forPair(self.sourceContrast, parameters.targetContrast)
        entries = [(f"{m['title']} - {originText(m)}", m["id"]) for m in fitting]
        chosen = self.model
        if parameters.model and chosen is None:
            entries.append(
                (_("{model} (not here)").format(model=parameters.model), parameters.model)
            )
        box = self._ui.modelComboBox
        fillComboBox(box, entries, chosen["id"] if chosen else parameters.model)
        box.enabled = bool(entries)
        # The closed box cuts a long title.
        box.toolTip = plainToolTip(box.currentText) or self._ui.modelComboBoxLabel.toolTip
        self._ui.modelCardLabel.text = cardHtml(chosen) if chosen else ""
        self._ui.modelCardLabel.visible = chosen is not None

    def _forgetUnfitModel(self) -> None:
        parameters = self._parameters()
        model = self.models.byId(parameters.model)
        pair = (self.sourceContrast, parameters.targetContrast)
        if model and (model["source_contrast"], model["target_contrast"]) != pair:
            parameters.model = ""
        self._onChosen()


def _inputProblem(node: Any) -> str:
    if not holdsImage(node):
        return _("The volume {name} holds no image: choose another one.").format(
            name=node.GetName()
        )
    if isSynthetic(node):
        return _("The volume {name} is synthetic itself: choose a scan.").format(
            name=node.GetName()
        )
    return ""


def _outputProblem(output: Any, source: Any) -> str:
    if output is None:
        return ""
    if output is source:
        return _("The output is the input itself: choose another output volume.")
    if holdsImage(output) and not isSynthetic(output):
        text = _(
            "The volume {name} is no synthetic one and is not replaced: choose another output."
        )
        return text.format(name=output.GetName())
    return ""
