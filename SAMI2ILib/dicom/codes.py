"""Coded terms: what standard viewers and routers can match without reading English."""

from typing import Any

from SAMI2ILib.about import SOFTWARE_NAME

ACQUISITION_EQUIPMENT = ("109101", "DCM", "Acquisition Equipment")  # CID 7005
SYNTHESIZING_EQUIPMENT = ("109100", "DCM", "Synthesizing Equipment")  # CID 7005
SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")  # CID 7202
# CID 7203 of the standard has no term for a contrast that a network estimates.
OWN_SCHEME = "99SAMI2I"
CONTRAST_SYNTHESIS = ("SYNTHESIS", OWN_SCHEME, "MR contrast synthesis by a neural network")


def code_sequence(pydicom: Any, *terms: tuple[str, str, str]) -> Any:
    """Make a sequence of code items from (value, scheme, meaning)."""
    items = []
    for value, scheme, meaning in terms:
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        items.append(item)
    return pydicom.Sequence(items)


def own_scheme_identification(pydicom: Any) -> Any:
    """Say whose the scheme `OWN_SCHEME` is, as private schemes have to."""
    item = pydicom.Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = f"Codes of {SOFTWARE_NAME}"
    item.CodingSchemeResponsibleOrganization = SOFTWARE_NAME
    return pydicom.Sequence([item])
