"""A slice view off screen: what Slicer's slice logic blends, with the corner annotation."""

from __future__ import annotations

from typing import Any

import vtk
from vtk.util.numpy_support import vtk_to_numpy


class SliceRendering:
    """Renders one slice logic into an off-screen window."""

    def __init__(self, logic: Any, annotation: Any, size: tuple[int, int] = (400, 400)) -> None:
        self.logic = logic
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self._renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self._renderer)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(annotation)
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Set width and height in pixels of the window and of the slice node."""
        self.window.SetSize(*size)
        self.logic.ResizeSliceNode(*size)

    def render(self) -> None:
        connection = self.logic.GetImageDataConnection()
        self._renderer.RemoveViewProp(self._actor)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
            self._renderer.AddViewProp(self._actor)
        self.window.Render()

    def picture(self) -> Any:
        """(height, width, 3) uint8, first row on top."""
        self.render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars())
        return pixels.reshape(height, width, -1)[::-1].copy()
