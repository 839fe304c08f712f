"""Guesses the contrast of a volume from its DICOM tags, its BIDS name or its node's name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from SAMI2IPanel.i18n import _

# In the order in which they are tried: a "T1 FLAIR" is a T1, a "T2 FLAIR" is a FLAIR.
_WORDS = (
    ("T1", r"(?:3d)?t1[ _-]?flair|(?:3d)?t1w?|mp2?rage|f?spgr|bravo|tfl|vibe"),
    ("FLAIR", r"flair|dark[ _-]?fluid|t2[ _-]?tirm"),
    ("T2", r"(?:3d)?t2w?"),
    ("PD", r"pdw?|proton[ _-]?density"),
)
_BIDS = re.compile(r"(?:^|_)(T1w|T2w|PDw|FLAIR|T2starw|T1rho)$")
_BIDS_CONTRASTS = {"T1w": "T1", "T2w": "T2", "PDw": "PD"}
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class Guess:
    """A guess with its ground; both are empty where nothing can be guessed.

    Attributes:
        contrast: E.g. "T1".
        ground: What it rests on, for the user.
    """

    contrast: str = ""
    ground: str = ""


def guessContrast(tags: Mapping[str, str], names: list[str]) -> Guess:
    """Guess from what a volume says of itself.

    Args:
        tags: DICOM attributes by their keyword, as text: SeriesDescription, ProtocolName,
            EchoTime, RepetitionTime, InversionTime (ms); may be empty.
        names: File name and node name, the more trustworthy first.

    Returns:
        The first that speaks: a description in the DICOM tags, their times, a BIDS name, a word
        in a name.
    """
    for keyword in ("SeriesDescription", "ProtocolName"):
        contrast = _word(tags.get(keyword, ""))
        if contrast:
            return Guess(contrast, _("DICOM {tag}").format(tag=keyword))
    contrast = _fromTimes(tags)
    if contrast:
        return Guess(contrast, _("DICOM echo and repetition times"))
    for name in map(_stem, names):
        found = _BIDS.search(name)
        if found:
            return Guess(_BIDS_CONTRASTS.get(found[1], found[1]), _("BIDS name"))
    for name in map(_stem, names):
        contrast = _word(name)
        if contrast:
            return Guess(contrast, _("name"))
    return Guess()


def _word(text: str) -> str:
    for contrast, pattern in _WORDS:
        if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text.lower().replace("_", " ")):
            return contrast
    return ""


def _fromTimes(tags: Mapping[str, str]) -> str:
    """Spin-echo rules of thumb; an inversion or a gradient echo needs more than these times."""
    echo, repetition = _number(tags, "EchoTime"), _number(tags, "RepetitionTime")
    if echo is None or repetition is None or _number(tags, "InversionTime"):
        return ""
    if repetition < 1000 and echo < 30:
        return "T1" if repetition > 300 else ""
    if repetition > 1800:
        return "T2" if echo > 70 else "PD" if echo < 40 else ""
    return ""


def _number(tags: Mapping[str, str], keyword: str) -> float | None:
    try:
        return float(tags.get(keyword, ""))
    except ValueError:
        return None


def _stem(name: str) -> str:
    lower = name.lower()
    ending = next((e for e in _ENDINGS if lower.endswith(e)), "")
    return name[: len(name) - len(ending)]
