"""Whether VTK can render here without a screen, found out in a child process: it may crash."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"
# EGL (a graphics card, or Mesa in software), then Mesa's off-screen library.
LINUX_WINDOWS = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")

PROBE = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
window = vtkRenderWindow()
window.SetOffScreenRendering(True)
window.SetSize(8, 8)
renderer = vtkRenderer()
renderer.SetBackground(1, 0, 0)
window.AddRenderer(renderer)
window.Render()
pixels = vtkUnsignedCharArray()
window.GetRGBACharPixelData(0, 0, 7, 7, 0, pixels)
raise SystemExit(0 if pixels.GetTuple(0)[0] == 255 else 3)
"""


@functools.cache
def whyNoRendering() -> str:
    """Empty if slice views can be rendered, else the reason; chooses the window class to use."""
    given = os.environ.get(VARIABLE)
    if given or not sys.platform.startswith("linux"):
        return "" if _renders({}) else f"VTK renders no window here ({VARIABLE}={given})."
    for window in LINUX_WINDOWS:
        if _renders({VARIABLE: window}):
            os.environ[VARIABLE] = window
            return ""
    return f"VTK renders off screen neither with {LINUX_WINDOWS[0]} nor with {LINUX_WINDOWS[1]}."


def _renders(environment: dict[str, str]) -> bool:
    command = [sys.executable, "-c", PROBE]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
