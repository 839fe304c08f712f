"""The panel as a user meets it: what it says, offers, refuses and remembers."""

from html import escape

import pytest

import SAMI2ILib.about

from .conftest import PATIENCE_SECONDS


def reason(panel):
    """What the panel says of Apply; the tooltip says the same."""
    assert panel.ui.applyButton.enabled is (panel.ui.reasonLabel.text == "")
    if panel.ui.reasonLabel.text:
        assert panel.ui.applyButton.toolTip == panel.ui.reasonLabel.text
    return panel.ui.reasonLabel.text


@pytest.fixture
def choose(slicerHost, ready_panel):
    """Choose volumes and options in the parameter node, as the widgets do."""

    def choose(**choices):
        for name, value in choices.items():
            setattr(ready_panel.parameters, name, value)
        slicerHost.processEvents()
        return ready_panel

    return choose


def test_research_use_is_said_before_anything_else(panel):
    assert SAMI2ILib.about.INTENDED_USE in panel.ui.researchUseLabel.text
    assert panel.ui.researchUseLabel.visible
    assert panel.ui.advancedCollapsibleButton.collapsed


def test_doubt_of_a_job_is_shown_while_there_is_time_to_cancel_it(panel):
    panel.run.showStart()
    for message in ("It looks like a T2.", "It is cut."):
        panel.run.showEvent({"event": "warning", "code": "x", "message": message})
    shown = "Warning: It looks like a T2.\nWarning: It is cut."
    assert panel.ui.messageLabel.text == shown
    assert panel.ui.messageLabel.visible
    panel.run.showStart()
    assert not panel.ui.messageLabel.visible


def test_every_control_has_a_tooltip(panel):
    import qt

    bare = [
        name
        for name, widget in vars(panel.ui).items()
        if isinstance(widget, qt.QWidget)
        and name.endswith(
            ("Button", "ComboBox", "Selector", "SpinBox", "CheckBox", "Label", "Bar", "TextEdit")
        )
        and not widget.toolTip
    ]
    assert bare == []


def test_status_line_is_what_doctor_says_in_a_process_of_its_own(slicerHost, panel):
    assert panel.ui.statusLabel.text == "Checking what works on this machine..."
    slicerHost.waitUntil(lambda: not panel.status.problem, PATIENCE_SECONDS, "the answer of doctor")
    assert panel.ui.statusLabel.text.startswith("Ready")
    assert not panel.ui.installButton.visible


def test_apply_says_what_is_missing_step_by_step(choose, load_sample):
    panel = choose()
    assert reason(panel) == "Choose the volume to translate."
    unnamed = load_sample(name="MRHead")
    unnamed.GetStorageNode().SetFileName("")
    unnamed.Modified()
    panel = choose(inputVolume=unnamed)
    assert reason(panel) == "Choose the source contrast: nothing in MRHead tells it."
    assert panel.ui.sourceComboBox.currentText == "Unknown: please choose"
    panel = choose(sourceContrast="T1")
    assert reason(panel) == ""
    panel = choose(targetContrast="T1")
    assert reason(panel).startswith("Source and target contrast are both T1")
    panel = choose(sourceContrast="PD")
    assert reason(panel).startswith("No model makes T1 from PD")
    panel = choose(sourceContrast="T1", targetContrast="T2", model="mine")
    assert reason(panel).startswith("The model mine is not on this computer")


def test_contrast_is_guessed_and_shown_as_a_guess(choose, load_sample):
    panel = choose(inputVolume=load_sample(name="sub-01_T1w"))
    assert panel.ui.sourceComboBox.currentText == "T1 (guess, from the BIDS name)"
    panel.ui.sourceComboBox.currentIndex = 2
    assert panel.parameters.sourceContrast == "T2"
    other = load_sample(name="other_T1")
    panel = choose(inputVolume=other)
    assert panel.parameters.sourceContrast == ""  # it was said of the first volume


def test_guess_follows_what_slicer_tells_a_node_after_it_is_in_the_scene(
    choose, load_sample, monkeypatch
):
    import slicer

    class Database:
        isOpen = True

        def instanceValue(self, uid, tag):
            return "t2_tse_tra" if (uid, tag) == ("1.2.3", "0008,103e") else ""

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    node = load_sample(name="Series 5")
    node.GetStorageNode().SetFileName("")
    node.Modified()
    panel = choose(inputVolume=node)
    assert panel.ui.sourceComboBox.currentText == "Unknown: please choose"
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    assert panel.ui.sourceComboBox.currentText == "T2 (guess, from the DICOM SeriesDescription)"


