"""Takes the pictures of the panel and of its results: `make screenshots`.

    python -m Testing.slicer.screenshots -o out/screenshots [--input T1.nii.gz] [--resources]

The panel runs on the test host with a real child process and the bundled models. Without --input it
translates the sample head. --resources puts the pictures of README and tutorial under Resources/
as well, of the sample head alone: a sagittal slice of a person's head shows the face.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from SAMI2ILib.assets import asset_path
from Testing.host.start import start

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "SAMI2I" / "SAMI2I.py"
PATIENCE_SECONDS = 3600
PANEL_WIDTH = 480
VIEW_SIZE = 300
COLORS = 128


class Photographer:
    """Brings the panel into its states, one after the other, and takes a picture of each."""

    def __init__(self, host: Any, folder: Path) -> None:
        self._host, self._folder = host, folder
        self._widget: Any = None

    @property
    def panel(self) -> Any:
        """The panel of the module that is open."""
        return self._widget.panel

    def open(self) -> None:
        """Open the module and wait for what doctor and the model list say."""
        self._widget = self._host.openModule(MODULE)
        self.wait(lambda: "Checking" not in self.panel.ui.statusLabel.text)
        self.wait(lambda: self.panel.choices.models.isKnown or self.panel.status.problem)

    def wait(self, condition: Any) -> None:
        """Let the host work until something is so."""
        self._host.waitUntil(condition, PATIENCE_SECONDS)

    def take(self, name: str) -> Path:
        """Take a picture of the panel."""
        path = self._folder / f"panel-{name}.png"
        self._host.processEvents()
        self._host.grab(self._widget, path, PANEL_WIDTH)
        return compress(path)

    def takeSlices(self, name: str) -> Path:
        """Take a picture of the three slice views."""
        path = self._folder / f"slices-{name}.png"
        self._host.processEvents()
        self._host.grabSlices(path, VIEW_SIZE)
        return compress(path)

    def apply(self) -> None:
        """Press Apply and wait for a slice in the middle of the run."""
        self._host.processEvents()
        self.panel.ui.applyButton.click()
        self.wait(lambda: " left" in self.panel.ui.progressLabel.text or not self.panel.busyWith)

    def finish(self) -> None:
        """Wait for the end of what runs."""
        self.wait(lambda: not self.panel.busyWith)


def compress(path: Path) -> Path:
    """Keep few colors: the pictures are gray with some text."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLORS)
    small.save(path, optimize=True)
    return path


def photographStates(
    photographer: Photographer, name: str, source: Path, reference: Path | None
) -> list[Path]:
    """Take the states of one session with a head of this name; give those for the documents."""
    import slicer

    photographer.open()
    photographer.take("fresh")
    panel = photographer.panel
    panel.parameters.inputVolume = slicer.util.loadVolume(str(source), {"name": f"{name}_T1"})
    photographer.take("ready")
    photographer.apply()
    photographer.take("running")
    photographer.finish()
    if reference is not None:
        scan = slicer.util.loadVolume(str(reference), {"name": f"{name}_T2", "show": False})
        panel.parameters.referenceVolume = scan
        slicer.app.processEvents()
        panel.ui.measureButton.click()
        photographer.finish()
    pictures = [photographer.take("done")]
    panel.ui.blendButton.click()
    pictures.append(photographer.takeSlices("blended"))
    panel.ui.aloneButton.click()
    pictures.append(photographer.takeSlices("synthetic"))
    photographer.apply()
    os.kill(panel.logic.job.processId, signal.SIGKILL)
    photographer.finish()
    photographer.take("error")
    return pictures


def photographMissingPackages(host: Any, photographer: Photographer) -> None:
    """Take the state in which Slicer's Python holds nothing but itself."""
    import slicer

    program = Path(slicer.app.slicerHome, "bin", "PythonSlicer")  # the host's, which ends with it
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    host.reset()
    photographer.open()
    photographer.take("dependencies-missing")


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--input", type=Path, help="a T1 instead of the sample head")
    parser.add_argument("--reference", type=Path, help="the real T2 of that head")
    parser.add_argument(
        "--resources", action="store_true", help="put three pictures under Resources/ as well"
    )
    args = parser.parse_args()
    if args.input and args.resources:
        parser.error("--resources is for the sample head: leave --input out")
    sample = None if args.input else asset_path("sample", "T2.nii.gz")
    source = args.input or asset_path("sample", "T1.nii.gz")
    args.output = args.output.resolve()
    args.output.mkdir(parents=True, exist_ok=True)
    host = start()
    with host.catching():
        photographer = Photographer(host, args.output)
        # The sample is called as Slicer's Sample Data calls it.
        name = "head" if args.input else "SimulatedHead"
        pictures = photographStates(photographer, name, source, args.reference or sample)
        photographMissingPackages(host, photographer)
        host.reset()
    for path in pictures if args.resources else []:
        (REPOSITORY / "Resources" / path.name).write_bytes(path.read_bytes())
    for path in sorted(args.output.glob("*.png")):
        print(f"{path} ({path.stat().st_size // 1000} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
