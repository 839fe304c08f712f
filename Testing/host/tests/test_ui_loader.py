"""`.ui` files load unmodified; what Qt would drop in silence is an error."""

import pytest

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="box">
 <item><widget class="{kind}" name="first">
  <property name="{prop}"><string>x</string></property></widget></item>
 <item><widget class="QLineEdit" name="second"/></item>
</layout></widget>
<connections><connection><sender>{sender}</sender><signal>{signal}</signal>
<receiver>second</receiver><slot>{slot}</slot></connection></connections></ui>"""
GOOD = {
    "kind": "QLineEdit", "prop": "toolTip", "sender": "first",
    "signal": "textChanged(QString)", "slot": "setText(QString)",
}  # fmt: skip


@pytest.fixture
def load(slicerHost, tmp_path):
    import slicer

    def loadWith(**changes):
        path = tmp_path / "Panel.ui"
        path.write_text(UI.format(**{**GOOD, **changes}))
        return slicer.util.loadUI(str(path))

    return loadWith


def test_connections_of_the_file_work(load):
    import slicer

    ui = slicer.util.childWidgetVariables(load())
    ui.first.text = "PD"
    assert ui.second.text == "PD"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ctkNoSuchButton"}, "no widget class 'ctkNoSuchButton'"),
        ({"prop": "tolTip"}, "QLineEdit 'first' has no property 'tolTip'"),
        ({"sender": "third"}, "names 'third', which is no widget"),
        ({"slot": "setTxt(QString)"}, "no slot 'setTxt"),
    ],
)
def test_what_does_not_exist_is_an_error(load, changes, message):
    with pytest.raises(RuntimeError, match=message):
        load(**changes)


def test_an_unknown_signal_is_an_error(load):
    with pytest.raises(AttributeError, match="no signal 'txtChanged"):
        load(signal="txtChanged(QString)")


def test_a_collapsed_box_hides_what_is_in_it(brighten, slicerHost):
    box, button = brighten.ui.advancedCollapsibleButton, brighten.ui.askButton
    assert button.visible is False
    closed = box.height
    box.collapsed = False
    slicerHost.processEvents()
    assert button.visible is True
    assert box.height > closed
    box.click()
    assert box.collapsed is True
    assert button.visible is False
