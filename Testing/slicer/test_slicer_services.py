"""The calls of Slicer: two versions of pip's function, the PyTorch extension, a child process."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from SAMI2IPanel.protocol import PanelError
from SAMI2IPanel.python_slicer import pythonSlicer
from SAMI2IPanel.slicer_services import SlicerServices

from SAMI2ILib import __version__


def place(monkeypatch, name, **contents):
    module = ModuleType(name)
    for key, value in contents.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def slicer(monkeypatch, tmp_path):
    """A `slicer` module with an application that counts how often it repainted, and its Python."""
    app = SimpleNamespace(slicerHome=str(tmp_path), repainted=0, thread=lambda: "main")

    def processEvents():
        app.repainted += 1

    app.processEvents = processEvents
    module = place(monkeypatch, "slicer", app=app)
    module.__path__ = []
    # Slicer 5.10 has no `slicer.packaging`; the test host, which may be loaded, has.
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    writeLauncher(tmp_path / "bin")
    return module


def writeLauncher(folder):
    """Write a PythonSlicer that starts this Python as its child, as Slicer's launcher does."""
    folder.mkdir(exist_ok=True)
    if os.name == "nt":
        (folder / "PythonSlicer.bat").write_text(f'@"{sys.executable}" %*\n', encoding="utf-8")
        return
    path = folder / "PythonSlicer"
    path.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n', encoding="utf-8")
    path.chmod(0o755)


def saying(calls, *lines):
    """Make a function that prints and remembers how it was called."""

    def function(*arguments, **options):
        calls.append((*arguments, options))
        for line in lines:
            print(line)

    return function


def test_pip_of_slicer_5_12_runs_without_a_window_of_its_own(slicer, monkeypatch):
    calls, log = [], []
    place(monkeypatch, "slicer.packaging", pip_install=saying(calls, "Collecting a", "done"))
    SlicerServices().pipInstall(["--no-deps", "a"], log.append)
    assert calls == [(["--no-deps", "a"], {"show_progress": False})]
    assert log == ["Collecting a", "done"]


def test_pip_of_slicer_5_10_is_in_util(slicer, monkeypatch):
    calls, log = [], []
    place(monkeypatch, "slicer.util", pip_install=saying(calls, "Collecting a"))
    SlicerServices().pipInstall(["a"], log.append)
    assert calls == [(["a"], {})]
    assert log == ["Collecting a"]


def test_running_pip_is_known_where_slicer_tells(slicer, monkeypatch):
    assert SlicerServices().isPipRunning() is False
    place(monkeypatch, "slicer.packaging", isPipInstallInProgress=lambda: True)
    assert SlicerServices().isPipRunning() is True


def torchExtension(monkeypatch, installTorch, **others):
    logic = SimpleNamespace(installTorch=installTorch, **others)
    place(monkeypatch, "PyTorchUtils", PyTorchUtilsLogic=lambda: logic)


def test_pytorch_extension_gets_both_version_ranges(slicer, monkeypatch):
    calls, log = [], []

    def installTorch(
        askConfirmation=False, torchVersionRequirement=None, torchvisionVersionRequirement=None
    ):
        print("ltt install")
        calls.append((askConfirmation, torchVersionRequirement, torchvisionVersionRequirement))

    torchExtension(monkeypatch, installTorch)
    SlicerServices().installTorch(">=2.5.1", ">=0.20.1", log.append)
    assert calls == [(False, ">=2.5.1", ">=0.20.1")]
    assert log == ["ltt install"]


def test_older_pytorch_extension_gets_the_range_that_it_knows(slicer, monkeypatch):
    calls = []

    def installTorch(askConfirmation=False, torchVersionRequirement=None):
        calls.append((askConfirmation, torchVersionRequirement))

    torchExtension(monkeypatch, installTorch)
    SlicerServices().installTorch(">=2.5.1", ">=0.20.1", print)
    assert calls == [(False, ">=2.5.1")]


def test_pytorch_extension_removes_pytorch(slicer, monkeypatch):
    log = []
    torchExtension(monkeypatch, None, uninstallTorch=saying([], "Uninstalling torch"))
    SlicerServices().uninstallTorch(log.append)
    assert log == ["Uninstalling torch"]


def test_pytorch_extension_is_looked_for_without_importing_it(slicer, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "PyTorchUtils", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not SlicerServices().hasTorchExtension()
    (tmp_path / "PyTorchUtils.py").write_text("raise RuntimeError", encoding="utf-8")
    assert SlicerServices().hasTorchExtension()


def test_main_thread_is_the_applications(slicer, monkeypatch):
    thread = SimpleNamespace(currentThread=lambda: "main")
    place(monkeypatch, "qt", QThread=thread)
    assert SlicerServices().isMainThread()
    thread.currentThread = lambda: "worker"
    assert not SlicerServices().isMainThread()


def test_child_process_finds_the_library_while_slicer_repaints(slicer, tmp_path):
    script = (
        "import time, sys, SAMI2ILib; time.sleep(0.2);"
        "print(SAMI2ILib.__version__, end=''); print('said', file=sys.stderr); sys.exit(3)"
    )
    code, output, errors = SlicerServices().runPython(["-c", script], 60)
    assert (code, output, errors.strip()) == (3, __version__, "said")
    assert slicer.app.repainted >= 1


def test_child_process_that_hangs_is_ended(slicer):
    code, _output, _errors = SlicerServices().runPython(["-c", "import time; time.sleep(60)"], 0.2)
    assert code != 0


def test_launcher_of_python_is_that_of_this_slicer_before_any_on_the_path(
    slicer, monkeypatch, tmp_path
):
    other = tmp_path / "other"
    writeLauncher(other)
    monkeypatch.setenv("PATH", str(other))
    assert Path(pythonSlicer()).parent == tmp_path / "bin"
    slicer.app.slicerHome = str(tmp_path / "elsewhere")
    assert Path(pythonSlicer()).parent == other
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PanelError, match=r"PythonSlicer.*was not found"):
        pythonSlicer()


def test_packages_go_where_this_python_has_them():
    assert SlicerServices().packageFolder() in Path(pytest.__file__).parents


def test_output_goes_back_to_the_console_after_a_failure(slicer, monkeypatch):
    def fail(_arguments):
        raise subprocess.CalledProcessError(1, "pip")

    place(monkeypatch, "slicer.util", pip_install=fail)
    console = sys.stdout
    with pytest.raises(subprocess.CalledProcessError):
        SlicerServices().pipInstall(["a"], print)
    assert sys.stdout is console


def test_log_may_print_and_gets_the_unfinished_line(slicer, monkeypatch, capsys):
    def install(_arguments):
        print("whole")
        print("half", end="")

    place(monkeypatch, "slicer.util", pip_install=install)
    SlicerServices().pipInstall(["a"], lambda line: print(f"<{line}>"))
    assert capsys.readouterr().out == "<whole>\n<half>\n"
