"""What fails a test on the host: slots that raise, VTK errors, dialogs without an answer."""

import sys

import pytest

from Testing.host import fixtures


def runGuarded(slicerHost, action):
    """Run a test body under the fixture, as pytest does."""
    generator = fixtures.slicerHost.__wrapped__()
    host = next(generator)
    action(host)
    next(generator, None)


def test_an_exception_in_a_slot_fails_the_test(slicerHost):
    import qt

    def body(host):
        button = qt.QPushButton()
        button.connect("clicked()", lambda: 1 / 0)
        button.click()

    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"):
        runGuarded(slicerHost, body)


def test_an_exception_in_an_observer_fails_the_test(slicerHost):
    import slicer

    def body(host):
        def onNodeAdded(caller, event):
            raise KeyError("the observer")

        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, onNodeAdded)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        slicer.mrmlScene.RemoveObserver(tag)

    with pytest.raises(pytest.fail.Exception, match="the observer"):
        runGuarded(slicerHost, body)


def test_a_vtk_error_fails_the_test(slicerHost):
    import vtk

    def body(host):
        reader = vtk.vtkPNGReader()
        reader.SetFileName("/no/such/picture.png")
        reader.Update()

    with pytest.raises(pytest.fail.Exception, match="Unable to open file /no/such/picture"):
        runGuarded(slicerHost, body)


def test_a_process_destroyed_while_it_runs_fails_the_test(slicerHost):
    import qt

    def body(host):
        process = qt.QProcess()
        process.start(sys.executable, ["-c", "input()"])
        assert process.waitForStarted(20000)
        del process

    with pytest.raises(pytest.fail.Exception, match="Destroyed while process"):
        runGuarded(slicerHost, body)


def test_errors_that_a_test_takes_do_not_fail_it(slicerHost):
    import qt
    import slicer

    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert [type(error) for error in slicerHost.takeExceptions()] == [ZeroDivisionError]
    with pytest.raises(RuntimeError, match="no file /no/such"):
        slicer.util.loadVolume("/no/such/volume.nrrd")


def test_a_dialog_without_an_answer_is_an_error_not_a_hang(slicerHost):
    import qt

    with pytest.raises(RuntimeError, match="give the host an answer first"):
        qt.QMessageBox.question(None, "Title", "Install PyTorch?")
    assert slicerHost.dialogs[-1].text == "Install PyTorch?"


@pytest.mark.parametrize("agreed", [True, False])
def test_answers_press_the_buttons_of_slicers_dialogs(slicerHost, agreed):
    import slicer

    slicerHost.answer(agreed, agreed)
    assert slicer.util.confirmYesNoDisplay("Download the model?") is agreed
    assert slicer.util.confirmOkCancelDisplay("Remove the model?") is agreed
    assert [shown.text for shown in slicerHost.dialogs] == [
        "Download the model?",
        "Remove the model?",
    ]


def test_an_error_display_tells_the_exceptions_text(slicerHost):
    import slicer

    slicerHost.answer(True)
    with pytest.raises(ValueError, match="no slices"), slicer.util.tryWithErrorDisplay("Failed."):
        raise ValueError("no slices")
    (shown,) = slicerHost.dialogs
    assert shown.text == "Failed.\n\nno slices"
    assert "Traceback" in shown.details


def test_file_dialogs_return_the_answer_as_pythonqt_does(slicerHost):
    import qt

    slicerHost.answer("/scans/T1.nii.gz", lambda: "/out")
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/scans/T1.nii.gz"
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org"))
    assert slicerHost.openedUrls == ["https://example.org"]


class SlicerStdout:
    """All that Slicer's Python console gives as sys.stdout."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return False


def test_the_host_and_a_module_work_with_slicers_three_method_stdout(slicerHost, monkeypatch):
    import slicer

    from Testing.host.tests.conftest import BRIGHTEN

    out = SlicerStdout()
    monkeypatch.setattr(sys, "stdout", out)
    panel = slicerHost.openModule(BRIGHTEN)
    panel.onReload()
    slicer.selfTests["Brighten"]()
    print("still here")
    assert "still here" in out.text
