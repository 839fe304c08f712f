"""What others wrote, in a model file or a name, is shown as text: no HTML, pictures or links."""

import json

import pytest

from SAMI2ILib.weights import ModelSpec

HOSTILE = "<b>best</b> <a href='https://example.invalid'>update</a><img src='file:///etc/hosts'>"


@pytest.fixture
def hostile_entry(private_store, capsys):
    """The list's entry of a model file with HTML in every text that its schema allows."""
    import struct

    from SAMI2ILib.cli.main import main

    spec = ModelSpec(
        family="unet", id="hostile", title=HOSTILE, source_contrast="T1", target_contrast="T2",
        license=HOSTILE, intended_use=HOSTILE, software_version=HOSTILE,
    )  # fmt: skip
    document = json.loads(spec.to_json())
    document["training"]["data"] = [
        {"name": HOSTILE, "license": HOSTILE, "subjects": 3, "note": HOSTILE}
    ]
    document["metrics"] = [
        {"name": "PSNR", "value": 20.0, "unit": HOSTILE, "data": HOSTILE, "region": HOSTILE,
         "subjects": 3, "standard_deviation": None}
    ]  # fmt: skip
    raw = json.dumps({"__metadata__": {"sami2i-model": json.dumps(document)}}).encode()
    path = private_store / "hostile.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    return next(model for model in listed if model["id"] == "hostile")


def plain_text_of(html):
    from PySide6.QtGui import QTextDocument

    document = QTextDocument()
    document.setHtml(html)
    return document.toPlainText(), document.toHtml()


def test_texts_of_a_model_are_shown_as_they_stand(slicerHost, ready_panel, hostile_entry):
    from SAMI2IPanel.model_choice import ModelChoice

    ready_panel.choices.models = ModelChoice([hostile_entry])
    ready_panel.parameters.sourceContrast = "T1"
    ready_panel.parameters.targetContrast = "T2"
    slicerHost.processEvents()
    ui = ready_panel.ui
    shown, html = plain_text_of(ui.modelCardLabel.text)
    assert shown.count(HOSTILE) >= 5
    assert "<img" not in html
    assert "<a " not in html
    assert HOSTILE in ui.modelComboBox.itemText(0)  # such a list shows plain text only


def test_name_of_a_volume_is_shown_as_it_stands(slicerHost, ready_panel, load_sample):
    node = load_sample(name=HOSTILE)
    node.GetStorageNode().SetFileName("")  # it would tell the contrast
    node.Modified()
    ready_panel.parameters.inputVolume = node
    slicerHost.processEvents()
    assert HOSTILE in ready_panel.ui.reasonLabel.text
    shown, html = plain_text_of(ready_panel.ui.applyButton.toolTip)
    assert shown == ready_panel.ui.reasonLabel.text
    assert "<img" not in html


def test_labels_follow_no_link_and_only_our_own_show_rich_text(ready_panel):
    import qt

    rich = {"researchUseLabel", "modelCardLabel", "scoresLabel"}  # each escapes what it is given
    for name in ("statusLabel", "reasonLabel", "progressLabel", "messageLabel", *rich):
        label = getattr(ready_panel.ui, name)
        assert not label.openExternalLinks
        expected = qt.Qt.RichText if name in rich else qt.Qt.PlainText
        assert label.textFormat == expected, name


def test_log_of_a_failure_is_kept_whatever_letters_are_in_it(slicerHost):
    from SAMI2IPanel.jobs import _withLog, failureLogPath
    from SAMI2IPanel.protocol import Failure, Outcome

    failure = _withLog(Outcome(None, Failure("It failed."), False, (), "of M\udcfcller 頭"))
    assert str(failureLogPath()) in failure.hint
    assert failureLogPath().read_text(encoding="utf-8") == "of M\\udcfcller 頭\n"
