"""Jobs of a plan on the console: a line each, and JSON for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console

if TYPE_CHECKING:
    from SAMI2ILib.study.jobs import JobState
    from SAMI2ILib.study.run import Report


def list_jobs(states: "Sequence[JobState]", console: Console) -> None:
    """List the jobs of a plan with their state."""
    for state in states:
        console.say(job_line(state))
    fields = [
        {"number": s.number, "id": s.job.id, "status": s.status, "message": s.message}
        for s in states
    ]
    console.result({"jobs": fields})


def job_line(state: "JobState") -> str:
    """One job: number, state, title, and what there is to say."""
    remark = f" ({state.message})" if state.message else ""
    return f"{_begin(state)}{remark}"


def teller(console: Console) -> "Report":
    """Give a report that says on a line each when a job begins and how it ended."""

    def tell(state: "JobState", seconds: float) -> None:
        spent = "" if state.status == "running" else f" after {seconds:.0f} s"
        why = f" ({state.message})" if state.status == "failed" else ""
        console.note(f"{_begin(state)}{spent}{why}")

    return tell


def _begin(state: "JobState") -> str:
    return f"{state.number:4}  {state.status:8}  {state.job.title}"
