"""Starts the host once per process: puts `qt`, `ctk`, `slicer` and `SampleData` in place."""

from __future__ import annotations

import logging
import os
import sys
import types
from pathlib import Path
from typing import Any

OUR_LAYER = Path(__file__).with_name("python_layer")
LAYER_VARIABLE = "SLICER_PYTHON_LAYER"

# Named by Slicer's own Python layer, but not built here: using one is an error, naming it is not.
ABSENT = {
    "ctk": (
        "ctkCheckBox", "ctkCheckablePushButton", "ctkColorPickerButton", "ctkComboBox",
        "ctkDirectoryButton", "ctkDoubleRangeSlider", "ctkDoubleSlider", "ctkRangeWidget",
    ),
    "slicer": ("qMRMLRangeWidget", "qMRMLSliderWidget", "qMRMLSpinBox"),
}  # fmt: skip

_started: list[Any] = []


def start() -> Any:
    """The running host; the first call takes about two seconds.

    Raises:
        RuntimeError: A package is missing, or SLICER_PYTHON_LAYER is no such folder.
    """
    from . import whyUnavailable

    if not _started:
        reason = whyUnavailable()
        if reason:
            raise RuntimeError(reason)
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        _started.append(_start())
    return _started[0]


def _start() -> Any:
    import slicer

    from . import ctk_widgets, modules, mrml_widgets
    from .application import qSlicerApplication
    from .host import Host
    from .qt_module import createQtModule
    from .sample_data import createSampleDataModule
    from .ui_loader import STAND_INS

    sys.modules["qt"] = createQtModule()
    ctk = types.ModuleType("ctk", ctk_widgets.__doc__)
    sys.modules["ctk"] = ctk
    sys.modules["SampleData"] = createSampleDataModule()
    for name, standIn in STAND_INS.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, standIn)
    slicer.qSlicerScriptedLoadableModule = modules.qSlicerScriptedLoadableModule
    slicer.qMRMLWidget = mrml_widgets.qMRMLWidget
    for module, names in ((ctk, ABSENT["ctk"]), (slicer, ABSENT["slicer"])):
        for name in names:
            setattr(module, name, _absent(name))
    slicer.selfTests = {}
    usePythonLayer(slicer)
    slicer.util.delayDisplay = _logOnly
    app = qSlicerApplication()
    app.setStyle("Fusion")
    slicer.app = app
    slicer.mrmlScene = app.mrmlScene()
    return Host(app)


def _absent(name: str) -> type:
    def refuse(*_arguments: Any) -> None:
        raise NotImplementedError(f"The test host has no stand-in for {name}.")

    return type(name, (), {"__init__": refuse})


def _logOnly(message: str, *_options: Any, **_more: Any) -> None:
    """`slicer.util.delayDisplay` without its pop-up, which nobody would read."""
    import slicer

    logging.info(message)
    slicer.app.processEvents()


def usePythonLayer(slicer: Any) -> None:
    """Put our Python layer, or a real Slicer's, behind `slicer.ScriptedLoadableModule` etc."""
    chosen = os.environ.get(LAYER_VARIABLE)
    if not chosen:
        slicer.__path__.append(str(OUR_LAYER))
        return
    folder = Path(chosen)
    if not (folder / "ScriptedLoadableModule.py").is_file():
        raise RuntimeError(
            f"{LAYER_VARIABLE}={chosen} is not a Slicer's bin/Python/slicer folder: "
            "it has no ScriptedLoadableModule.py."
        )
    slicer.__path__.insert(0, str(folder))
    if (folder / "util.py").is_file():
        sys.modules.pop("slicer.util", None)
        import importlib

        slicer.util = importlib.import_module("slicer.util")
