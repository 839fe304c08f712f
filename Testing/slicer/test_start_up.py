"""What opening the panel costs and brings in, and what loading it again leaves behind."""

import json
import subprocess
import sys

import pytest

from Testing.host import whyUnavailable

from .conftest import MODULE, REPOSITORY

HEAVY = ("torch", "torchvision", "sam2", "SimpleITK", "scipy", "skimage", "safetensors", "requests")


def test_opening_the_panel_imports_nothing_heavy():
    if whyUnavailable():
        pytest.skip(whyUnavailable())
    code = (
        "import json, sys\n"
        "from Testing.host.start import start\n"
        "host = start()\n"
        "before = set(sys.modules)\n"
        f"host.openModule({str(MODULE)!r})\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in set(sys.modules) - before]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == []


def test_loading_the_module_again_takes_new_helpers_and_leaves_one_marker(slicerHost, widget):
    import slicer

    library, helpers = sys.modules["SAMI2ILib"], sys.modules["SAMI2IPanel.jobs"]
    marker = slicer.modules.SAMI2IMarker
    widget.onReload()
    slicerHost.processEvents()
    assert sys.modules["SAMI2ILib"] is not library
    assert sys.modules["SAMI2IPanel.jobs"] is not helpers
    assert slicer.modules.SAMI2IMarker is not marker
    again = slicer.util.getModuleWidget("SAMI2I")
    assert again is not widget
    assert again.panel.isEntered


def test_sample_is_registered_without_a_network(slicerHost, widget):
    import SampleData
    import slicer

    nodes = SampleData.downloadSamples("SAMI2ISimulatedHead")
    assert [node.GetName() for node in nodes] == [
        "SimulatedHead_T1", "SimulatedHead_T2", "SimulatedHead_PD",
    ]  # fmt: skip
    source = SampleData.SampleDataLogic().sourceForSampleName("SAMI2ISimulatedHead")
    assert all(uri.startswith("file:") for uri in source.uris)
    widget.initializeParameterNode()
    assert widget.panel.parameters.inputVolume is nodes[0]
    assert (
        slicer.util.arrayFromVolume(nodes[0]).shape == slicer.util.arrayFromVolume(nodes[1]).shape
    )


def test_slicer_5_10_which_names_no_categories_gets_sample_marks_and_records(
    slicerHost, monkeypatch
):
    import SampleData
    import slicer
    from SAMI2IPanel import marking, saved_files

    marking.stopMarking()
    saved_files.stopWritingSidecars()
    monkeypatch.delattr(SampleData.SampleDataLogic, "registerCustomSampleDataCategory")
    slicerHost.loadModule(MODULE)
    assert slicerHost.takeExceptions() == []
    assert SampleData.SampleDataLogic().sourceForSampleName("SAMI2ISimulatedHead") is not None
    assert slicer.modules.SAMI2IMarker is not None
    assert slicer.modules.SAMI2ISidecarWriter is not None


def test_end_of_slicer_finds_nothing_of_ours_in_its_views(slicerHost, widget):
    import slicer

    assert slicer.modules.SAMI2IMarker is not None
    slicerHost.announceQuit()
    assert slicer.modules.SAMI2IMarker is None
    assert slicer.modules.SAMI2ISidecarWriter is None
