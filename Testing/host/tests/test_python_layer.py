"""Our small Python layer: packaging, sample data, base classes, what the wrapper refuses."""

from typing import Annotated

import pytest


@pytest.fixture
def pip(slicerHost, monkeypatch):
    """What would have been given to pip."""
    import slicer.packaging

    calls = []
    monkeypatch.setattr(slicer.packaging, "installer", calls.append, raising=False)
    return calls


def test_pip_check_knows_what_is_installed(slicerHost):
    from slicer import packaging

    assert packaging.pip_check("numpy>=1") is True
    assert packaging.pip_check("numpy>=1 no-such-package-here") is False
    assert packaging.pip_check(["numpy<1"]) is False
    assert packaging.pip_check("no-such-package-here; python_version < '3'") is True


def test_requirements_files_are_read_without_comments_and_options(slicerHost, tmp_path):
    from slicer import packaging

    path = tmp_path / "requirements.txt"
    path.write_text("# library\nnumpy>=1.26  # arrays\n\n--no-deps\nscipy; python_version > '3'\n")
    assert [item.name for item in packaging.load_requirements(path)] == ["numpy", "scipy"]


def test_pip_ensure_asks_then_installs_what_is_missing(slicerHost, pip):
    from slicer import packaging

    packaging.pip_ensure("no-such-package-here")
    assert pip == []  # in testing mode nothing happens
    slicerHost.answer(False, True)
    with pytest.raises(RuntimeError, match="chose not to install"):
        packaging.pip_ensure("no-such-package-here>=2 numpy", requester="SAMI2I")
    packaging.pip_ensure("no-such-package-here>=2 numpy", requester="SAMI2I")
    assert pip == [["install", "no-such-package-here>=2"]]
    assert "SAMI2I needs: no-such-package-here>=2" in slicerHost.dialogs[0].text


def test_pip_install_and_uninstall_hand_over_their_arguments(slicerHost, pip):
    import slicer

    ended = []
    slicer.util.pip_install("--no-build-isolation sam2==1.1.0")
    slicer.packaging.pip_install(
        ["a"],
        no_deps_requirements="b",
        constraints="c.txt",
        blocking=False,
        completedCallback=ended.append,
    )
    slicer.util.pip_uninstall("a")
    assert pip == [
        ["install", "--no-build-isolation", "sam2==1.1.0"],
        ["install", "--no-deps", "b"],
        ["install", "a", "-c", "c.txt"],
        ["uninstall", "--yes", "a"],
    ]
    assert ended == [0]
    assert slicer.packaging.isPipInstallInProgress() is False


def test_nothing_is_installed_without_the_tests_installer(slicerHost):
    import slicer

    with pytest.raises(RuntimeError, match="installs nothing"):
        slicer.util.pip_install("numpy")
    with pytest.raises(RuntimeError, match="removes nothing"):
        slicer.util.pip_uninstall("numpy")


def test_pip_on_another_thread_is_refused(slicerHost, pip):
    import threading

    import slicer

    errors = []

    def install():
        try:
            slicer.util.pip_install("numpy")
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=install)
    thread.start()
    thread.join()
    assert errors == ["pip_install must be called on the main thread."]


def test_samples_are_loaded_from_files_at_hand_and_never_downloaded(slicerHost, tmp_path):
    import numpy as np
    import SampleData
    import slicer

    volume = slicer.util.addVolumeFromArray(np.ones((2, 2, 2), np.float32))
    slicer.util.saveNode(volume, str(tmp_path / "T1.nrrd"))
    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    for name, uri in (
        ("Here", (tmp_path / "T1.nrrd").as_uri()),
        ("There", "https://example.org/T1.nrrd"),
    ):
        register(category="Test", sampleName=name, uris=uri, fileNames="T1.nrrd", nodeNames="Head")
    assert SampleData.downloadSample("Here").GetName() == "Head"
    with pytest.raises(RuntimeError, match="downloads nothing"):
        SampleData.downloadSample("There")
    with pytest.raises(ValueError, match="no sample 'Nowhere'"):
        SampleData.downloadSamples("Nowhere")
    with pytest.raises(ValueError, match="as many file names as addresses"):
        register(category="Test", sampleName="Wrong", uris=["a", "b"], fileNames="a")
    with pytest.raises(TypeError, match="sampleDescription"):  # Slicer's function does not take it
        register(category="Test", sampleName="Wrong", sampleDescription="A head")


def test_a_self_test_that_is_missing_is_a_failure(slicerHost):
    from slicer.ScriptedLoadableModule import ScriptedLoadableModule

    class Untested(ScriptedLoadableModule):
        def __init__(self):
            self.moduleName = "Untested"

    with pytest.raises(AssertionError, match="UntestedTest"):
        Untested().runTest()


def wrapped(**hints):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    return parameterNodeWrapper(type("Node", (), {"__annotations__": hints}))


def test_types_and_names_that_the_wrapper_cannot_hold_are_refused(slicerHost):
    with pytest.raises(TypeError, match="'volumes' of Node has type list"):
        wrapped(volumes=list[int])
    with pytest.raises(ValueError, match="'Modified' is a name"):
        wrapped(Modified=bool)


def test_every_validator_refuses_what_it_says(slicerHost):
    import slicer
    from slicer.parameterNodeWrapper import Exclude, Maximum, Minimum, NotNone

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    made = wrapped(
        low=Annotated[int, Minimum(0)],
        high=Annotated[float, Maximum(9)],
        word=Annotated[str, Exclude(["x"])],
    )(node)
    with pytest.raises(ValueError, match="-1 is less than 0"):
        made.low = -1
    with pytest.raises(ValueError, match="10 is more than 9"):
        made.high = 10
    with pytest.raises(ValueError, match="'x' is one of"):
        made.word = "x"
    with pytest.raises(ValueError, match="must not be None"):
        wrapped(volume=Annotated[slicer.vtkMRMLVolumeNode, NotNone()])(node)


def test_widgets_that_cannot_show_a_type_are_refused(slicerHost):
    import ctk
    import qt
    import slicer

    made = wrapped(word=str, level=float)(
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    )
    with pytest.raises(RuntimeError, match="QCheckBox cannot show parameter 'word'"):
        made.connectParametersToGui({"word": qt.QCheckBox()})
    with pytest.raises(RuntimeError, match="annotate 'word' with Choice"):
        made.connectParametersToGui({"word": qt.QComboBox()})
    with pytest.raises(RuntimeError, match="annotate 'level' with WithinRange"):
        made.connectParametersToGui({"level": ctk.ctkSliderWidget()})
