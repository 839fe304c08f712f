"""PySide6's classes behave as PythonQt's: properties, refusals, connections."""

import functools

import pytest


def test_properties_are_attributes(slicerHost):
    import qt

    label = qt.QLabel("T1")
    label.text = "T2"
    label.enabled = False
    assert (label.text, label.enabled) == ("T2", False)
    label.name = "contrast"
    assert label.objectName == "contrast"


def test_a_getter_that_is_a_property_cannot_be_called(slicerHost):
    import qt

    with pytest.raises(TypeError, match="'str' object is not callable"):
        qt.QLabel("T1").text()


def test_unknown_attributes_and_methods_are_refused(slicerHost):
    import qt

    button = qt.QPushButton("Apply")
    with pytest.raises(AttributeError, match="no property 'enable'"):
        button.enable = True
    with pytest.raises(AttributeError, match="'click' of QPushButton is not a property"):
        button.click = None
    with pytest.raises(AttributeError, match="no attribute named 'tooltip'"):
        button.tooltip  # noqa: B018


def test_values_of_a_wrong_type_and_read_only_properties_are_refused(slicerHost):
    import ctk
    import qt

    with pytest.raises(ValueError, match="does not accept an object of type str"):
        qt.QSpinBox().value = "3"
    with pytest.raises(AttributeError, match="read-only"):
        qt.QComboBox().count = 3
    with pytest.raises(AttributeError, match="read-only"):
        qt.QCoreApplication.instance().temporaryPath = "/elsewhere"
    assert ctk.ctkCollapsibleButton().collapsed is False


def test_numbers_are_taken_for_enums_and_texts(slicerHost):
    import qt

    label = qt.QLabel()
    label.alignment = int(qt.Qt.AlignRight)
    assert label.alignment == qt.Qt.AlignRight
    label.text = 24
    assert label.text == "24"


def test_dynamic_properties_are_readable_as_attributes(slicerHost):
    import qt

    widget = qt.QWidget()
    widget.setProperty("SlicerParameterName", "input")
    assert widget.SlicerParameterName == "input"
    widget.SlicerParameterName = "output"
    assert widget.property("SlicerParameterName") == "output"


def test_static_functions_stay_callable_beside_a_property_of_their_name(slicerHost):
    import qt

    fired = []
    qt.QTimer.singleShot(0, lambda: fired.append(1))
    slicerHost.waitUntil(lambda: fired, what="the timer")
    timer = qt.QTimer()
    timer.singleShot = True
    assert timer.singleShot is True


@pytest.mark.parametrize("how", ["signature", "name"])
def test_connect_and_disconnect(slicerHost, how):
    import qt

    calls = []
    box = qt.QSpinBox()

    def onValueChanged(value):
        calls.append(value)

    if how == "signature":
        box.connect("valueChanged(int)", onValueChanged)
    else:
        box.valueChanged.connect(onValueChanged)
    box.value = 3
    if how == "signature":
        assert box.disconnect("valueChanged(int)", onValueChanged) is True
        assert box.disconnect("valueChanged(int)", onValueChanged) is False
    else:
        box.valueChanged.disconnect(onValueChanged)
    box.value = 4
    assert calls == [3]


def test_a_target_gets_only_as_many_arguments_as_it_takes(slicerHost):
    import qt

    calls = []
    button = qt.QPushButton()
    button.connect("clicked(bool)", lambda: calls.append("none"))
    button.connect("clicked(bool)", lambda checked=7: calls.append(checked))
    button.click()
    assert calls == ["none", False]


def test_a_connection_by_receiver_and_slot(slicerHost):
    import qt

    box, label = qt.QLineEdit(), qt.QLabel()
    box.connect("textChanged(QString)", label, "setText(QString)")
    box.text = "PD"
    assert label.text == "PD"


def test_wrong_connections_are_refused(slicerHost):
    import qt

    button = qt.QPushButton()
    with pytest.raises(AttributeError, match="QPushButton has no signal 'clickd"):
        button.connect("clickd()", print)
    with pytest.raises(TypeError, match=r"functools\.partial"):
        button.connect("clicked()", functools.partial(print, 1))
    with pytest.raises(TypeError, match="cannot be called"):
        button.connect("clicked()", "onClick")


def test_children_are_found_by_class_name_and_object_name(slicerHost):
    import qt

    parent = qt.QWidget()
    layout = qt.QVBoxLayout(parent)
    for name in ("first", "second"):
        child = qt.QLabel(name)
        child.name = name
        layout.addWidget(child)
    assert [child.text for child in parent.findChildren("QLabel")] == ["first", "second"]
    assert parent.findChild(qt.QLabel, "second").text == "second"
    assert parent.findChild("QLabel", "third") is None


def test_names_that_only_pyside6_has_are_not_there(slicerHost):
    import qt

    assert not hasattr(qt, "Signal")
    assert not hasattr(qt, "Slot")
