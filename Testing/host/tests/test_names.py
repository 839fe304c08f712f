"""Stand-ins offer only what PythonQt exposes of the C++ class of that name."""

import json
from pathlib import Path

import pytest

NAMES = json.loads(Path(__file__).parents[1].joinpath("names.json").read_text("utf-8"))["classes"]


def standIns():
    from Testing.host import application, layout, modules
    from Testing.host.ui_loader import STAND_INS

    found = dict(STAND_INS)
    for module in (application, layout, modules):
        found |= {
            name: value
            for name, value in vars(module).items()
            if isinstance(value, type) and name.startswith(("qSlicer", "qMRML"))
        }
    return found


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_stand_in_has_no_name_that_the_header_does_not_expose(slicerHost, name):
    standIn = standIns()[name]
    own, inherited = [], set()
    for base in standIn.__mro__:
        if base.__module__.startswith("PySide6"):
            inherited = set(dir(base))
            break
        own += [item for item in vars(base) if not item.startswith("_")]
    allowed = set()
    for base in standIn.__mro__:
        allowed |= set(NAMES.get(base.__name__, {"names": []})["names"])
    assert sorted(set(own) - inherited - allowed - {"staticMetaObject"}) == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_stand_in_extends_the_class_that_the_header_extends(slicerHost, name):
    bases = [base.__name__ for base in standIns()[name].__mro__]
    assert NAMES[name]["extends"] in bases


def test_every_stand_in_is_in_the_list(slicerHost):
    assert sorted(set(standIns()) - set(NAMES)) == []


def test_the_check_sees_an_extra_name(slicerHost, monkeypatch):
    import ctk

    monkeypatch.setattr(
        ctk.ctkCollapsibleButton, "setCollapsed", lambda self, value: None, raising=False
    )
    with pytest.raises(AssertionError, match="setCollapsed"):
        test_a_stand_in_has_no_name_that_the_header_does_not_expose(
            slicerHost, "ctkCollapsibleButton"
        )
