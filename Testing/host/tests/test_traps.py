"""The lint for Slicer's traps finds each of them, and none in SAMI2I."""

from pathlib import Path

import pytest

from Testing.host.traps import findTraps, trapsUnder, widgetClasses

ROOT = Path(__file__).parents[3]
WIDGETS = {
    "applyButton": "QPushButton",
    "advanced": "ctkCollapsibleButton",
    "input": "qMRMLNodeComboBox",
}

TRAPS = {
    "getter-call": "name = self.ui.label.text()",
    "heavy-import": "import torch",
    "imp": "import imp",
    "lambda-default": "for i in range(3):\n    button.connect('clicked()', lambda i=i: print(i))",
    "partial": "button.clicked.connect(functools.partial(self.run, 1))",
    "pip": "class W:\n    def setup(self):\n        slicer.packaging.pip_ensure('torch')",
    "pyside": "from PySide6 import QtCore",
    "qt-keyword": "label = qt.QLabel(text='T2')",
    "scoped-enum": "qt.Qt.AlignmentFlag.AlignLeft",
    "stdout": "sys.stdout.reconfigure(encoding='utf-8')",
    "subclass-qt": "class Panel(qt.QWidget):\n    pass",
    "thread": "import threading",
    "ui-attribute": "self.ui.advanced.setCollapsed(True)",
    "ui-name": "self.ui.aplyButton.enabled = True",
}

FINE = """
import logging
import qt, slicer

class W:
    def setup(self):
        self.ui.applyButton.enabled = False
        self.ui.advanced.collapsed = True
        self.ui.input.noneEnabled = True
        self.ui.applyButton.connect("clicked()", lambda: self.run(1))
        self.ui.applyButton.clicked.connect(self.run)
        box = qt.QComboBox(self.parent)
        box.addItem("T2", "T2")
        flags = qt.Qt.AlignLeft | qt.Qt.AlignTop
        qt.QTimer.singleShot(0, lambda: None)
        if qt.QThread.currentThread() == slicer.app.thread():
            sys.stdout.write("main thread")

    def run(self, checked):
        import torch
        settings = slicer.app.settings().value("SAMI2I/device")
        slicer.packaging.pip_ensure("torch")
"""


@pytest.mark.parametrize("rule", sorted(TRAPS))
def test_each_trap_is_found(rule):
    if rule == "ui-attribute":
        pytest.importorskip("PySide6", reason="Qt's own names are not known without PySide6")
    assert rule in [trap.rule for trap in findTraps(TRAPS[rule], widgets=WIDGETS)]


def test_good_code_has_no_traps():
    assert findTraps(FINE, widgets=WIDGETS) == []


def test_a_finding_says_where_and_what_to_do():
    (trap,) = findTraps("x = 1\nname = box.currentText()", "panel.py")
    assert (
        str(trap)
        == "panel.py:2: getter-call: a Qt property is an attribute: .currentText without ()"
    )


def test_widget_names_come_from_the_ui_file():
    found = widgetClasses([Path(__file__).parent / "Brighten" / "Resources" / "UI" / "Brighten.ui"])
    assert found["applyButton"] == "QPushButton"
    assert found["inputSelector"] == "qMRMLNodeComboBox"


def test_a_folder_is_searched_with_its_ui_files(tmp_path):
    pytest.importorskip("PySide6", reason="Qt's own names are not known without PySide6")
    (tmp_path / "A.ui").write_text('<ui><widget class="ctkSliderWidget" name="slider"/></ui>')
    (tmp_path / "A.py").write_text("self.ui.slider.setRange(0, 1)\n")
    (trap,) = trapsUnder(tmp_path)
    assert (trap.line, trap.rule) == (1, "ui-attribute")
    assert "ctkSliderWidget has no 'setRange'" in trap.advice


def test_the_slicer_module_has_no_traps():
    assert [str(trap) for trap in trapsUnder(ROOT / "SAMI2I")] == []
