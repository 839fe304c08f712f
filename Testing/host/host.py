"""What a test holds in its hand: modules opened and closed, events, answers, pictures."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from PySide6 import QtCore, QtGui

from . import pythonqt
from .dialogs import ANSWERS, Shown
from .qt_messages import QtMessages
from .rendering import whyNoRendering
from .sample_data import SampleDataLogic
from .subject_hierarchy import SubjectHierarchyKeeper
from .vtk_events import VtkMessages


class Host:
    """The running host. Use it through the pytest fixture `slicerHost`."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.scene = app.mrmlScene()
        self.exceptions: list[BaseException] = []
        self._vtkMessages = VtkMessages()
        self._qtMessages = QtMessages()
        self._colors = slicer.vtkSlicerColorLogic()
        self._colors.SetMRMLApplicationLogic(app.applicationLogic())
        self._colors.SetMRMLScene(self.scene)
        app.applicationLogic().SetColorLogic(self._colors)
        app.applicationLogic().SetModuleLogic("Colors", self._colors)
        self._subjectHierarchy = SubjectHierarchyKeeper(self.scene)
        self._ownNodes = set(self._nodeIDs())

    # Modules

    def loadModule(self, path: str | Path) -> Any:
        """Load a module file as Slicer does at start-up; returns its C++ module object."""
        module = self.app.moduleManager()._load(Path(path).resolve())
        self.app.startupCompleted.emit()
        # Start-up happens once in a module's life, though a later test loads another module.
        pythonqt.disconnect(self.app, "startupCompleted()")
        return module

    def openModule(self, path: str | Path) -> Any:
        """Load a module, show and enter its panel; returns the module's Widget object."""
        module = self.loadModule(path)
        widget = slicer.util.getModuleWidget(module.name)
        widget.parent.show()
        self.selectModule(module.name)
        self.processEvents()
        return widget

    def selectModule(self, name: str) -> None:
        """Switch the module panel; an empty name leaves the current module."""
        self.app.moduleManager()._hostSelector.selectModule(name)

    def unloadModule(self, name: str) -> None:
        """The module is told and cleaned up, as at application exit."""
        self.app.moduleManager()._unload(name)
        self.processEvents()

    def announceQuit(self) -> None:
        """Tell everybody that the application is about to quit; it stays."""
        QtCore.QMetaObject.invokeMethod(self.app, "aboutToQuit", QtCore.Qt.DirectConnection)
        self.processEvents()

    # Time

    def processEvents(self) -> None:
        """Let Qt handle everything that waits, deferred deletion too."""
        self.app.processEvents()
        self.app.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)

    def waitUntil(self, condition: Callable[[], Any], timeout: float = 10.0, what: str = "") -> Any:
        """Run the event loop until the condition holds; returns the condition's value.

        Raises:
            TimeoutError: `timeout` seconds passed.
        """
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError(f"Waited {timeout} s in vain for {what or 'the condition'}.")
            self.app.processEvents(QtCore.QEventLoop.AllEvents, 20)
            time.sleep(0.002)

    # The user

    def answer(self, *answers: Any) -> None:
        """What the user does with the next dialogs: a button, a value, or a function of the dialog.

        Testing mode, in which `slicer.util` shows no dialogs, is off from here on.
        """
        self.app.commandOptions()._hostTesting = False
        ANSWERS.waiting.extend(answers)

    @property
    def dialogs(self) -> list[Shown]:
        """The dialogs shown so far in this test."""
        return ANSWERS.shown

    @property
    def openedUrls(self) -> list[str]:
        """The addresses given to `qt.QDesktopServices.openUrl` so far in this test."""
        return ANSWERS.opened

    # Pictures

    def grab(self, widget: Any, path: str | Path, width: int = 420, height: int = 0) -> Any:
        """Save a picture of a panel (a module's Widget object or a Qt widget) as PNG."""
        target = (
            getattr(widget, "parent", None) if not isinstance(widget, QtCore.QObject) else widget
        )
        target.resize(width, height or max(target.sizeHint().height(), 100))
        self.processEvents()
        picture = target.grab()
        if not picture.save(str(path)):
            raise RuntimeError(f"The picture could not be written to {path}.")
        return picture

    def grabSlices(self, path: str | Path, size: int = 360, fit: bool = True) -> Any:
        """Save the axial, sagittal and coronal view side by side as PNG.

        Args:
            path: Of the PNG file.
            size: Of one view, in pixels.
            fit: Show the whole background volume; else keep the fields of view.

        Returns:
            (size, 3 * size, 3) uint8.

        Raises:
            RuntimeError: VTK cannot render here; `rendering.whyNoRendering` says so beforehand.
        """
        reason = whyNoRendering()
        if reason:
            raise RuntimeError(reason)
        layout = self.app.layoutManager()
        widgets = [layout.sliceWidget(name) for name in layout.sliceViewNames()]
        for widget in widgets:
            widget.sliceView()._rendering().resize((size, size))
            if fit:
                widget.fitSliceToBackground()
        pictures = [widget.sliceView()._rendering().picture() for widget in widgets]
        row = np.ascontiguousarray(np.concatenate(pictures, axis=1))
        height, width, _ = row.shape
        image = QtGui.QImage(row.data, width, height, 3 * width, QtGui.QImage.Format_RGB888)
        if not image.save(str(path)):
            raise RuntimeError(f"The picture could not be written to {path}.")
        return row

    # Errors

    def takeVtkErrors(self) -> list[str]:
        """VTK's errors since the last call; a test that expects some takes them."""
        return self._vtkMessages.takeErrors()

    def takeQtWarnings(self) -> list[str]:
        """Qt's warnings since the last call; a test that expects some takes them."""
        return self._qtMessages.take()

    def takeExceptions(self) -> list[BaseException]:
        """Exceptions in slots since the last call; a test that expects some takes them."""
        taken = list(self.exceptions)
        self.exceptions.clear()
        return taken

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Collect what Qt and VTK would only print: exceptions in slots and observers."""
        previous = sys.excepthook

        def keep(
            _kind: type[BaseException], value: BaseException, trace: types.TracebackType | None
        ) -> None:
            self.exceptions.append(value.with_traceback(trace))

        sys.excepthook = keep
        self.takeVtkErrors()
        self.takeQtWarnings()
        self.exceptions.clear()
        try:
            yield
        finally:
            sys.excepthook = previous

    # Between tests

    def _nodeIDs(self) -> list[str]:
        scene = self.scene
        return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]

    def reset(self) -> None:
        """Unload every module, empty the scene, forget answers, settings and samples."""
        for name in self.app.moduleManager().modulesNames():
            self.unloadModule(name)
        for widget in self.app.topLevelWidgets():
            if widget is not self.app._hostWindow:
                widget.deleteLater()
        self.processEvents()
        self.scene.Clear(False)
        for nodeID in set(self._nodeIDs()) - self._ownNodes:
            node = self.scene.GetNodeByID(nodeID)
            if node is not None and node.IsA("vtkMRMLScriptedModuleNode"):
                self.scene.RemoveNode(node)
        self.app.layoutManager()._reset()
        self.processEvents()
        ANSWERS.clear()
        SampleDataLogic.sources.clear()
        self.app.commandOptions()._hostTesting = True
        self.app.settings().clear()
        while self.app.overrideCursor() is not None:
            self.app.restoreOverrideCursor()
