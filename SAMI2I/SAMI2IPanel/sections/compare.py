"""Source and result together in the views, and figures against a real scan."""

from collections.abc import Callable
from html import escape
from typing import Any

import slicer

from SAMI2IPanel import views
from SAMI2IPanel.bridge import (
    ERROR_MAP_ATTRIBUTE,
    SOURCE_NAME_ATTRIBUTE,
    SOURCE_REFERENCE,
    SYNTHETIC_ATTRIBUTE,
    UNCERTAINTY_ATTRIBUTE,
    holdsImage,
    isSynthetic,
)
from SAMI2IPanel.i18n import _
from SAMI2IPanel.sections.plain_text import plainToolTip


class CompareSection:
    """Buttons for the views, and what can be measured.

    Args:
        ui: The panel's widgets.
        parameters: Gives the parameter node, or None while the scene closes.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._parameters = ui, parameters
        self._scored: Any = None
        ui.resultSelector.addAttribute("vtkMRMLScalarVolumeNode", SYNTHETIC_ATTRIBUTE, "true")
        ui.sideBySideButton.connect("clicked(bool)", self.onSideBySide)
        ui.blendButton.connect("clicked(bool)", self.onBlend)
        ui.aloneButton.connect("clicked(bool)", self.onAlone)
        ui.scoresLabel.visible = False

    @property
    def source(self) -> Any:
        """The volume that the chosen result was made from.

        Where it has left the scene, the input if it has the name that the result remembers: any
        other scan may be that of another patient.
        """
        result, given = self._parameters().resultVolume, self._parameters().inputVolume
        if result is None:
            return None
        named = given is not None and given.GetName() == result.GetAttribute(SOURCE_NAME_ATTRIBUTE)
        return result.GetNodeReference(SOURCE_REFERENCE) or (given if named else None)

    @property
    def pair(self) -> tuple[Any, Any, bool]:
        """What a measurement would be of: result, real volume, whether they are aligned."""
        chosen = self._parameters()
        return chosen.resultVolume, chosen.referenceVolume, chosen.alignReference

    def update(self, busy: bool) -> None:
        """Offer what can be done with the chosen volumes."""
        parameters = self._parameters()
        if self._scored not in (None, self.pair):
            self.showScores(None)
        result, reference = parameters.resultVolume, parameters.referenceVolume
        for button in (self._ui.sideBySideButton, self._ui.blendButton):
            button.enabled = self.source is not None
        self._ui.aloneButton.enabled = result is not None
        problem = _measureProblem(result, reference, busy)
        self._ui.measureButton.enabled = not problem
        self._ui.measureButton.toolTip = plainToolTip(problem) or _(
            "PSNR, SSIM and NRMSE of the result against the real volume, and a map of the errors."
        )

    def showScores(self, result: dict[str, Any] | None, pair: Any = None) -> None:
        """Show the figures of a measurement until something else is chosen.

        Args:
            result: Of `sami2i compare`; None takes the figures away.
            pair: What was measured.
        """
        self._scored = pair if result else None
        self._ui.scoresLabel.text = scoresHtml(result) if result else ""
        self._ui.scoresLabel.visible = result is not None

    def onSideBySide(self, _checked: bool = False) -> None:
        """Source on the left, result on the right."""
        with slicer.util.tryWithErrorDisplay(_("The volumes cannot be shown.")):
            views.showSideBySide(self.source, self._parameters().resultVolume)

    def onBlend(self, _checked: bool = False) -> None:
        """Result over source."""
        with slicer.util.tryWithErrorDisplay(_("The volumes cannot be shown.")):
            views.showBlended(self.source, self._parameters().resultVolume)

    def onAlone(self, _checked: bool = False) -> None:
        """The result and nothing else."""
        with slicer.util.tryWithErrorDisplay(_("The volume cannot be shown.")):
            views.showAlone(self._parameters().resultVolume)


def scoresHtml(result: dict[str, Any]) -> str:
    """The figures of `sami2i compare` as rich text."""
    rows = ["<tr><th></th><th>PSNR</th><th>SSIM</th><th>NRMSE</th></tr>"]
    for name, region in ((_("in the head"), "head"), (_("full field"), "full_field")):
        scores = result[region]
        rows.append(
            f"<tr><td>{escape(name)}&nbsp;</td><td>{scores['psnr']:.2f} dB&nbsp;</td>"
            f"<td>{scores['ssim']:.3f}&nbsp;</td><td>{scores['nrmse']:.3f}</td></tr>"
        )
    notes = []
    if result["covered"] < 0.995:
        notes.append(
            _("The real volume covers {share} of the head.").format(
                share=f"{result['covered']:.0%}"
            )
        )
    moved = result["registration"]
    if moved:
        notes.append(
            _("The real volume was moved by {distance} mm and turned by {angle} degrees.").format(
                distance=f"{moved['translation_mm']:.1f}", angle=f"{moved['rotation_deg']:.1f}"
            )
        )
    return f"<table>{''.join(rows)}</table>{escape(' '.join(notes))}"


def _measureProblem(result: Any, reference: Any, busy: bool) -> str:
    if busy:
        return _("Wait until the other task has finished.")
    if result is None:
        return _("Choose a synthetic volume as the result.")
    if any(result.GetAttribute(name) for name in (ERROR_MAP_ATTRIBUTE, UNCERTAINTY_ATTRIBUTE)):
        problem = _("The result is a map and no image: choose a synthetic volume.")
    elif reference is None:
        problem = _("Choose a real volume of the target contrast.")
    elif reference is result or isSynthetic(reference):
        problem = _("The real volume is synthetic: choose a scan.")
    elif not (holdsImage(reference) and holdsImage(result)):
        problem = _("One of the volumes holds no image.")
    else:
        problem = ""
    return problem
