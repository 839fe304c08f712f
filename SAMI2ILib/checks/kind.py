"""Checks of what is shown: a head at all, and the contrast that the model was trained on."""

from collections.abc import Callable

from SAMI2ILib.checks.appearance import Appearance
from SAMI2ILib.checks.classifier import Classifiers
from SAMI2ILib.checks.overview import Overview
from SAMI2ILib.imaging.notice import Notice

# A head or a brain in its widest axial slice, children included.
_LEAST_AREA_CM2, _LARGEST_AREA_CM2 = 80.0, 450.0
_TITLES = {"T1CE": "contrast-enhanced T1"}
# What tells a contrast from the others, in words that a look at the image confirms.
_REASONS: dict[str, Callable[[Appearance], str]] = {
    "T1": lambda seen: (
        f"white matter is the brightest tissue of the brain (a tenth is over "
        f"{seen.quantile(90):.2f} times as bright) and fluid is dark ({seen.quantile(5):.2f} times)"
    ),
    "T1CE": lambda seen: (
        "vessels are bright: the brightest of the midline and of the deep brain have over "
        f"{max(seen.contrast_of('midline90'), seen.contrast_of('deep99.8')):.2f} times the "
        "brightness of white matter"
    ),
    "T2": lambda seen: (
        f"the brightest twentieth of the brain, fluid, has {seen.quantile(95):.1f} times the "
        "brightness of white matter"
    ),
    "PD": lambda seen: (
        f"gray matter is brighter than white matter (half of the brain is over "
        f"{seen.quantile(50):.2f} times as bright) and fluid is not dark "
        f"({seen.quantile(5):.2f} times)"
    ),
    "FLAIR": lambda seen: (
        f"fluid is dark ({seen.quantile(5):.2f} times white matter), but gray matter is brighter "
        f"than white matter (a quarter of the brain is over {seen.quantile(75):.2f} times as "
        "bright)"
    ),
}


def check_head(
    overview: Overview, appearance: Appearance | None, classifiers: Classifiers
) -> list[Notice]:
    """Tell whether the scan shows a head or a brain.

    Args:
        overview: Of the scan.
        appearance: Its measurements; None where there is no region to measure.
        classifiers: From `load_classifiers`.
    """
    reason = size_problem(overview)
    if not reason and appearance is None:
        reason = "there is no part that could be a brain below a vertex"
    if not reason and appearance is not None:
        chance = float(classifiers.head.probabilities(appearance.shape)[0, 0])
        if chance < classifiers.least_head:
            reason = f"size and structure give a head a probability of {chance:.0%}"
    if not reason:
        return []
    text = f"The scan does not look like an MR of a head: {reason}. The result means nothing then."
    return [Notice("not-a-head", text)]


def check_contrast(appearance: Appearance, source: str, classifiers: Classifiers) -> list[Notice]:
    """Compare the contrast of the brain with the one that the model was trained on.

    Args:
        appearance: Measurements of a head.
        source: The model's source contrast; one that the classifier does not know is not checked.
        classifiers: From `load_classifiers`.
    """
    model, measured = classifiers.contrast, appearance.contrast
    if source.upper() not in model.classes or not classifiers.is_unlike(measured, source.upper()):
        return []
    expected = float(model.probabilities(measured)[0, model.classes.index(source.upper())])
    likely = classifiers.likely_contrast(measured)
    text = (
        f"The scan looks like a {_TITLES.get(likely, likely)}, not like the {source} that the "
        f"model was trained on (probability {expected:.0%}): {_REASONS[likely](appearance)}."
    )
    return [Notice("contrast-unlike", text)]


def size_problem(overview: Overview) -> str:
    """Why an object of this size is no head; empty for one that may be."""
    if overview.object_kji.all():
        return "there is no air around it"
    area_cm2 = float(overview.areas_mm2().max()) / 100
    if area_cm2 < _LEAST_AREA_CM2:
        return f"its largest axial cross-section is {area_cm2:.0f} cm2, too small"
    if area_cm2 > _LARGEST_AREA_CM2:
        return f"its largest axial cross-section is {area_cm2:.0f} cm2, too large"
    return ""
