"""Models, encoders and checkpoints in the panel: what is offered, asked and started."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from .conftest import PATIENCE_SECONDS

STORE = {
    "store": "",
    "models": [
        {"id": "mine", "source_contrast": "T1", "target_contrast": "T2", "origin": "user"},
        {"id": "demo", "source_contrast": "T1", "target_contrast": "T2", "origin": "bundled"},
    ],
    "encoders": [{"id": "shared", "title": "", "origin": "user"}],
    "damaged": [{"id": "broken", "origin": "user", "path": "", "why": "It is too short."}],
    "checkpoints": [
        {"id": "tiny", "present": False, "megabytes": 156, "license": "Apache-2.0"},
        {"id": "large", "present": True, "megabytes": 898, "license": "Apache-2.0"},
    ],
}


@pytest.fixture
def commands(panel):
    """The store's section with a known store; commands are kept instead of started."""
    started = []
    panel.store._runCommand = lambda arguments, name: started.append((arguments, name))
    panel.store.show(STORE)
    return started


def choose(panel, name):
    box = panel.ui.storeComboBox
    box.currentIndex = [box.itemData(i) for i in range(box.count)].index(name)


def test_files_of_the_user_and_checkpoints_are_offered(panel, commands):
    box = panel.ui.storeComboBox
    assert [box.itemText(i) for i in range(box.count)] == [
        "mine (T1 to T2)",
        "shared (encoder)",
        "broken (damaged)",
        "tiny (SAM2, 156 MB, to download)",
        "large (SAM2, 898 MB, here)",
    ]


@pytest.mark.parametrize(
    ("name", "can_download", "can_remove"),
    [("mine", False, True), ("broken", False, True), ("tiny", True, False), ("large", False, True)],
)
def test_buttons_fit_the_chosen_file(panel, commands, name, can_download, can_remove):
    choose(panel, name)
    assert panel.ui.downloadButton.enabled is can_download
    assert panel.ui.removeModelButton.enabled is can_remove
    panel.store.update(busy=True)
    assert not panel.ui.downloadButton.enabled
    assert not panel.ui.removeModelButton.enabled


def test_download_is_asked_with_size_and_license(slicerHost, panel, commands):
    choose(panel, "tiny")
    slicerHost.answer(False, True)
    panel.ui.downloadButton.click()
    assert commands == []
    panel.ui.downloadButton.click()
    assert commands == [(["models", "download", "tiny"], "the download")]
    assert "about 156 MB, license Apache-2.0" in slicerHost.dialogs[0].text


def test_removal_is_asked(slicerHost, panel, commands):
    choose(panel, "mine")
    slicerHost.answer(False, True)
    panel.ui.removeModelButton.click()
    assert commands == []
    panel.ui.removeModelButton.click()
    assert commands == [(["models", "remove", "mine"], "removing the file")]


def test_file_to_add_is_chosen_in_a_dialog(slicerHost, panel, commands):
    slicerHost.answer("", "/data/model.safetensors")
    panel.ui.addModelButton.click()
    panel.ui.addModelButton.click()
    assert commands == [(["models", "add", "/data/model.safetensors"], "adding the file")]


def test_folder_of_the_models_is_opened(slicerHost, panel, commands, tmp_path):
    folder = tmp_path / "not there yet"
    panel.store.show({**STORE, "store": str(folder)})
    panel.ui.openFolderButton.click()
    assert folder.is_dir()
    (url,) = slicerHost.openedUrls
    assert Path(unquote(url.removeprefix("file://"))) == folder


def test_file_that_is_no_model_is_refused_by_the_library(slicerHost, ready_panel, tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no model")
    slicerHost.answer(str(wrong))
    ready_panel.ui.addModelButton.click()
    assert ready_panel.busyWith == "adding the file"
    assert "Wait until adding the file has finished" in ready_panel.ui.reasonLabel.text
    slicerHost.waitUntil(lambda: not ready_panel.busyWith, PATIENCE_SECONDS, "the command")
    assert ready_panel.ui.messageLabel.text.startswith("Error: ")
    assert "wrong.safetensors" in ready_panel.ui.messageLabel.text
