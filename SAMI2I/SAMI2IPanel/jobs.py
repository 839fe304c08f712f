"""The panel's jobs: translate a volume, measure one, or run a command on the model store.

A job owns a private folder and a child process. However it ends, the folder is removed, and
nodes appear in the scene only after success.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel import results
from SAMI2IPanel.bridge import SourceGeometry, writeVolume
from SAMI2IPanel.child_process import ChildProcess
from SAMI2IPanel.i18n import _
from SAMI2IPanel.private_folder import makePrivateFolder, removeFolder
from SAMI2IPanel.protocol import Failure, Outcome, PanelError
from SAMI2IPanel.saved_files import writeSidecar

LOG_NAME = "SAMI2I-last-failure.log"


@dataclass(frozen=True)
class TranslationOptions:
    """What the user chose; empty strings and 0 leave the choice to the library.

    Attributes:
        targetContrast: E.g. "T2".
        sourceContrast: E.g. "T1"; empty: the model's.
        model: Id or path of a model file; empty: the best for the pair.
        device: "auto", "cpu" or "cuda:N".
        precision: "auto", "fp32", "bf16" or "fp16".
        batchSize: Slices at a time.
        keepWorkingGrid: Add the result on the grid of the slices as well.
        uncertainty: Add a map of the doubt as well.
    """

    targetContrast: str = "T2"
    sourceContrast: str = ""
    model: str = ""
    device: str = "auto"
    precision: str = "auto"
    batchSize: int = 0
    keepWorkingGrid: bool = False
    uncertainty: bool = False

    def arguments(self) -> list[str]:
        """Words for the command line."""
        words = ["--target", self.targetContrast]
        words += ["--device", self.device, "--precision", self.precision]
        words += ["--source", self.sourceContrast] if self.sourceContrast else []
        words += ["--model", self.model] if self.model else []
        words += ["--batch-size", str(self.batchSize)] if self.batchSize else []
        words += ["--uncertainty"] if self.uncertainty else []
        return words


class Job:
    """One run of the library; subclasses say what goes in and what comes out.

    Args:
        onEvent: Called with each event.
        onFinished: Called once with the outcome and the job, unless the job is killed.

    Attributes:
        nodes: What it added to the scene, by role; empty unless it succeeded.
        onOver: Called last, however it ended: its owner lets go of it, and so of its volumes.
    """

    # Whether it is of use only as long as the scene is open.
    needsScene = True

    def __init__(
        self,
        onEvent: Callable[[dict[str, Any]], None] = lambda _event: None,
        onFinished: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        self.nodes: dict[str, Any] = {}
        self.onOver: Callable[[], None] = lambda: None
        self._onEvent = onEvent
        self._onFinished = onFinished
        self._folder: Path | None = None
        self._child: ChildProcess | None = None

    @property
    def isRunning(self) -> bool:
        """Whether its end has not been told yet."""
        return self._folder is not None

    @property
    def folder(self) -> Path | None:
        """Its own, while it runs."""
        return self._folder

    @property
    def processId(self) -> int:
        """Of the child; 0 when none runs."""
        return self._child.processId if self._child else 0

    @property
    def log(self) -> str:
        """What the child said so far."""
        return self._child.log if self._child else ""

    def start(self) -> None:
        """Write what the child reads and start it.

        Raises:
            PanelError: It cannot start; nothing is left behind.
        """
        try:
            self._folder = makePrivateFolder()
            arguments = self._prepare(self._folder)
            self._child = ChildProcess(arguments, self._onEvent, self._onChildEnd, self._folder)
            self._child.start()
        except OSError as error:
            self._end()
            raise PanelError(
                _("The temporary folder cannot be written to: {reason}.").format(
                    reason=error.strerror or error
                ),
                _("Free some space on its disk, or choose another one in Slicer's settings."),
            ) from error
        except BaseException:
            self._end()
            raise

    def cancel(self) -> None:
        """Stop; `onFinished` follows with a cancelled outcome."""
        if self._child is not None:
            self._child.cancel()

    def kill(self) -> None:
        """Stop at once and tell nobody: scene, module or application are closing."""
        if self._child is not None:
            self._child.kill()
        self._end()

    def wait(self, timeoutSeconds: float | None = None) -> bool:
        """Block until the job has ended and `onFinished` was called; see `ChildProcess.wait`."""
        return self._child is None or self._child.wait(timeoutSeconds)

    def _prepare(self, folder: Path) -> list[str]:
        """Write inputs into the folder and give the arguments of the command."""
        raise NotImplementedError

    def _collect(self, result: dict[str, Any]) -> None:
        """Bring the outputs into the scene."""

    def _onChildEnd(self, outcome: Outcome) -> None:
        try:
            if outcome.succeeded and outcome.result is not None:
                self._collect(outcome.result)
        except PanelError as error:
            outcome = replace(outcome, failure=error.failure)
        except Exception as error:  # noqa: BLE001 - the panel would wait for its end for ever
            log = f"{outcome.log}\n{traceback.format_exc()}"
            outcome = replace(outcome, failure=_unexpected(error), log=log)
        onFinished = self._onFinished
        self._end()
        if outcome.failure is not None:
            outcome = replace(outcome, failure=_withLog(outcome))
        onFinished(outcome)

    def _end(self) -> None:
        """Remove the folder, and let go of everything that knows this job."""
        if self._folder is not None:
            removeFolder(self._folder)
            self._folder = None
        self._child = None
        self._onFinished = lambda _outcome: None
        onOver, self.onOver = self.onOver, lambda: None
        onOver()


class CommandJob(Job):
    """A command that has nothing to do with the scene: `doctor`, `models list`, `models add`."""

    needsScene = False

    def __init__(self, arguments: list[str], *callbacks: Callable[..., None]) -> None:
        super().__init__(*callbacks)
        self._arguments = arguments

    def _prepare(self, folder: Path) -> list[str]:  # noqa: ARG002 - it needs no files
        return self._arguments


class TranslationJob(Job):
    """Translates a volume node; the result is `nodes["output"]`, its doubt `["uncertainty"]`."""

    def __init__(
        self,
        inputVolume: Any,
        outputVolume: Any,
        options: TranslationOptions,
        *callbacks: Callable[..., None],
    ) -> None:
        super().__init__(*callbacks)
        self._input, self._output, self._options = inputVolume, outputVolume, options
        self._geometry: SourceGeometry | None = None
        self._written: Path | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the node's transforms."""
        return self._geometry.warnings if self._geometry else ()

    def _prepare(self, folder: Path) -> list[str]:
        self._geometry = writeVolume(self._input, folder / "source.nrrd")
        self._written = folder / "synthetic.nrrd"
        words = ["translate", str(folder / "source.nrrd"), "-o", str(self._written)]
        if self._options.keepWorkingGrid:
            words += ["--working-grid", str(folder / "slices.nrrd")]
        return words + self._options.arguments()

    def _collect(self, result: dict[str, Any]) -> None:
        self.nodes["output"] = results.addSynthetic(
            self._written, result, self._geometry, self._output
        )
        if self._options.keepWorkingGrid:
            slices = self._written.with_name("slices.nrrd")
            self.nodes["slices"] = results.addWorkingGrid(slices, result, self._geometry)
        if self._options.uncertainty:
            doubt = Path(result["uncertainty"])
            self.nodes["uncertainty"] = results.addUncertainty(
                doubt, self.nodes["output"], self._geometry
            )


