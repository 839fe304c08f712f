"""The installer with Slicer's real `slicer.util`, on the test host."""

import pytest
from SAMI2IPanel.dependencies import Dependencies
from SAMI2IPanel.slicer_services import SlicerServices, outputTo


# `slicer.util` leaves the pipe of its process to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_what_a_process_of_slicer_says_is_taken_line_by_line(slicerHost):
    import slicer.packaging

    log = []
    with outputTo(log.append):
        slicer.util.executePythonModule("pip", ["--version"])
    assert len(log) == 1
    assert log[0].startswith("pip ")


def test_pip_gets_the_arguments_of_the_installer(slicerHost, monkeypatch):
    import slicer.packaging

    calls = []
    monkeypatch.setattr(slicer.packaging, "installer", calls.append)
    SlicerServices().pipInstall(["--prefer-binary", "iopath<0.2"], print)
    assert calls == [["install", "--prefer-binary", "iopath<0.2"]]


def test_installation_on_a_complete_python_checks_it_and_downloads_nothing(slicerHost):
    dependencies = Dependencies()
    if missing := dependencies.missing():
        pytest.skip(f"not installed in this Python: {', '.join(missing)}")
    log = []
    dependencies.install(log.append)
    assert log[0] == "Checking that the packages load and compute."
    assert log[-1].startswith("Ready")
