"""The module under the test host: the panel, a private model store, small volumes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.host.fixtures import slicerHost  # noqa: F401 - a fixture

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "SAMI2I" / "SAMI2I.py"

# Slicer puts the folder of each module file on the path.
sys.path.insert(0, str(MODULE.parent))

# The few slices that the tests translate: each run takes seconds.
FEW_SLICES = slice(50, 53)
TWO_SLICES = slice(50, 52)
PATIENCE_SECONDS = 900


@pytest.fixture(autouse=True)
def private_store(tmp_path_factory, monkeypatch) -> Path:
    """No test reads or changes the models of the person who runs it."""
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("SAMI2I_MODELS", str(folder))
    return folder


@pytest.fixture
def widget(slicerHost) -> Any:  # noqa: F811
    """The module's widget, as it is after the user has opened it."""
    return slicerHost.openModule(MODULE)


@pytest.fixture
def panel(widget) -> Any:
    """The panel in the widget, before the child processes have answered."""
    return widget.panel


_answers: dict[tuple[str, ...], Any] = {}


@pytest.fixture
def remembered_answers(slicerHost, monkeypatch) -> None:  # noqa: F811
    """Ask `doctor` and `models list` once and repeat their answers: each costs seconds."""
    import qt

    slicerHost.loadModule(MODULE)
    logic = sys.modules["SAMI2I"].SAMI2ILogic
    ask = logic.query

    def query(self: Any, arguments: list[str], on_finished: Callable[[Any], None]) -> None:
        key = tuple(arguments)
        if key in _answers:
            qt.QTimer.singleShot(0, lambda: on_finished(_answers[key]))
        else:
            ask(self, arguments, lambda answer: on_finished(_answers.setdefault(key, answer)))

    monkeypatch.setattr(logic, "query", query)


@pytest.fixture
def ready_panel(slicerHost, remembered_answers) -> Any:  # noqa: F811
    """The panel after doctor and the list of models have answered."""
    import slicer

    widget = slicer.util.getModuleWidget("SAMI2I")
    widget.parent.show()
    slicerHost.selectModule("SAMI2I")
    panel = widget.panel
    slicerHost.waitUntil(
        lambda: not panel.status.problem and panel.choices.models.isKnown,
        PATIENCE_SECONDS,
        "doctor and the list of models",
    )
    return panel


@pytest.fixture
def load_sample(slicerHost) -> Callable[..., Any]:  # noqa: F811
    """Load slices of one contrast of the sample head as a node."""
    import slicer

    from SAMI2ILib.assets import asset_path

    def load(contrast: str = "T1", slices: slice = FEW_SLICES, name: str = "") -> Any:
        path = str(asset_path("sample", f"{contrast}.nii.gz"))
        node = slicer.util.loadVolume(path, {"name": name or f"head_{contrast}"})
        matrix = matrix_of(node)
        matrix[:3, 3] += (slices.start or 0) * matrix[:3, 2]
        slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[slices].copy())
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return node

    return load


@pytest.fixture
def start(slicerHost, ready_panel, load_sample) -> Callable[..., Any]:  # noqa: F811
    """Press Apply on slices of the sample."""

    def start(slices: slice = TWO_SLICES, **choices: Any) -> Any:
        parameters = ready_panel.parameters
        parameters.inputVolume = load_sample(slices=slices)
        for name, value in choices.items():
            setattr(parameters, name, value)
        slicerHost.processEvents()
        ready_panel.ui.applyButton.click()
        assert ready_panel.busyWith, ready_panel.ui.messageLabel.text
        return ready_panel

    return start


@pytest.fixture
def finish(slicerHost) -> Callable[[Any], None]:  # noqa: F811
    """Wait until the panel is no longer busy."""

    def finish(panel: Any) -> None:
        slicerHost.waitUntil(lambda: not panel.busyWith, PATIENCE_SECONDS, "the end of the job")

    return finish


def matrix_of(node: Any) -> Any:
    """(4, 4) IJK-to-RAS of a volume node."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.fixture(name="matrix_of")
def matrix_of_fixture() -> Callable[[Any], Any]:
    """Read the (4, 4) IJK-to-RAS of a volume node."""
    return matrix_of


@pytest.fixture
def python_slicer(slicerHost) -> Iterator[Callable[[str], Path]]:  # noqa: F811
    """Put another program in the place of PythonSlicer: lines of a shell script."""
    if sys.platform == "win32":
        pytest.skip("the stand-in for PythonSlicer is a shell script")
    import slicer

    program = Path(slicer.app.slicerHome, "bin", "PythonSlicer")
    own = program.read_bytes()

    def replace(script: str) -> Path:
        program.write_text(f"#!/bin/sh\n{script}\n")
        return program

    yield replace
    program.write_bytes(own)


@pytest.fixture
def without_packages(python_slicer, monkeypatch) -> None:
    """A PythonSlicer in which nothing is installed but Python itself."""
    python_slicer(f'exec "{sys.executable}" -S "$@"')
    from SAMI2IPanel.self_test import SelfTest

    monkeypatch.setattr(SelfTest, "_readiness", {})
