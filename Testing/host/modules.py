"""Scripted modules as Slicer loads them: module object, widget representation, module manager."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import option, qSlicerWidget
from .ui_loader import register

Property, Signal = QtCore.Property, QtCore.Signal


class ModuleError(RuntimeError):
    """A module cannot be loaded or is not there."""


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What `ScriptedLoadableModule.__init__` gets as its parent."""

    title = option("title", str, "")
    categories = option("categories", list, [])
    contributors = option("contributors", list, [])
    dependencies = option("dependencies", list, [])
    associatedNodeTypes = option("associatedNodeTypes", list, [])
    helpText = option("helpText", str, "")
    acknowledgementText = option("acknowledgementText", str, "")
    hidden = option("hidden", bool, False)
    index = option("index", int, -1)
    icon = option("icon", QtGui.QIcon, QtGui.QIcon())
    widgetRepresentationCreationEnabled = option("widgetRepresentationCreationEnabled", bool, True)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._hostPath = path
        self._hostWidget: qSlicerScriptedLoadableModuleWidget | None = None

    path = Property(str, lambda self: str(self._hostPath))
    # `name` is the object's name on every other QObject.
    name = property(lambda self: self._hostPath.stem)
    isInstalled = Property(bool, lambda _self: False)
    isBuiltIn = Property(bool, lambda _self: False)

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def logic(self) -> None:
        """A scripted module's logic lives in its widget: C++ knows none."""

    def widgetRepresentation(self) -> Any:
        if self._hostWidget is None and self.widgetRepresentationCreationEnabled:
            self._hostWidget = self.createNewWidgetRepresentation()
        return self._hostWidget

    def createNewWidgetRepresentation(self) -> Any:
        widget = qSlicerScriptedLoadableModuleWidget()
        widget.setObjectName(f"{self.name}ModuleWidget")
        widget.setMRMLScene(slicer.mrmlScene)
        widget._start(self._hostPath)
        return widget


@register
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The C++ side of a module's panel; `self()` is the Python side."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        QtWidgets.QVBoxLayout(self)
        self._hostEntered = False
        self._hostPython: Any = None
        self._hostPath = Path()

    isEntered = Property(bool, lambda self: self._hostEntered)
    moduleName = Property(str, lambda self: self._hostPath.stem)

    def self(self) -> Any:
        return self._hostPython

    def _start(self, path: Path) -> None:
        self._hostPath = path
        name = path.stem
        self._hostPython = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._hostPython)
        self._hostPython.setup()

    def reload(self) -> None:
        self._start(self._hostPath)

    def enter(self) -> None:
        self._hostEntered = True
        if hasattr(self._hostPython, "enter"):
            self._hostPython.enter()

    def exit(self) -> None:
        self._hostEntered = False
        if hasattr(self._hostPython, "exit"):
            self._hostPython.exit()


class qSlicerModuleFactoryManager(QtCore.QObject):
    """Knows the names of the modules that are loaded."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__(manager)
        self._hostManager = manager

    def loadedModuleNames(self) -> list[str]:
        return self._hostManager.modulesNames()


class qSlicerModuleManager(QtCore.QObject):
    """Loads and unloads scripted modules; `_load` and `_unload` are the host's."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._hostModules: dict[str, qSlicerScriptedLoadableModule] = {}
        self._hostFactory = qSlicerModuleFactoryManager(self)
        self._hostSelector = qSlicerModuleSelectorToolBar(self)
        slicer.modules = sys.modules["slicer.modules"] = types.ModuleType("slicer.modules")

    def factoryManager(self) -> qSlicerModuleFactoryManager:
        return self._hostFactory

    def modulesNames(self) -> list[str]:
        return list(self._hostModules)

    def module(self, name: str) -> qSlicerScriptedLoadableModule | None:
        return self._hostModules.get(name)

    def _load(self, path: Path) -> qSlicerScriptedLoadableModule:
        """Load a module file: its registration class runs, its panel is made when asked for."""
        if not path.is_file():
            raise ModuleError(f"There is no module file {path}.")
        name = path.stem
        if name in self._hostModules:
            raise ModuleError(f"Module {name} is loaded already: unload or reload it.")
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ModuleError(f"Python cannot import {path}.")
        code = importlib.util.module_from_spec(spec)
        sys.modules[name] = code
        try:
            spec.loader.exec_module(code)
            module = qSlicerScriptedLoadableModule(path)
            instance = getattr(code, name)(module)
        except BaseException:
            del sys.modules[name]
            raise
        self._hostModules[name] = module
        setattr(slicer.modules, name.lower(), module)
        setattr(slicer.modules, f"{name}Instance", instance)
        if hasattr(instance, "setup"):
            instance.setup()
        self.moduleLoaded.emit(name)
        return module

    def _unload(self, name: str) -> None:
        """Say that the module goes (its panel cleans up), then take it away."""
        if name not in self._hostModules:
            raise ModuleError(f"Module {name} is not loaded.")
        if self._hostSelector.selectedModule == name:
            self._hostSelector.selectModule("")
        self.moduleAboutToBeUnloaded.emit(name)
        module = self._hostModules.pop(name)
        if module._hostWidget is not None:
            module._hostWidget.deleteLater()
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(slicer.modules).pop(attribute, None)
        sys.modules.pop(name, None)
        folder = str(module._hostPath.parent)
        if folder in sys.path:
            sys.path.remove(folder)
        slicer.selfTests.pop(name, None)


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """Switches between modules: the old one is left, the new one entered."""

    moduleSelected = Signal(str)

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__()
        self._hostManager = manager
        self._hostName = ""

    selectedModule = Property(str, lambda self: self._hostName)

    def selectModule(self, name: str) -> None:
        if name == self._hostName:
            return
        module = self._hostManager.module(name)
        if name and module is None:
            raise ModuleError(f"There is no module {name!r}.")
        if self._hostName:
            self._hostManager.module(self._hostName).widgetRepresentation().exit()
        self._hostName = name
        if module is not None:
            module.widgetRepresentation().enter()
        self.moduleSelected.emit(name)
