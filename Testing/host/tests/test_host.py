"""The host as a whole: what it says of itself, its command, Slicer's Python layer in its place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import Testing.host as package
from Testing.host.tests.conftest import BRIGHTEN

ROOT = Path(__file__).parents[3]


def runPython(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_host_says_what_it_is_not():
    readme = Path(package.__file__).with_name("README.md").read_text("utf-8")
    assert "Never tested in 3D Slicer" in package.NOT_SLICER
    assert "It is not 3D Slicer" in readme


def test_a_missing_wheel_is_a_reason_not_a_crash(monkeypatch):
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    assert "needs PySide6_Essentials and slicer-core" in package.whyUnavailable()
    from Testing.host import start

    monkeypatch.setattr(start, "_started", [])
    with pytest.raises(RuntimeError, match="needs PySide6_Essentials and slicer-core"):
        start.start()


def test_the_command_takes_a_picture_and_runs_the_self_test(slicerHost, tmp_path):
    picture = tmp_path / "panel.png"
    done = runPython("-m", "Testing.host", str(BRIGHTEN), "--screenshot", str(picture), "--test")
    assert done.returncode == 0, done.stderr
    assert "not 3D Slicer" in done.stdout
    assert "self-test of Brighten passed on the test host" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


LAYER = {
    "ScriptedLoadableModule.py": """
class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
class ScriptedLoadableModuleWidget:
    pass
""",
    "util.py": "VERSION = 'of the layer'\n",
}

USE_LAYER = """
from Testing.host.start import start
start()
import slicer.ScriptedLoadableModule as layer
import slicer.util
print(layer.__file__)
print(slicer.util.VERSION)
"""


def test_slicers_python_layer_goes_before_ours(slicerHost, tmp_path):
    for name, text in LAYER.items():
        (tmp_path / name).write_text(text)
    done = runPython("-c", USE_LAYER, SLICER_PYTHON_LAYER=str(tmp_path))
    assert done.stdout.splitlines()[-2:] == [
        str(tmp_path / "ScriptedLoadableModule.py"), "of the layer",
    ], done.stderr  # fmt: skip


def test_a_folder_without_slicers_layer_is_refused(slicerHost, tmp_path, monkeypatch):
    import slicer

    from Testing.host.start import usePythonLayer

    monkeypatch.setenv("SLICER_PYTHON_LAYER", str(tmp_path))
    with pytest.raises(RuntimeError, match="is not a Slicer's bin/Python/slicer folder"):
        usePythonLayer(slicer)


def test_modules_that_cannot_be_loaded_are_refused(slicerHost, tmp_path):
    with pytest.raises(RuntimeError, match="no module file"):
        slicerHost.loadModule(tmp_path / "Nothing.py")
    slicerHost.loadModule(BRIGHTEN)
    with pytest.raises(RuntimeError, match="Brighten is loaded already"):
        slicerHost.loadModule(BRIGHTEN)
    with pytest.raises(RuntimeError, match="no module 'Other'"):
        slicerHost.selectModule("Other")
    with pytest.raises(RuntimeError, match="Other is not loaded"):
        slicerHost.unloadModule("Other")


def test_a_module_that_fails_at_import_leaves_no_trace(slicerHost, tmp_path):
    path = tmp_path / "Failing.py"
    path.write_text("raise ImportError('no torch')\n")
    with pytest.raises(ImportError, match="no torch"):
        slicerHost.loadModule(path)
    assert "Failing" not in sys.modules


def test_waiting_in_vain_is_an_error(slicerHost):
    with pytest.raises(TimeoutError, match="in vain for the result"):
        slicerHost.waitUntil(lambda: False, 0.05, "the result")


def test_pictures_that_cannot_be_written_are_an_error(brighten, slicerHost, tmp_path):
    with pytest.raises(RuntimeError, match="could not be written"):
        slicerHost.grab(brighten, tmp_path / "no folder" / "panel.png")


def test_widgets_without_a_stand_in_say_so(slicerHost):
    import ctk

    with pytest.raises(NotImplementedError, match="no stand-in for ctkRangeWidget"):
        ctk.ctkRangeWidget()


def test_python_slicer_starts_python_as_its_child(slicerHost):
    import slicer

    code = "import os, sys; print(os.getppid()); sys.stdout.write(sys.stdin.read()); sys.exit(4)"
    process = subprocess.Popen(
        ["PythonSlicer", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    output, _ = process.communicate("through")
    assert output.split() == [str(process.pid), "through"]
    assert process.returncode == 4
    assert Path(slicer.app.slicerHome, "bin").is_dir()


def test_the_settings_are_not_a_persons(slicerHost):
    import qt
    import slicer

    assert slicer.app.settings().fileName().startswith(slicer.app.slicerHome)
    assert qt.QSettings().fileName().startswith(slicer.app.slicerHome)
