"""`slicer.app` and what hangs on it: settings, paths, environment, main window, translations."""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets

from .io_manager import qSlicerCoreIOManager
from .layout import qSlicerLayoutManager
from .modules import qSlicerModuleManager, qSlicerModuleSelectorToolBar
from .mrml_widgets import option

Property, Signal = QtCore.Property, QtCore.Signal


class qSlicerCommandOptions(QtCore.QObject):
    """The options of the command line that modules ask for."""

    def __init__(self) -> None:
        super().__init__()
        self._hostTesting = True

    testingEnabled = Property(bool, lambda self: self._hostTesting)
    noMainWindow = Property(bool, lambda _self: False)
    runPythonAndExit = option("runPythonAndExit", bool, False)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """The window's parts that a module reaches: status bar and module selector."""

    def __init__(self, selector: qSlicerModuleSelectorToolBar) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._hostSelector = selector
        self.addToolBar(selector)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._hostSelector


class qSlicerApplication(QtWidgets.QApplication):
    """The application object: Slicer's MRML scene and logics, Qt off screen."""

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    _hostSignatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def __init__(self) -> None:
        # As in Slicer; Qt's web view, where it is installed, warns without.
        QtCore.QCoreApplication.setAttribute(QtCore.Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
        super().__init__(["TestHost"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("TestHost")
        self._hostTemporary = tempfile.mkdtemp(prefix="slicer-test-host-")
        atexit.register(shutil.rmtree, self._hostTemporary, ignore_errors=True)
        (Path(self._hostTemporary) / "share" / "ColorFiles").mkdir(parents=True)
        self._useOwnSettings()
        self._hostStartupEnvironment = QtCore.QProcessEnvironment.systemEnvironment()
        self._providePythonSlicer()
        self._hostOptions = qSlicerCommandOptions()
        self._hostScene = slicer.vtkMRMLScene()
        self._hostLogic = slicer.vtkSlicerApplicationLogic()
        self._hostLogic.SetTemporaryPath(self._hostTemporary)
        self._hostLogic.SetHomeDirectory(self._hostTemporary)
        self._hostLogic.SetShareDirectory("share")
        self._hostLogic.SetMRMLScene(self._hostScene)
        self._connectDataIO()
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(
            self._hostLogic
        )
        self._hostModules = qSlicerModuleManager(self)
        self._hostIO = qSlicerCoreIOManager(self)
        self._hostWindow = qSlicerMainWindow(self._hostModules._hostSelector)
        self._hostLayout = qSlicerLayoutManager(self, self._hostWindow)

    def _connectDataIO(self) -> None:
        """Without these logics the scene cannot unpack an .mrb file."""
        self._hostRemoteIO = slicer.vtkMRMLRemoteIOLogic()
        self._hostDataIO = slicer.vtkDataIOManagerLogic()
        self._hostRemoteIO.GetCacheManager().SetRemoteCacheDirectory(self.cachePath)
        self._hostDataIO.SetMRMLApplicationLogic(self._hostLogic)
        self._hostDataIO.SetAndObserveDataIOManager(self._hostRemoteIO.GetDataIOManager())
        self._hostLogic.SetMRMLSceneDataIO(self._hostScene, self._hostRemoteIO, self._hostDataIO)

    def _useOwnSettings(self) -> None:
        """Settings go to a temporary file: never to those of a person's Slicer."""
        ini = QtCore.QSettings.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.UserScope, self._hostTemporary)
        self._hostSettings = QtCore.QSettings(str(Path(self._hostTemporary) / "Slicer.ini"), ini)

    def _providePythonSlicer(self) -> None:
        """Slicer's launcher PythonSlicer is on PATH; it starts Python as its child."""
        folder = Path(self._hostTemporary) / "bin"
        folder.mkdir()
        if os.name == "nt":
            script = folder / "PythonSlicer.bat"
            script.write_text(f'@"{sys.executable}" %*\n')
        else:
            script = folder / "PythonSlicer"
            script.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
            script.chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"

    # The scene and its logics

    def mrmlScene(self) -> Any:
        return self._hostScene

    def applicationLogic(self) -> Any:
        return self._hostLogic

    def moduleLogic(self, name: str) -> Any:
        return self._hostLogic.GetModuleLogic(name)

    def moduleManager(self) -> qSlicerModuleManager:
        return self._hostModules

    def coreIOManager(self) -> qSlicerCoreIOManager:
        return self._hostIO

    def ioManager(self) -> qSlicerCoreIOManager:
        return self._hostIO

    def layoutManager(self) -> qSlicerLayoutManager:
        return self._hostLayout

    # Settings, command line, environment

    def commandOptions(self) -> qSlicerCommandOptions:
        return self._hostOptions

    def testingEnabled(self) -> bool:
        return self._hostOptions._hostTesting

    def userSettings(self) -> QtCore.QSettings:
        return self._hostSettings

    def settings(self) -> QtCore.QSettings:
        return self._hostSettings

    def revisionUserSettings(self) -> QtCore.QSettings:
        return self._hostSettings

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment(self._hostStartupEnvironment)

    def environment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def setEnvironmentVariable(self, key: str, value: str) -> None:
        os.environ[key] = value

    def _environmentPath(self, name: str) -> str:
        path = Path(self._hostTemporary) / name
        path.mkdir(exist_ok=True)
        return str(path)

    # Texts and looks

    def moduleDocumentationUrl(self, moduleName: str) -> str:
        return (
            f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{moduleName.lower()}.html"
        )

    def pauseRender(self) -> None:
        self._hostLayout.setRenderPaused(True)

    def resumeRender(self) -> None:
        self._hostLayout.setRenderPaused(False)

    def setRenderPaused(self, paused: bool) -> None:
        self._hostLayout.setRenderPaused(paused)

    def toSlicerHomeAbsolutePath(self, path: str) -> str:
        return str(Path(self._hostTemporary) / path)

    slicerHome = Property(str, lambda self: self._hostTemporary)
    temporaryPath = Property(str, lambda self: self._environmentPath("temp"))
    cachePath = Property(str, lambda self: self._environmentPath("cache"))
    defaultScenePath = Property(str, lambda self: self._environmentPath("scenes"))
    extensionsInstallPath = Property(str, lambda self: self._environmentPath("extensions"))
    startupWorkingPath = Property(str, lambda _self: str(Path.cwd()))
    documentationBaseUrl = Property(str, lambda _self: "https://slicer.readthedocs.io/en/latest/")
    majorVersion = Property(int, lambda _self: _coreVersion()[0])
    minorVersion = Property(int, lambda _self: _coreVersion()[1])
    platform = Property(str, lambda _self: f"{sys.platform}-amd64")
    os = Property(str, lambda _self: sys.platform)
    revision = Property(str, lambda _self: "test-host")
    releaseType = Property(str, lambda _self: "Experimental")
    applicationLocaleName = Property(str, lambda _self: "en-US")


def _coreVersion() -> list[int]:
    """The Slicer version that the wheel was built from."""
    return [int(part) for part in importlib.metadata.version("slicer-core").split(".")]
