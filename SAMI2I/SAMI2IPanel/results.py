"""Puts what a child process wrote into the scene, or nothing at all."""

from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel.bridge import (
    ERROR_MAP_ATTRIBUTE,
    SOURCE_NAME_ATTRIBUTE,
    SOURCE_REFERENCE,
    SYNTHETIC_ATTRIBUTE,
    TARGET_ATTRIBUTE,
    UNCERTAINTY_ATTRIBUTE,
    SourceGeometry,
    fillNode,
    markSynthetic,
    readElsewhere,
    readOntoSource,
    unmark,
)
from SAMI2IPanel.i18n import _
from SAMI2IPanel.marking import updateMarks
from SAMI2IPanel.protocol import PanelError

ERROR_COLORS = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
# Errors beyond this, in units of [0, 1000], are shown in the outermost colors.
ERROR_WINDOW = 1000.0
# One of Slicer's own tables, from black over red and yellow to white.
UNCERTAINTY_COLORS = "vtkMRMLColorTableNodeIron"
# The brightest color is for this percentile of the doubt in the head, and never for less than that
# many of 1000 units: a map of next to nothing must not look alarming.
UNCERTAINTY_PERCENTILE = 99.0
SMALLEST_UNCERTAINTY_WINDOW = 10.0


def addSynthetic(
    path: Path, record: dict[str, Any], geometry: SourceGeometry, output: Any = None
) -> Any:
    """Make or fill the node of a synthetic volume.

    Args:
        path: The volume that the child wrote, on the source's grid.
        record: Its `result` event.
        geometry: Of the source.
        output: A node to fill; a new one is made for None, or where it has left the scene.

    Returns:
        The node.

    Raises:
        PanelError: The file is damaged or on another grid; the scene is as it was.
    """
    array = readOntoSource(path, geometry)  # before any node is touched
    name = syntheticNodeName(geometry.name, record["target_contrast"])
    node = _nodeToFill(output, name)
    unmark(node)
    fillNode(node, array, geometry.ijkToLocal, geometry)
    markSynthetic(node, record, geometry)
    updateMarks()
    return node


def addWorkingGrid(path: Path, record: dict[str, Any], geometry: SourceGeometry) -> Any:
    """Make the node of the result on the grid of the translated slices."""
    array, matrix = readElsewhere(path, geometry)
    name = syntheticNodeName(geometry.name, record["target_contrast"]) + "_slices"
    node = _nodeToFill(None, name)
    fillNode(node, array, matrix, geometry)
    markSynthetic(node, record, geometry)
    return node


def addErrorMap(path: Path, result: Any, geometry: SourceGeometry) -> Any:
    """Make the node of an error map beside the synthetic volume that was measured."""
    array = readOntoSource(path, geometry)
    node = _nodeToFill(None, f"{geometry.name}_error")
    fillNode(node, array, geometry.ijkToLocal, geometry)
    node.SetAttribute(SYNTHETIC_ATTRIBUTE, "true")
    node.SetAttribute(ERROR_MAP_ATTRIBUTE, "true")
    for attribute in (TARGET_ATTRIBUTE, SOURCE_NAME_ATTRIBUTE):
        node.SetAttribute(attribute, result.GetAttribute(attribute) or "")
    node.SetNodeReferenceID(SOURCE_REFERENCE, result.GetNodeReferenceID(SOURCE_REFERENCE))
    display = node.GetDisplayNode()
    if slicer.mrmlScene.GetNodeByID(ERROR_COLORS) is not None:
        display.SetAndObserveColorNodeID(ERROR_COLORS)
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2 * ERROR_WINDOW, 0.0)
    return node


def addUncertainty(path: Path, result: Any, geometry: SourceGeometry) -> Any:
    """Make the node of an uncertainty map beside the synthetic volume that it belongs to.

    Args:
        path: The map that the child wrote, with its own record beside it.
        result: The node of the synthetic volume.
        geometry: Of the source.

    Returns:
        The node.

    Raises:
        PanelError: The file or its record is damaged.
    """
    import numpy as np

    from SAMI2ILib.inference.output_files import read_record, sidecar_path

    array = readOntoSource(path, geometry)
    record = read_record(sidecar_path(path))
    if record is None:
        raise PanelError(
            _("The record of the uncertainty map is damaged."),
            _("This is a defect: please report it."),
        )
    node = _nodeToFill(None, f"{result.GetName()}_uncertainty")
    fillNode(node, array, geometry.ijkToLocal, geometry)
    markSynthetic(node, record, geometry)
    node.SetAttribute(UNCERTAINTY_ATTRIBUTE, "true")
    text = _("UNCERTAINTY of the synthetic volume {name}, not an image. {meaning}")
    node.SetDescription(text.format(name=result.GetName(), meaning=record["meaning"]))
    inside = array[array > 0]
    largest = float(np.percentile(inside, UNCERTAINTY_PERCENTILE)) if inside.size else 0.0
    window = max(largest, SMALLEST_UNCERTAINTY_WINDOW)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(UNCERTAINTY_COLORS)
    display.AutoWindowLevelOff()
    display.SetWindowLevel(window, window / 2)
    return node


def syntheticNodeName(sourceName: str, target: str) -> str:
    """Name of the node of a synthetic volume, by the library's rule."""
    from SAMI2ILib.inference.output_files import synthetic_name

    return synthetic_name(sourceName, target)


def _nodeToFill(output: Any, name: str) -> Any:
    scene = slicer.mrmlScene
    if output is not None and scene.IsNodePresent(output):
        named = "synth" in output.GetName().lower()
        if not named or _isMap(output) or _isNamedForEarlierResult(output, name):
            output.SetName(scene.GenerateUniqueName(name))
        return output
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))


def _isMap(node: Any) -> bool:
    """Whether a node that is about to hold an image still has the name of a map."""
    return any(node.GetAttribute(name) for name in (ERROR_MAP_ATTRIBUTE, UNCERTAINTY_ATTRIBUTE))


def _isNamedForEarlierResult(node: Any, name: str) -> bool:
    """Whether a node still has the name that we gave it for another source or target."""
    source = node.GetAttribute(SOURCE_NAME_ATTRIBUTE)
    target = node.GetAttribute(TARGET_ATTRIBUTE)
    if not (source and target):
        return False
    given = syntheticNodeName(source, target)
    return given != name and node.GetName().startswith(given)