def test_scan_of_another_name_is_never_shown_as_the_source(choose, load_sample):
    import slicer

    scan, result = load_sample(name="head"), load_sample(name="head_synth-T2")
    for name, value in (("Synthetic", "true"), ("SourceNode", "head")):
        result.SetAttribute(f"SAMI2I.{name}", value)
    result.SetNodeReferenceID("SAMI2I.Source", scan.GetID())
    panel = choose(inputVolume=load_sample(name="another patient"), resultVolume=result)
    assert panel.compare.source is scan
    slicer.mrmlScene.RemoveNode(scan)
    panel = choose()
    assert panel.compare.source is None
    assert not panel.ui.sideBySideButton.enabled
    assert panel.ui.aloneButton.enabled
    again = load_sample()
    again.SetName("head")
    panel = choose(inputVolume=again)
    assert panel.compare.source is again
    assert panel.ui.sideBySideButton.enabled


def test_models_are_those_of_the_pair_with_their_card(choose, load_sample):
    panel = choose(inputVolume=load_sample())
    assert panel.ui.modelComboBox.count == 1
    assert "bundled demonstration" in panel.ui.modelComboBox.currentText
    assert "a bundled demonstration: not SAM2" in panel.ui.modelCardLabel.text
    first = panel.choices.model["id"]
    panel.ui.targetComboBox.currentIndex = 1
    assert panel.parameters.targetContrast == "PD"
    assert panel.choices.model["id"] != first
    assert "Trained on" in panel.ui.modelCardLabel.text


def test_long_titles_of_models_can_be_read_in_a_narrow_panel(slicerHost, ready_panel, load_sample):
    import qt
    from SAMI2IPanel.model_choice import ModelChoice

    (first,) = [m for m in ready_panel.choices.models if m["target_contrast"] == "T2"]
    long = f"SAM-I2I at <b>site A & B</b>, {'pretrained, ' * 4}run "
    models = [first | {"id": f"run-{n}", "title": f"{long}{n}"} for n in range(2)]
    ready_panel.choices.models = ModelChoice(models)
    ready_panel.parameters.sourceContrast = "T1"
    ready_panel.parameters.targetContrast = "T2"
    slicerHost.processEvents()
    box = ready_panel.ui.modelComboBox
    width = qt.QFontMetrics(box.font).horizontalAdvance(box.currentText)
    assert box.view().minimumWidth > width > 400
    assert box.minimumSizeHint().width() < 250  # the panel stays as narrow as it was
    shown = [f"<qt>{escape(f'{long}{n} - bundled demonstration')}</qt>" for n in range(2)]
    assert [box.itemData(n, qt.Qt.ToolTipRole) for n in range(2)] == shown
    assert box.toolTip == shown[0]
    box.currentIndex = 1
    slicerHost.processEvents()
    assert box.toolTip == shown[1]


@pytest.mark.fault("output-over-input")
def test_real_scans_and_the_input_are_never_replaced(choose, load_sample):
    import slicer

    scan, other = load_sample(), load_sample("T2")
    panel = choose(inputVolume=scan, outputVolume=scan)
    assert reason(panel).startswith("The output is the input itself")
    panel = choose(outputVolume=other)
    assert reason(panel).startswith("The volume head_T2 is no synthetic one and is not replaced")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Synthetic")
    assert reason(choose(outputVolume=empty)) == ""
    assert reason(choose(inputVolume=empty, outputVolume=None)).startswith(
        "The volume Synthetic holds no image"
    )


def test_synthetic_volume_is_no_input(choose, load_sample):
    node = load_sample()
    node.SetAttribute("SAMI2I.Synthetic", "true")
    panel = choose(inputVolume=node)
    assert reason(panel) == "The volume head_T1 is synthetic itself: choose a scan."


def test_every_choice_is_in_the_parameter_node(choose, load_sample):
    panel = choose(inputVolume=load_sample())
    panel.ui.deviceComboBox.currentIndex = 1
    panel.ui.precisionComboBox.currentIndex = 1
    panel.ui.batchSpinBox.value = 5
    panel.ui.workingGridCheckBox.checked = True
    panel.ui.uncertaintyCheckBox.checked = True
    panel.ui.alignCheckBox.checked = True
    parameters = panel.logic.getParameterNode()
    assert (parameters.device, parameters.precision) == ("cpu", "fp32")
    assert (parameters.batchSize, parameters.keepWorkingGrid) == (5, True)
    assert parameters.alignReference is True
    assert parameters.addUncertainty is True
    choose(batchSize=0)
    assert panel.ui.batchSpinBox.text == "as memory allows"


