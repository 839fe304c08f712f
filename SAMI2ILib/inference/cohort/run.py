"""Translates the cases of a cohort: the next one is read while one runs and the last is saved.

What is there already from the same source by the same model is kept, so a run that was cut off
goes on where it was. A case that fails is logged and does not stop the others.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from SAMI2ILib.atomic import remove_leftovers
from SAMI2ILib.checks import Checks, with_doubts
from SAMI2ILib.errors import as_sami2i_error
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.cohort.cases import Case
from SAMI2ILib.inference.cohort.outcome import (
    Outcome,
    log_path,
    read_log,
    source_name,
    write_log,
)
from SAMI2ILib.inference.ensemble import Ensemble
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.output_files import (
    check_output,
    read_record,
    sidecar_path,
    uncertainty_path,
)
from SAMI2ILib.inference.predictor import PlacedPredictor
from SAMI2ILib.inference.provenance import describe, describe_ensemble
from SAMI2ILib.inference.source_file import describe_source_file, read_source
from SAMI2ILib.inference.translate import (
    PreparedVolume,
    Translation,
    prepare_volume,
    translate_prepared,
)
from SAMI2ILib.inference.translate_file import save_translation
from SAMI2ILib.weights import file_sha256

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Ready:
    """A case that waits for the network.

    Attributes:
        prepared: What the network will see; for each member of an ensemble.
        source: What the sidecar will say of the input.
        seconds: That reading and preparing took.
    """

    prepared: tuple[PreparedVolume, ...]
    source: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class _Ended:
    """What became of a case, and whether its result was there from an earlier run."""

    outcome: Outcome
    was_there: bool = False


@dataclass(frozen=True)
class CohortRun:
    """A model at work on the cases of a cohort.

    Attributes:
        folder: Where results and logs go; made if it is missing.
        model: From `load_model`.
        predictor: Where it runs.
        on_outcome: Called as soon as a case has ended, with what became of it and whether its
            result was there from an earlier run.
        on_error: Called with the exception that made a case fail, in any thread.
        ensemble: Makes the results, with an uncertainty map each; `model` and `predictor` are
            those of its first member.
        checks: As in `with_doubts`; a case that is refused has failed.
    """

    folder: Path
    model: LoadedModel
    predictor: PlacedPredictor
    on_outcome: Callable[[Outcome, bool], None] = lambda _outcome, _was_there: None
    on_error: Callable[[Exception], None] = lambda _error: None
    ensemble: Ensemble | None = None
    checks: Checks = "warn"

    def translate(self, cases: Sequence[Case]) -> list[Outcome]:
        """Translate the cases one after the other.

        Args:
            cases: From `find_cases`, or a shard's part of them.

        Returns:
            What became of each, in their order.

        Raises:
            OutputError: A log cannot be written: the disk is full, or the folder has gone.
            KeyboardInterrupt: The user stopped the work; what has ended is there, whole.
        """
        for place in {path.parent for case in cases for path in self._files(case)}:
            remove_leftovers(place)
        outcomes: list[Outcome] = []
        # One thread each, one case ahead and one behind: three volumes are in memory at most.
        with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
            ahead = [reader.submit(self._read, case) for case in cases[:1]]
            behind: list[Future[_Ended]] = []
            for number, case in enumerate(cases):
                reading = ahead.pop()
                ahead += [reader.submit(self._read, later) for later in cases[number + 1 :][:1]]
                finish = self._run(case, reading)
                self._await(behind, outcomes)
                behind.append(writer.submit(finish))
            self._await(behind, outcomes)
        return outcomes

    def _files(self, case: Case) -> tuple[Path, Path]:
        return self.folder / case.output, log_path(self.folder, case)

    def _await(self, behind: list[Future[_Ended]], outcomes: list[Outcome]) -> None:
        while behind:
            ended = _wait_for(behind.pop())
            outcomes.append(ended.outcome)
            self.on_outcome(ended.outcome, ended.was_there)

    def _read(self, case: Case) -> _Ready | Outcome:
        """Read and prepare a case, or find what became of it in an earlier run."""
        started = time.perf_counter()
        check_output(self.folder / case.output, case.source)
        if self.ensemble is not None:
            check_output(uncertainty_path(self.folder / case.output), case.source)
        earlier = self._find_earlier(case)
        if earlier is not None:
            return earlier
        volume, source = read_source(case.source, case.series_uid)
        volume = with_doubts(volume, self.model.spec, self.checks)
        if self.ensemble is not None:
            prepared = self.ensemble.prepare(volume)
        else:
            prepared = (prepare_volume(volume, self.model.spec.preprocessing),)
        return _Ready(prepared, source, time.perf_counter() - started)

    def _run(self, case: Case, reading: Future[_Ready | Outcome]) -> Callable[[], _Ended]:
        """Translate a case; give what remains to be done for it in the other thread."""
        try:
            ready = _wait_for(reading)
            if isinstance(ready, Outcome):
                earlier = ready
                return lambda: self._log(case, earlier, was_there=True)
            started = time.perf_counter()
            translation = self._translate(ready.prepared)
            device = self.predictor.device
            record = describe(
                translation,
                self.model,
                device,
                ready.source,
                self.ensemble,
                self.predictor.back_end,
            )
            record |= case.sidecar_fields
            seconds = {"read": ready.seconds, "translate": time.perf_counter() - started}
        except Exception as error:  # noqa: BLE001 - a bad case must not stop the others
            problem = error
            return lambda: self._fail(case, problem)
        notices = translation.notices

        def save() -> _Ended:
            started = time.perf_counter()
            try:
                output = self.folder / case.output
                save_translation(translation.volume, record, output, translation.uncertainty)
            except Exception as error:  # noqa: BLE001 - as above
                return self._fail(case, error)
            seconds["write"] = time.perf_counter() - started
            return self._log(case, self._outcome(case, seconds=seconds, warnings=notices))

        return save

    def _translate(self, prepared: tuple[PreparedVolume, ...]) -> Translation:
        self.predictor.return_to_chosen_device()
        if self.ensemble is not None:
            return self.ensemble.translate_prepared(prepared)
        return translate_prepared(prepared[0], self.model, self.predictor)

    def _fail(self, case: Case, error: Exception) -> _Ended:
        self.on_error(error)
        known = as_sami2i_error(error)
        message = _without_folders(str(known), case.source, self.folder / case.output)
        return self._log(case, self._outcome(case, exit_code=known.exit_code, message=message))

    def _log(self, case: Case, outcome: Outcome, was_there: bool = False) -> _Ended:
        write_log(outcome, log_path(self.folder, case))
        return _Ended(outcome, was_there)

    def _outcome(
        self,
        case: Case,
        seconds: dict[str, float] | None = None,
        warnings: tuple[Notice, ...] = (),
        exit_code: int = 0,
        message: str = "",
    ) -> Outcome:
        return Outcome(
            case=case.name,
            target=self.model.spec.target_contrast,
            model_sha256=self.model.sha256,
            exit_code=exit_code,
            source=source_name(case),
            output=case.output.as_posix(),
            seconds={stage: round(value, 3) for stage, value in (seconds or {}).items()},
            warnings=warnings,
            message=message,
        )

    def _find_earlier(self, case: Case) -> Outcome | None:
        """What became of a case whose result is there: whole, from this source, by this model."""
        image = self.folder / case.output
        record = read_record(sidecar_path(image))
        if record is None or not image.is_file() or not case.source.exists():
            return None
        try:
            if record["model"]["sha256"] != self.model.sha256:
                return None
            source = describe_source_file(case.source, case.series_uid)
            hashes = source["sha256"], file_sha256(image)
            recorded = record["source"]["sha256"], record["volume"]["sha256"]
            if hashes != recorded or not self._is_of_this_ensemble(record, image):
                return None
            warnings = tuple(Notice(**warning) for warning in record["warnings"])
        except (LookupError, TypeError):  # changed by hand
            return None
        logged = read_log(log_path(self.folder, case))
        if logged is not None and not logged.failed and logged.model_sha256 == self.model.sha256:
            return logged
        return self._outcome(case, warnings=warnings)

    def _is_of_this_ensemble(self, record: dict[str, Any], image: Path) -> bool:
        """Whether a result has the uncertainty map that is asked for, or none where none is."""
        if self.ensemble is None:
            return "ensemble" not in record
        doubt = uncertainty_path(image)
        its_record = read_record(sidecar_path(doubt))
        if its_record is None or not doubt.is_file():
            return False
        return (
            record.get("ensemble") == describe_ensemble(self.ensemble)
            and its_record["uncertainty_of"] == record["volume"]
            and its_record["volume"]["sha256"] == file_sha256(doubt)
        )


def _wait_for(future: Future[_Result]) -> _Result:
    """Give the result of another thread; Ctrl-C is heard meanwhile on every system."""
    while not wait([future], timeout=0.2).done:
        pass
    return future.result()


def _without_folders(text: str, *files: Path) -> str:
    """Leave of some files' paths in a message only their names, and make it one line."""
    forms = {form for file in files for form in (file, file.absolute(), file.resolve())}
    starts = {str(folder / "x")[:-1] for form in forms for folder in form.parents} - {"", os.sep}
    starts |= {start.replace("\\", "\\\\") for start in starts}  # as `repr` writes it on Windows
    for start in sorted(starts, key=len, reverse=True):
        text = re.sub(r"(?<![\w./\\-])" + re.escape(start), "", text)
    return " ".join(text.split())
