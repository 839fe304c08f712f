"""Filling and reading drop-down lists without waking their signals."""

from collections.abc import Iterable
from typing import Any

import qt

from SAMI2IPanel.sections.plain_text import plainToolTip

# The open list is as wide as its longest text, up to so many pixels; then Qt elides in the middle.
_WIDEST_LIST = 800
_BESIDE_THE_TEXT = 32  # pixels: margins and a scroll bar


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
        for index, (text, value) in enumerate(entries):
            comboBox.addItem(text, value)
            comboBox.setItemData(index, plainToolTip(text), qt.Qt.ToolTipRole)
        _widenList(comboBox)
    values = [value for _text, value in entries]
    comboBox.currentIndex = values.index(current) if current in values else min(0, len(values) - 1)
    comboBox.blockSignals(wasBlocked)


def _widenList(comboBox: Any) -> None:
    """Let the open list show whole texts where the closed box is narrow."""
    metrics = qt.QFontMetrics(comboBox.font)
    texts = [comboBox.itemText(i) for i in range(comboBox.count)]
    longest = max((metrics.boundingRect(text).width() for text in texts), default=0)
    comboBox.view().minimumWidth = min(longest + _BESIDE_THE_TEXT, _WIDEST_LIST)


def currentValue(comboBox: Any) -> str:
    """The value of the chosen entry; empty where there is none."""
    index = comboBox.currentIndex
    return comboBox.itemData(index) or "" if index >= 0 else ""