class MeasureJob(Job):
    """Measures a synthetic volume against a real one; the error map is `nodes["error"]`."""

    def __init__(
        self, synthetic: Any, real: Any, register: bool, *callbacks: Callable[..., None]
    ) -> None:
        super().__init__(*callbacks)
        self._synthetic, self._real, self._register = synthetic, real, register
        self._geometry: SourceGeometry | None = None
        self._errorMap: Path | None = None

    def _prepare(self, folder: Path) -> list[str]:
        self._geometry = writeVolume(self._synthetic, folder / "synthetic.nrrd")
        writeSidecar(self._synthetic, folder / "synthetic.nrrd")
        writeVolume(self._real, folder / "real.nrrd")
        self._errorMap = folder / "error.nrrd"
        words = ["compare", str(folder / "synthetic.nrrd"), str(folder / "real.nrrd")]
        words += ["--error-map", str(self._errorMap)]
        return [*words, "--register"] if self._register else words

    def _collect(self, result: dict[str, Any]) -> None:  # noqa: ARG002 - the caller shows it
        self.nodes["error"] = results.addErrorMap(self._errorMap, self._synthetic, self._geometry)


def failureLogPath() -> Path:
    """Where the log of the last failed run lies."""
    return Path(slicer.app.temporaryPath) / LOG_NAME


def _unexpected(error: Exception) -> Failure:
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(
        _("The result could not be brought into the scene ({reason}).").format(reason=reason),
        _("If memory has not run out, this is a defect: please report it."),
    )


def _withLog(outcome: Outcome) -> Failure:
    """Keep the log of a failed run and name it in the message."""
    path = failureLogPath()
    try:
        # A name of a file that is not UTF-8 holds letters that cannot be written.
        path.write_text(outcome.log + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError:
        return outcome.failure
    said = _("The log is in {path}.").format(path=path)
    return replace(outcome.failure, hint=f"{outcome.failure.hint}\n{said}".strip())
