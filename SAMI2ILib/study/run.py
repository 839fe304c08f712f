"""Does the jobs of a plan: any number of processes at once, killed and continued."""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from SAMI2ILib.atomic import make_folder, remove_leftovers, write_text
from SAMI2ILib.errors import CancelledError, InputError, as_sami2i_error
from SAMI2ILib.study.jobs import (
    DONE_FILE,
    FAILED_FILE,
    JOB_FILE,
    Job,
    JobContext,
    JobState,
    Plan,
)
from SAMI2ILib.study.lease import Lease, acquire, forget_claims


class Report(Protocol):
    """Told when a job begins and how it ended."""

    def __call__(self, state: JobState, seconds: float) -> None:
        """Hear of a job that is now in a state, for the last one after so many seconds."""


def run_plan(
    plan: Plan,
    only: Sequence[str] = (),
    *,
    report: Report = lambda _state, _seconds: None,
    wait: bool = True,
    poll_seconds: float = 5.0,
) -> list[JobState]:
    """Do what is not done yet, beside any other processes that do the same.

    A job that fails is remembered and the rest goes on. An earlier call's failures are tried
    again, those of other processes during this call are not.

    Args:
        plan: What to do.
        only: Ids of the jobs to do, with all that they need; all where it is empty.
        report: Told of each job that begins or ends here.
        wait: Stay until what other processes work on is done too, and do what comes after it.
        poll_seconds: Between two looks at their work.

    Returns:
        The states of these jobs at the end, in order.

    Raises:
        KeyboardInterrupt: The work was interrupted; the same call goes on with it.
        CancelledError: So did a job say.
        OutputError: The plan's folder cannot be written to.
    """
    jobs = plan.with_needs(only or [job.id for job in plan.jobs])
    failures = {job.id: _failure(plan, job) for job in jobs}
    while True:
        progress = held = False
        for job in jobs:
            if not _is_open(plan, job) or _failure(plan, job) != failures[job.id]:
                continue
            took = _try(plan, job, report)
            progress, held = progress or took, held or not took
        if not progress and not (held and wait):
            return [plan.state(job.id) for job in jobs]
        if not progress:
            time.sleep(poll_seconds)


def run_together(
    plan: Plan,
    job_id: str,
    *,
    is_main: bool,
    agree: Callable[[bool], bool],
    report: Report = lambda _state, _seconds: None,
) -> JobState:
    """Do one shared job with all the processes of one torchrun, each of which calls this.

    Args:
        plan: The same in all processes.
        job_id: Of a job whose needs are done.
        is_main: Whether this process keeps the state; one of them does.
        agree: Gives all processes what the main one says.
        report: As for `run_plan`.

    Returns:
        The job's state.

    Raises:
        InputError: The job is none that several processes share, or a need is not done.
        Exception: What the job raised in a process other than the main one.
    """
    job = plan[job_id]
    if not job.shared:
        raise InputError(
            f"Job {plan.number(job_id)}, {job.title}, is no training: one process does it.",
            "Start it without torchrun.",
        )
    missing = [str(plan.number(need)) for need in job.needs if not plan.is_done(need)]
    if missing:
        raise InputError(
            f"Job {plan.number(job_id)} needs {', '.join(missing)}, not done yet.",
            "Run those first, without torchrun where they are no trainings.",
        )
    lease = _take(plan, job) if is_main and _is_open(plan, job) else None
    if agree(lease is not None):
        if lease is not None:
            _attempt(plan, job, lease, report)
        else:
            job.run(JobContext(plan.folder(job_id), plan, lambda: False))
    return plan.state(job_id)


def _is_open(plan: Plan, job: Job) -> bool:
    return not plan.is_done(job.id) and all(plan.is_done(need) for need in job.needs)


def _try(plan: Plan, job: Job, report: Report) -> bool:
    """Do a job unless another process has it; whether this one had it."""
    lease = _take(plan, job)
    if lease is None:
        return False
    _attempt(plan, job, lease, report)
    return True


def _take(plan: Plan, job: Job) -> Lease | None:
    folder = plan.folder(job.id)
    make_folder(folder)
    return acquire(folder)


def _attempt(plan: Plan, job: Job, lease: Lease, report: Report) -> None:
    """Do a job that this process holds, and record how it went."""
    folder = plan.folder(job.id)
    start = time.monotonic()
    try:
        if plan.is_done(job.id):  # by another process, between the look and the claim
            return
        _prepare(plan, job)
        report(JobState(plan.number(job.id), job, "running"), 0.0)
        message = text = ""
        try:
            result = job.run(JobContext(folder, plan, lambda: not lease.is_held()))
            text = _done_text(plan, job, result, time.monotonic() - start)
        except CancelledError:
            if lease.is_held():
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
            message = str(as_sami2i_error(error))
        if not lease.is_held():
            return  # another process has taken over and records what it finds
        if message:
            failure = {"message": message, "attempt": secrets.token_hex(8)}
            _write_json(failure, folder / FAILED_FILE)
        else:
            write_text(text, folder / DONE_FILE)
            (folder / FAILED_FILE).unlink(missing_ok=True)
    finally:
        lease.release()
        if plan.is_done(job.id):
            forget_claims(folder)
    report(plan.state(job.id), time.monotonic() - start)


def _prepare(plan: Plan, job: Job) -> None:
    folder = plan.folder(job.id)
    remove_leftovers(folder)
    about = {"id": job.id, "title": job.title, "digest": plan.digest(job.id)}
    needs = {need: plan.digest(need) for need in job.needs}
    _write_json({**about, "needs": needs, "config": job.config}, folder / JOB_FILE)


def _failure(plan: Plan, job: Job) -> str:
    """The record of a job's failure, as it stands now; empty where there is none."""
    try:
        return (plan.folder(job.id) / FAILED_FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


def _done_text(plan: Plan, job: Job, result: Mapping[str, Any], seconds: float) -> str:
    record = {"digest": plan.digest(job.id), "seconds": round(seconds, 1), "result": result}
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", path)
