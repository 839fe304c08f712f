"""Observers on VTK objects that are removed together, and VTK's errors as text."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import vtk


class Observations:
    """A set of observers; node events bring their node as third argument."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, target: Any, event: Any, callback: Callable[..., None]) -> None:
        def relay(caller: Any, name: str, data: Any = None) -> None:
            callback(caller, name, data)

        if isinstance(event, int):
            relay.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
        self._tags.append((target, target.AddObserver(event, relay)))

    def clear(self) -> None:
        for target, tag in self._tags:
            target.RemoveObserver(tag)
        self._tags.clear()


class VtkMessages:
    """Collects what VTK would print, so that an unexpected error can fail a test."""

    def __init__(self) -> None:
        self._window = vtk.vtkStringOutputWindow()
        self._read = 0
        vtk.vtkOutputWindow.SetInstance(self._window)

    def take(self) -> str:
        """Everything that VTK said since the last call, warnings included."""
        output = self._window.GetOutput()
        text, self._read = output[self._read :], len(output)
        return text

    def takeErrors(self) -> list[str]:
        """One line per error since the last call; warnings are dropped."""
        lines = self.take().splitlines()
        return [
            f"{line}: {following}"
            for line, following in itertools.zip_longest(lines, lines[1:], fillvalue="")
            if line.startswith("ERROR: In ")
        ]
