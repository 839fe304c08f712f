"""A plan of jobs with their state on disk; `run` does them.

```
ROOT/jobs/ID-HASH/job.json       what the job is, for people
ROOT/jobs/ID-HASH/...            what it works on; an attempt goes on with what an earlier one left
ROOT/jobs/ID-HASH/claim-0001.json  who works on it, see `lease`
ROOT/jobs/ID-HASH/failed.json    why the last attempt failed
ROOT/jobs/ID-HASH/done.json      its result; written last, and with that the job is done
```

The hash is that of the job's configuration and of the hashes of the jobs that it needs. A changed
configuration is therefore another folder: nothing of the old one is used, and nothing is lost.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from SAMI2ILib.errors import InputError
from SAMI2ILib.study.lease import holder

Status = Literal["done", "running", "failed", "waiting", "ready"]

_JOBS_FOLDER: Final = "jobs"
JOB_FILE: Final = "job.json"
DONE_FILE: Final = "done.json"
FAILED_FILE: Final = "failed.json"
_HASH_DIGITS: Final = 12
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        id: Unique in the plan; lower case, digits, ". _ -".
        title: For a person.
        config: JSON values: all that decides the result, apart from the jobs in `needs`.
        run: Does the work in the context's folder, going on with what a killed attempt left there,
            and gives JSON values to keep. What it raises is the job's failure.
        needs: Ids of the jobs that must be done before.
        shared: Whether the processes of one torchrun do it together.
    """

    id: str
    title: str
    config: Mapping[str, Any]
    run: Callable[["JobContext"], Mapping[str, Any]]
    needs: tuple[str, ...] = ()
    shared: bool = False


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        number: In the plan, counted from 1.
        job: The job.
        status: "done"; "running", in some process; "failed", in the last attempt; "waiting" for
            a job that it needs; or "ready".
        message: Why it failed, who runs it, what it waits for; empty where there is nothing to say.
    """

    number: int
    job: Job
    status: Status
    message: str = ""


@dataclass(frozen=True)
class JobContext:
    """What a job is given.

    Attributes:
        folder: Its own; exists.
        plan: For the results and folders of the jobs that it needs.
        should_stop: Whether another process has taken the work over, and this one shall end.
    """

    folder: Path
    plan: "Plan"
    should_stop: Callable[[], bool]


class Plan:
    """Jobs in an order in which they can be done, and the folder that holds their state.

    Args:
        root: Need not exist.
        jobs: In any order that has a job after those that it needs.

    Raises:
        InputError: Two jobs have one id, an id is no folder name, or a need does not come before.
    """

    def __init__(self, root: Path, jobs: Iterable[Job]) -> None:
        self.root, self.jobs = root, tuple(jobs)
        self._numbers: dict[str, int] = {}
        self._digests: dict[str, str] = {}
        self._known_done: set[str] = set()
        for number, job in enumerate(self.jobs, start=1):
            self._check(job)
            self._numbers[job.id] = number
            self._digests[job.id] = _digest(job, self._digests)

    def __getitem__(self, job_id: str) -> Job:
        return self.jobs[self.number(job_id) - 1]

    def number(self, job_id: str) -> int:
        """The number of a job, counted from 1.

        Raises:
            InputError: There is no such job.
        """
        if job_id not in self._numbers:
            raise InputError(f"The plan has no job '{job_id}'.", "Look at the list of jobs.")
        return self._numbers[job_id]

    def job_of(self, number: int) -> Job:
        """The job of a number.

        Raises:
            InputError: There is no such job.
        """
        if not 1 <= number <= len(self.jobs):
            raise InputError(
                f"There is no job {number}; the plan has the jobs 1 to {len(self.jobs)}.",
                "Look at the list with --plan.",
            )
        return self.jobs[number - 1]

    def digest(self, job_id: str) -> str:
        """SHA-256 of a job's configuration and of all that it needs."""
        return self._digests[self[job_id].id]

    def folder(self, job_id: str) -> Path:
        """Where a job works; it need not exist yet."""
        return self.root / _JOBS_FOLDER / f"{job_id}-{self.digest(job_id)[:_HASH_DIGITS]}"

    def result(self, job_id: str) -> dict[str, Any]:
        """What a job has given.

        Raises:
            InputError: It is not done.
        """
        record = self._done(job_id)
        if record is None:
            raise InputError(
                f"The job '{job_id}' is not done.", f"Run job {self.number(job_id)} first."
            )
        return dict(record["result"])

    def is_done(self, job_id: str) -> bool:
        """Whether a job is done with this configuration; what is done once stays so."""
        if job_id not in self._known_done and self._done(job_id) is not None:
            self._known_done.add(job_id)
        return job_id in self._known_done

    def state(self, job_id: str) -> JobState:
        """Where a job stands now."""
        job, number, folder = self[job_id], self.number(job_id), self.folder(job_id)
        if self.is_done(job_id):
            return JobState(number, job, "done")
        if who := holder(folder):
            return JobState(number, job, "running", who)
        failure = _read_json(folder / FAILED_FILE)
        if failure is not None:
            return JobState(number, job, "failed", str(failure.get("message", "")))
        missing = [str(self.number(need)) for need in job.needs if not self.is_done(need)]
        if missing:
            return JobState(number, job, "waiting", f"needs {', '.join(missing)}")
        return JobState(number, job, "ready", self._beginnings(job_id))

    def states(self) -> list[JobState]:
        """Where all jobs stand now, in order."""
        return [self.state(job.id) for job in self.jobs]

    def with_needs(self, job_ids: Iterable[str]) -> list[Job]:
        """Some jobs and all that they need, in order."""
        wanted: set[str] = set()
        rest = list(job_ids)
        while rest:
            job = self[rest.pop()]
            if job.id not in wanted:
                wanted.add(job.id)
                rest.extend(job.needs)
        return [job for job in self.jobs if job.id in wanted]

    def _check(self, job: Job) -> None:
        if not _ID.fullmatch(job.id):
            raise InputError(
                f"A job cannot be called {job.id!r}.",
                "Use lower case letters, digits, '.', '_', '-'.",
            )
        if job.id in self._numbers:
            raise InputError(f"Two jobs are called '{job.id}'.", "Give each a name of its own.")
        for need in job.needs:
            if need not in self._numbers:
                raise InputError(
                    f"The job '{job.id}' needs '{need}', which does not come before it.",
                    "List a job after those that it needs.",
                )

    def _done(self, job_id: str) -> dict[str, Any] | None:
        record = _read_json(self.folder(job_id) / DONE_FILE)
        if record is None or record.get("digest") != self.digest(job_id):
            return None
        return record if isinstance(record.get("result"), dict) else None

    def _beginnings(self, job_id: str) -> str:
        if self.folder(job_id).is_dir():
            return "begun"
        digits = "[0-9a-f]" * _HASH_DIGITS
        others = list((self.root / _JOBS_FOLDER).glob(f"{job_id}-{digits}"))
        return "changed since an earlier run, whose results are kept" if others else ""


def _digest(job: Job, digests: Mapping[str, str]) -> str:
    content = {"config": job.config, "needs": {need: digests[need] for need in job.needs}}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not there, or damaged: then the work is done again
    return content if isinstance(content, dict) else None
