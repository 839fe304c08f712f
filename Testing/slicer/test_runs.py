"""Runs of the panel with a real child process and the bundled models, and every way to end one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from Testing.host import whyUnavailable

from .conftest import MODULE, PATIENCE_SECONDS, REPOSITORY, TWO_SLICES

# Starts a job, leaves the event loop as Slicer does when it quits, and says what is left.
QUIT_IN_A_RUN = """
import sys
from pathlib import Path
from Testing.host.start import start
host = start()
widget = host.openModule(sys.argv[1])
import qt, slicer
from SAMI2IPanel.jobs import CommandJob
from SAMI2IPanel.private_folder import PREFIX
widget.logic.start(CommandJob(["simulate", "head", "-o", "head"]))
pid = widget.logic.job.processId
qt.QTimer.singleShot(500, slicer.app.quit)
slicer.app.exec_()
print(pid, list(Path(slicer.app.temporaryPath).glob(PREFIX + "*")))
"""
WHOLE_HEAD = slice(None)
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@pytest.fixture
def start_and_wait_for_slices(slicerHost, start):
    """Press Apply on the whole head and wait until slices are being translated."""

    def run():
        panel = start(WHOLE_HEAD, batchSize=1)
        slicerHost.waitUntil(
            lambda: "Translating slice" in panel.ui.progressLabel.text,
            PATIENCE_SECONDS,
            "the first slice",
        )
        return panel

    return run


@pytest.fixture
def traces(slicerHost):
    """What a run could leave: nodes, folders, processes of this program."""
    import slicer
    from SAMI2IPanel.private_folder import PREFIX
    from SAMI2IPanel.process_tree import descendants

    class Traces:
        @property
        def nodes(self):
            found = slicer.util.getNodesByClass("vtkMRMLVolumeNode")
            return sorted(node.GetName() for node in found)

        @property
        def folders(self):
            return list(Path(slicer.app.temporaryPath).glob(f"{PREFIX}*"))

        @property
        def processes(self):
            return [pid for pid in descendants(os.getpid()) if _is_library(pid)]

    return Traces()


def _is_library(pid):
    try:
        return b"SAMI2ILib" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_uncertainty_is_a_second_volume_that_no_reader_takes_for_an_image(
    start, finish, load_sample, traces
):
    import slicer
    from SAMI2IPanel.bridge import UNCERTAINTY_ATTRIBUTE, isSynthetic
    from SAMI2IPanel.dicom_export import canBeExported
    from SAMI2IPanel.saved_files import recordOf

    panel = start(addUncertainty=True)
    finish(panel)
    message = panel.ui.messageLabel.text
    assert "Its uncertainty map is head_T1_synth-T2_uncertainty" in message, message
    assert traces.nodes == ["head_T1", "head_T1_synth-T2", "head_T1_synth-T2_uncertainty"]
    assert traces.folders == []
    result = panel.parameters.resultVolume
    doubt = slicer.util.getNode("head_T1_synth-T2_uncertainty")
    assert result.GetName() == "head_T1_synth-T2"
    assert isSynthetic(doubt)
    assert doubt.GetAttribute(UNCERTAINTY_ATTRIBUTE) == "true"
    assert result.GetAttribute(UNCERTAINTY_ATTRIBUTE) is None
    assert doubt.GetDescription().startswith("UNCERTAINTY of the synthetic volume head_T1_synth-T2")
    assert (canBeExported(result), canBeExported(doubt)) == (True, False)
    record = recordOf(doubt)
    assert record["quantity"] == "uncertainty"
    assert record["ensemble"]["passes"] == 8
    assert str(slicer.app.temporaryPath) not in result.GetAttribute("SAMI2I.Record")
    values = slicer.util.arrayFromVolume(doubt)
    display = doubt.GetDisplayNode()
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeIron"
    assert display.GetColorNode() is not None
    assert display.GetLevel() == pytest.approx(display.GetWindow() / 2)
    assert 10 <= display.GetWindow() <= values.max()
    panel.parameters.referenceVolume = load_sample("T2", TWO_SLICES)
    panel.parameters.resultVolume = doubt
    assert not panel.ui.measureButton.enabled
    assert "is a map and no image" in panel.ui.measureButton.toolTip


def test_apply_compare_measure_and_apply_again(slicerHost, start, finish, load_sample, traces):
    import slicer
    from SAMI2IPanel.bridge import isSynthetic

    panel = start(keepWorkingGrid=True)
    assert not panel.ui.applyButton.enabled
    assert panel.ui.reasonLabel.text.startswith("Wait until the translation has finished")
    assert panel.ui.cancelButton.enabled
    assert panel.ui.progressBar.visible
    finish(panel)
    message = panel.ui.messageLabel.text
    assert message.startswith("Done: head_T1_synth-T2."), message
    assert "Warning: The input has 2 axial slices" in message
    assert "translate: done" in panel.ui.logTextEdit.plainText
    assert traces.nodes == ["head_T1", "head_T1_synth-T2", "head_T1_synth-T2_slices"]
    assert traces.folders == []
    result = panel.parameters.resultVolume
    assert slicer.util.arrayFromVolume(result).max() > 100
    assert slicer.modules.SAMI2IMarker.text("Red") == "SYNTHETIC T2: research use only"

    panel.ui.blendButton.click()
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == panel.parameters.inputVolume.GetID()
    assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == (result.GetID(), 0.5)
    panel.ui.sideBySideButton.click()
    yellow = slicer.app.layoutManager().sliceWidget("Yellow").sliceLogic().GetSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == panel.parameters.inputVolume.GetID()
    assert yellow.GetBackgroundVolumeID() == result.GetID()
    marks = [slicer.modules.SAMI2IMarker.text(view) for view in ("Red", "Yellow")]
    assert marks == ["", "SYNTHETIC T2: research use only"]

    panel.parameters.referenceVolume = load_sample("T2", TWO_SLICES)
    panel.ui.measureButton.click()
    finish(panel)
    assert "in the head" in panel.ui.scoresLabel.text, panel.ui.messageLabel.text
    assert panel.ui.messageLabel.text == "Measured; the error map is head_T1_synth-T2_error."
    error = slicer.util.getNode("head_T1_synth-T2_error")
    assert isSynthetic(error)
    values = slicer.util.arrayFromVolume(error)
    assert np.abs(values).max() > 10
    assert not error.GetDisplayNode().GetAutoWindowLevel()

    panel.parameters.outputVolume = result
    panel.parameters.keepWorkingGrid = False
    panel.parameters.targetContrast = "PD"
    slicerHost.processEvents()
    before = len(traces.nodes)
    panel.ui.applyButton.click()
    finish(panel)
    assert panel.ui.messageLabel.text.startswith("Done: head_T1_synth-PD.")
    assert not panel.ui.scoresLabel.visible  # they were of the T2
    assert result.GetAttribute("SAMI2I.TargetContrast") == "PD"
    assert len(traces.nodes) == before
    assert panel.ui.progressBar.visible is False


@pytest.mark.fault("cancelled")
def test_cancel_leaves_no_process_no_folder_and_no_node(start_and_wait_for_slices, finish, traces):
    panel = start_and_wait_for_slices()
    assert len(traces.processes) >= 1
    assert len(traces.folders) == 1
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    finish(panel)
    assert traces.processes == []
    assert traces.folders == []
    assert traces.nodes == ["head_T1"]
    assert panel.ui.messageLabel.text == "Cancelled. Nothing was added to the scene."
    assert panel.ui.applyButton.enabled


@pytest.mark.fault("child-killed")
@pytest.mark.slow
@posix_only
def test_child_that_does_not_listen_is_killed_with_its_tree(
    start_and_wait_for_slices, finish, traces
):
    panel = start_and_wait_for_slices()
    for pid in traces.processes:
        os.kill(pid, signal.SIGSTOP)  # as deep in native code as one can be
    panel.ui.cancelButton.click()
    finish(panel)
    assert traces.processes == []
    assert traces.folders == []


@pytest.mark.fault("child-killed")
@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("which", ["launcher", "interpreter"])
def test_killed_child_is_an_error_that_names_the_log(
    slicerHost, start_and_wait_for_slices, finish, traces, which
):
    from SAMI2IPanel.jobs import failureLogPath

    panel = start_and_wait_for_slices()
    launcher = panel.logic.job.processId
    victim = launcher if which == "launcher" else traces.processes[-1]
    os.kill(victim, signal.SIGKILL)
    finish(panel)
    message = panel.ui.messageLabel.text
    assert message.startswith("Error: The process that does the work ended unexpectedly"), message
    assert "Memory may have run out" in message
    assert str(failureLogPath()) in message
    assert "running on CPU" in failureLogPath().read_text(encoding="utf-8")
    assert traces.folders == []
    assert traces.nodes == ["head_T1"]
    # An orphan notices that nobody holds its stdin any more.
    slicerHost.waitUntil(lambda: not traces.processes, PATIENCE_SECONDS, "the end of the orphan")
    assert panel.ui.applyButton.enabled


@pytest.mark.fault("folder-gone")
@pytest.mark.slow
@posix_only
def test_temporary_folder_that_goes_meanwhile_costs_nothing(
    start_and_wait_for_slices, finish, traces
):
    panel = start_and_wait_for_slices()
    shutil.rmtree(traces.folders[0])
    finish(panel)
    assert panel.ui.messageLabel.text.startswith("Done: head_T1_synth-T2.")
    assert traces.nodes == ["head_T1", "head_T1_synth-T2"]
    assert traces.folders == []


@pytest.mark.fault("cancelled")
def test_closing_the_scene_ends_the_run(slicerHost, start_and_wait_for_slices, traces):
    panel = start_and_wait_for_slices()
    slicerHost.scene.Clear()
    assert traces.processes == []
    assert traces.folders == []
    slicerHost.processEvents()
    assert traces.nodes == []
    assert panel.ui.messageLabel.text == "Stopped, because the scene was closed."
    assert panel.ui.reasonLabel.text == "Choose the volume to translate."


@pytest.mark.fault("cancelled")
@pytest.mark.parametrize("ending", ["reload", "unload"])
def test_leaving_the_module_for_good_ends_the_run(slicerHost, start, traces, ending):
    import slicer

    panel = start()
    slicerHost.waitUntil(lambda: traces.processes, PATIENCE_SECONDS, "the child")
    children, (folder,) = traces.processes, traces.folders
    if ending == "reload":
        slicer.util.getModuleWidget("SAMI2I").onReload()
    else:
        slicerHost.unloadModule("SAMI2I")
    assert not panel.logic.isBusy
    assert not folder.exists()
    assert not set(children) & set(traces.processes)
    assert traces.nodes == ["head_T1"]


@pytest.mark.fault("parent-killed")
@pytest.mark.slow
def test_end_of_the_application_ends_the_run():
    if whyUnavailable():
        pytest.skip(whyUnavailable())
    run = subprocess.run(
        [sys.executable, "-c", QUIT_IN_A_RUN, str(MODULE)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    pid, folders = run.stdout.splitlines()[-1].split(" ", 1)
    assert int(pid) > 0
    assert folders == "[]"
    assert not _is_library(int(pid))


def test_volume_without_a_head_is_an_error_with_a_hint(slicerHost, start, finish, ready_panel):
    import slicer

    panel = start()
    panel.ui.cancelButton.click()
    finish(panel)
    node = panel.parameters.inputVolume
    slicer.util.updateVolumeFromArray(node, np.full((2, 20, 20), 7, "int16"))
    slicerHost.processEvents()
    panel.ui.applyButton.click()
    finish(panel)
    message = panel.ui.messageLabel.text
    assert message.startswith("Error: The input volume is constant: every voxel is 7.")
    assert "Choose the volume that holds the scan." in message


def test_program_that_cannot_start_is_said(slicerHost, ready_panel, load_sample, python_slicer):
    python_slicer("").write_bytes(b"\x7fELF but not really")
    ready_panel.parameters.inputVolume = load_sample(slices=TWO_SLICES)
    ready_panel.ui.applyButton.click()
    slicerHost.waitUntil(lambda: not ready_panel.busyWith, PATIENCE_SECONDS)
    message = ready_panel.ui.messageLabel.text
    assert message.startswith("Error: "), message
    assert ready_panel.ui.applyButton.enabled


@pytest.mark.fault("disk-full")
def test_full_disk_is_said_before_anything_starts(
    slicerHost, ready_panel, load_sample, traces, monkeypatch
):
    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    ready_panel.parameters.inputVolume = load_sample(slices=TWO_SLICES)
    monkeypatch.setattr("SAMI2IPanel.bridge.writeNrrd", fail)
    ready_panel.ui.applyButton.click()
    assert "cannot be written to: No space left on device" in ready_panel.ui.messageLabel.text
    assert not ready_panel.busyWith
    assert traces.folders == []


@pytest.mark.fault("child-killed")
def test_folders_of_a_crash_long_ago_are_removed(slicerHost):
    from SAMI2IPanel.private_folder import makePrivateFolder, removeFolder, removeStaleFolders

    old, new = makePrivateFolder(), makePrivateFolder()
    assert oct(new.stat().st_mode & 0o777) in ("0o700", "0o777")  # Windows has no such bits
    yesterday = time.time() - 2 * 24 * 3600
    os.utime(old, (yesterday, yesterday))
    removeStaleFolders()
    assert not old.exists()
    assert new.exists()
    removeFolder(new)


@pytest.mark.fault("parent-killed")
@pytest.mark.slow
def test_death_of_this_program_ends_the_child(slicerHost, tmp_path):
    """The pipe that holds the child's stdin open dies with the program that made it."""
    from SAMI2IPanel.command import LIBRARY_PARENT, libraryArguments

    code = (
        "import subprocess, sys, os; child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE,"
        " stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); child.stdout.readline();"
        " print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    words = libraryArguments(["simulate", "head", "-o", str(tmp_path / "head")])
    parent = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *words],
        cwd=LIBRARY_PARENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    pid = int(parent.stdout)
    slicerHost.waitUntil(lambda: not _is_library(pid), PATIENCE_SECONDS, "the end of the orphan")
