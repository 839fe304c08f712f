"""Why Apply cannot be pressed, in the order in which a user would repair it."""

from dataclasses import dataclass
from typing import Any

from SAMI2IPanel.i18n import _


@dataclass(frozen=True)
class Situation:
    """What the panel knows when it decides.

    Attributes:
        busyWith: What is running now; empty when nothing is.
        statusProblem: Why the machine is not ready; empty when it is.
        inputName: Of the chosen volume; empty when none is chosen.
        inputProblem: What is wrong with it.
        sourceContrast: Chosen or guessed; empty when unknown.
        targetContrast: Chosen.
        model: The chosen entry of the model list, or None.
        modelId: What the scene asks for; empty for the best.
        modelsKnown: Whether the list of models has been read.
        outputProblem: Why the chosen node cannot take the result.
    """

    busyWith: str = ""
    statusProblem: str = ""
    inputName: str = ""
    inputProblem: str = ""
    sourceContrast: str = ""
    targetContrast: str = ""
    model: dict[str, Any] | None = None
    modelId: str = ""
    modelsKnown: bool = True
    outputProblem: str = ""


def whyNotReady(situation: Situation) -> str:
    """One sentence that says what to do first; empty when Apply may be pressed."""
    s = situation
    busy = _("Wait until {task} has finished, or press Cancel.").format(task=s.busyWith)
    reasons = (
        busy if s.busyWith else "",
        "" if s.inputName else _("Choose the volume to translate."),
        s.inputProblem,
        s.statusProblem,
        _contrastProblem(s),
        _modelProblem(s),
        s.outputProblem,
    )
    return next((reason for reason in reasons if reason), "")


def _contrastProblem(s: Situation) -> str:
    if not s.sourceContrast:
        return _("Choose the source contrast: nothing in {name} tells it.").format(name=s.inputName)
    if s.sourceContrast == s.targetContrast:
        return _("Source and target contrast are both {contrast}: choose another target.").format(
            contrast=s.targetContrast
        )
    return ""


def _modelProblem(s: Situation) -> str:
    if not s.modelsKnown:
        return _("Wait until the list of models has been read.")
    if s.model is None and s.modelId:
        return _(
            "The model {model} is not on this computer: choose another one, or add it under "
            "Advanced."
        ).format(model=s.modelId)
    if s.model is None:
        return _(
            "No model makes {target} from {source}: choose other contrasts, or add a model under "
            "Advanced."
        ).format(target=s.targetContrast, source=s.sourceContrast)
    return s.model["encoder_problem"]