def test_leaving_and_entering_the_panel_keeps_the_choices(slicerHost, choose, load_sample):
    panel = choose(inputVolume=load_sample(), targetContrast="PD", batchSize=2)
    slicerHost.selectModule("")
    slicerHost.selectModule("SAMI2I")
    assert panel.ui.targetComboBox.currentText == "PD"
    assert panel.ui.batchSpinBox.value == 2


def test_missing_packages_are_said_and_can_be_installed(slicerHost, without_packages, panel):
    slicerHost.waitUntil(
        lambda: panel.ui.installButton.visible, PATIENCE_SECONDS, "the answer of doctor"
    )
    assert panel.ui.statusLabel.text == "PyTorch is not installed."
    installed = []

    class Dependencies:
        def question(self):
            return "Install 3 GB?"

        def missing(self):
            return ["torch"]

        def platformProblem(self):
            return ""

        def install(self, log):
            installed.append(panel.ui.checkButton.enabled)
            log("Collecting torch")

    panel.status._dependencies = Dependencies()
    slicerHost.answer(False, True)
    panel.ui.installButton.click()
    assert installed == []
    panel.ui.installButton.click()
    assert installed == [False]
    assert "Collecting torch" in panel.ui.logTextEdit.plainText
    assert not panel.ui.logCollapsibleButton.collapsed
    assert [shown.text for shown in slicerHost.dialogs] == ["Install 3 GB?"] * 2


def test_failed_installation_is_said_with_its_hint(slicerHost, ready_panel):
    from SAMI2IPanel.dependency_error import DependencyError

    def fail(_log):
        raise DependencyError("The disk is full.", "Free 3 GB.")

    ready_panel.status._dependencies.repair = fail
    slicerHost.answer(True)
    ready_panel.ui.repairButton.click()
    assert ready_panel.ui.statusLabel.text == "The disk is full. Free 3 GB."
    assert ready_panel.ui.repairButton.enabled


def test_unsupported_platform_is_said_and_nothing_is_offered(slicerHost, ready_panel):
    ready_panel.status._dependencies.platformProblem = lambda: "Not on this Mac."
    ready_panel.status.refresh()
    assert ready_panel.ui.statusLabel.text == "Not on this Mac."
    assert ready_panel.status.problem == "Not on this Mac."
    assert not ready_panel.ui.installButton.visible


def test_missing_interpreter_is_said(slicerHost, panel, monkeypatch):
    monkeypatch.setattr("SAMI2IPanel.python_slicer.shutil.which", lambda _name, **_options: None)
    panel.status.refresh()
    assert panel.ui.statusLabel.text.startswith("PythonSlicer, the Python program of 3D Slicer")


def test_measure_says_what_it_needs(choose, load_sample):
    scan, synthetic = load_sample("T2"), load_sample(name="result")
    synthetic.SetAttribute("SAMI2I.Synthetic", "true")

    def problem(**choices):
        panel = choose(**choices)
        assert panel.ui.measureButton.enabled is panel.ui.measureButton.toolTip.startswith("PSNR")
        return panel.ui.measureButton.toolTip

    assert problem(referenceVolume=scan) == "Choose a synthetic volume as the result."
    chosen = {"resultVolume": synthetic, "referenceVolume": None}
    assert problem(**chosen) == "Choose a real volume of the target contrast."
    assert problem(referenceVolume=synthetic) == "The real volume is synthetic: choose a scan."
    assert problem(referenceVolume=scan).startswith("PSNR, SSIM and NRMSE")


def test_scores_go_when_something_else_is_chosen(choose, load_sample):
    synthetic, scan = load_sample(name="result"), load_sample("T2")
    synthetic.SetAttribute("SAMI2I.Synthetic", "true")
    scores = {"psnr": 20.0, "ssim": 0.9, "nrmse": 0.25}
    result = {"head": scores, "full_field": scores, "covered": 1.0, "registration": None}
    for change in ({"referenceVolume": None}, {"resultVolume": None}, {"alignReference": True}):
        panel = choose(resultVolume=synthetic, referenceVolume=scan, alignReference=False)
        panel.compare.showScores(result, panel.compare.pair)
        panel.update()
        assert panel.ui.scoresLabel.visible
        choose(**change)
        assert not panel.ui.scoresLabel.visible


def test_scores_say_how_the_real_volume_was_moved(panel):
    from SAMI2IPanel.sections.compare import scoresHtml

    scores = {"psnr": 20.123, "ssim": 0.9, "nrmse": 0.25}
    html = scoresHtml(
        {
            "head": scores,
            "full_field": scores,
            "covered": 0.9,
            "registration": {"translation_mm": 2.04, "rotation_deg": 1.5},
        }
    )
    assert "20.12 dB" in html
    assert "The real volume covers 90% of the head." in html
    assert "was moved by 2.0 mm and turned by 1.5 degrees" in html
