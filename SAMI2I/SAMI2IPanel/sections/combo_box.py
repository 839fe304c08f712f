"""Filling and reading drop-down lists without waking their signals."""

from collections.abc import Iterable
from typing import Any


def fillComboBox(comboBox: Any, entries: Iterable[tuple[str, str]], current: str) -> None:
    """Replace the entries of a list and choose one.

    Args:
        comboBox: A QComboBox.
        entries: (text, value) each.
        current: The value to choose; the first entry where no other has it.
    """
    entries = list(entries)
    shown = [(comboBox.itemText(i), comboBox.itemData(i)) for i in range(comboBox.count)]
    wasBlocked = comboBox.blockSignals(True)
    if shown != entries:
        comboBox.clear()
        for text, value in entries:
            comboBox.addItem(text, value)
    values = [value for _text, value in entries]
    comboBox.currentIndex = values.index(current) if current in values else min(0, len(values) - 1)
    comboBox.blockSignals(wasBlocked)


def currentValue(comboBox: Any) -> str:
    """The value of the chosen entry; empty where there is none."""
    index = comboBox.currentIndex
    return comboBox.itemData(index) or "" if index >= 0 else ""
