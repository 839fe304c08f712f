"""Which models fit a pair of contrasts, and what their cards say."""

from collections.abc import Sequence
from html import escape
from typing import Any

from SAMI2IPanel.i18n import _

# Shown before the list of models has been read.
USUAL_CONTRASTS = ("T1", "T2", "PD")
CARD_METRICS = ("PSNR", "SSIM", "NRMSE")


class ModelChoice:
    """The models of the store, as `sami2i models list` describes them.

    Args:
        models: Entries of its `models`, best first; None while they are being read.
    """

    def __init__(self, models: Sequence[dict[str, Any]] | None = None) -> None:
        self.isKnown = models is not None
        self._models = list(models or ())

    def __iter__(self):
        return iter(self._models)

    def sources(self) -> list[str]:
        """Contrasts that some model takes, and the usual ones."""
        return _inOrder(model["source_contrast"] for model in self._models)

    def targets(self) -> list[str]:
        """Contrasts that some model makes; the usual ones where none is known."""
        return _inOrder((m["target_contrast"] for m in self._models), usual=not self._models)

    def forPair(self, source: str, target: str) -> list[dict[str, Any]]:
        """Models from `source` to `target`, best first; those that lack their encoder last."""
        fitting = [
            model
            for model in self._models
            if (model["source_contrast"], model["target_contrast"]) == (source, target)
        ]
        return sorted(fitting, key=lambda model: bool(model["encoder_problem"]))

    def byId(self, modelId: str) -> dict[str, Any] | None:
        """The model of this id."""
        return next((model for model in self._models if model["id"] == modelId), None)


def cardHtml(model: dict[str, Any]) -> str:
    """What a user should know of a model before using it, as rich text."""
    rows = [
        (_("Title"), model["title"]),
        (_("Encoder"), _encoderText(model)),
        (_("Trained on"), _trainingText(model)),
        (_("Measured"), _metricsText(model)),
        (_("License"), model["license"]),
        (_("Intended use"), model["intended_use"]),
    ]
    if model["encoder_problem"]:
        rows.insert(0, (_("Cannot be used yet"), model["encoder_problem"]))
    return "<br>".join(f"<b>{escape(name)}:</b> {escape(text)}" for name, text in rows if text)


def originText(model: dict[str, Any]) -> str:
    """Whether a model is a bundled demonstration or one of the user's, in a few words."""
    if model["origin"] == "bundled":
        return _("bundled demonstration")
    return _("your model")


def _encoderText(model: dict[str, Any]) -> str:
    if model["encoder_kind"] == "public":
        return _("SAM2's own, {name}").format(name=model["encoder"])
    if model["origin"] == "bundled":
        return _("a bundled demonstration: not SAM2's encoder")
    if model["encoder_kind"] == "store":
        return _("{name}, not SAM2's own file").format(name=model["encoder"])
    if model["encoder_kind"] == "embedded":
        return _("inside the model file")
    return _("none: the model is a {family}").format(family=model["family"])


def _trainingText(model: dict[str, Any]) -> str:
    return "; ".join(
        _("{name} ({count} subjects)").format(name=data["name"], count=data["subjects"])
        if data["subjects"]
        else data["name"]
        for data in model["training_data"]
    )


def _metricsText(model: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for metric in model["metrics"]:
        if metric["name"].upper() in CARD_METRICS:
            where = _("{data}; {region}").format(
                data=metric["data"], region=metric["region"] or _("full field")
            )
            figure = f"{metric['name']} {metric['value']:.3g} {metric['unit']}".strip()
            groups.setdefault(where, []).append(figure)
    texts = [f"{', '.join(figures)} ({where})" for where, figures in groups.items()]
    return "; ".join(texts) or _("not measured")


def _inOrder(contrasts: Any, usual: bool = True) -> list[str]:
    """Without repetition, the usual ones first and in their order."""
    found = set(contrasts)
    known = [c for c in USUAL_CONTRASTS if usual or c in found]
    return known + sorted(found.difference(USUAL_CONTRASTS))
