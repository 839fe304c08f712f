import json
import subprocess
import sys
from pathlib import Path

import pytest

from SAMI2ILib.errors import CancelledError, InputError
from SAMI2ILib.study import run as run_module
from SAMI2ILib.study.jobs import Job, JobContext, Plan
from SAMI2ILib.study.lease import acquire
from SAMI2ILib.study.run import run_plan, run_together


def work(context: JobContext) -> dict[str, int]:
    """Count the attempts in the job's own folder."""
    log = context.folder / "attempts.txt"
    attempts = len(log.read_text()) if log.is_file() else 0
    log.write_text("x" * (attempts + 1))
    return {"attempts": attempts + 1}


def fail(context: JobContext) -> dict[str, int]:
    raise InputError("The scan is empty.", "Look at it.")


def make_job(name: str, *needs: str, run=work, config=None, shared=False) -> Job:
    return Job(name, f"Job {name}", config or {"of": name}, run, needs, shared)


def statuses(states) -> dict[str, str]:
    return {state.job.id: state.status for state in states}


def test_jobs_are_done_once_and_in_order(tmp_path):
    order = []

    def note(context: JobContext) -> dict[str, int]:
        order.append(context.folder.name[0])
        return work(context)

    plan = Plan(tmp_path, [make_job("a", run=note), make_job("b", "a", run=note)])
    assert statuses(plan.states()) == {"a": "ready", "b": "waiting"}
    assert statuses(run_plan(plan)) == {"a": "done", "b": "done"}
    assert statuses(run_plan(plan)) == {"a": "done", "b": "done"}
    assert order == ["a", "b"]
    assert plan.result("a") == {"attempts": 1}
    assert not list(plan.folder("a").glob("claim-*"))


def test_one_job_brings_what_it_needs_and_nothing_else(tmp_path):
    plan = Plan(tmp_path, [make_job("a"), make_job("b"), make_job("c", "a")])
    assert plan.job_of(3).id == "c"
    assert statuses(run_plan(plan, ["c"])) == {"a": "done", "c": "done"}
    assert statuses(plan.states()) == {"a": "done", "b": "ready", "c": "done"}


def test_failure_is_told_and_the_rest_goes_on(tmp_path):
    told = []
    plan = Plan(tmp_path, [make_job("a", run=fail), make_job("b", "a"), make_job("c")])
    states = run_plan(plan, report=lambda state, _: told.append((state.job.id, state.status)))
    assert statuses(states) == {"a": "failed", "b": "waiting", "c": "done"}
    assert states[0].message == "The scan is empty. Look at it."
    assert states[1].message == "needs 1"
    assert told == [("a", "running"), ("a", "failed"), ("c", "running"), ("c", "done")]


def test_failure_is_tried_again_by_the_next_run(tmp_path):
    run_plan(Plan(tmp_path, [make_job("a", run=fail)]))
    plan = Plan(tmp_path, [make_job("a"), make_job("b", "a")])
    assert statuses(run_plan(plan)) == {"a": "done", "b": "done"}
    assert not (plan.folder("a") / "failed.json").exists()


def test_result_that_is_no_json_is_a_failure(tmp_path):
    plan = Plan(tmp_path, [make_job("a", run=lambda _: {"loss": float("nan")})])
    state = run_plan(plan)[0]
    assert state.status == "failed"
    assert "not JSON compliant" in state.message


def test_changed_configuration_is_done_anew_and_the_old_result_kept(tmp_path):
    old = Plan(tmp_path, [make_job("a", config={"steps": 1}), make_job("b", "a")])
    run_plan(old)
    new = Plan(tmp_path, [make_job("a", config={"steps": 2}), make_job("b", "a")])
    assert statuses(new.states()) == {"a": "ready", "b": "waiting"}
    assert "changed since" in new.state("a").message
    run_plan(new)
    assert new.folder("b") != old.folder("b")
    assert old.result("b") == new.result("b") == {"attempts": 1}


def test_result_of_another_configuration_is_not_believed(tmp_path):
    plan = Plan(tmp_path, [make_job("a")])
    run_plan(plan)
    done = plan.folder("a") / "done.json"
    done.write_text(done.read_text().replace(plan.digest("a"), "0" * 64))
    assert not Plan(tmp_path, plan.jobs).is_done("a")
    done.write_text("{")
    assert statuses(run_plan(Plan(tmp_path, plan.jobs))) == {"a": "done"}
    assert plan.result("a") == {"attempts": 2}


def test_interruption_leaves_the_job_to_the_next_run(tmp_path):
    def interrupt(context: JobContext) -> dict[str, int]:
        work(context)
        raise CancelledError

    with pytest.raises(CancelledError):
        run_plan(Plan(tmp_path, [make_job("a", run=interrupt)]))
    plan = Plan(tmp_path, [make_job("a")])
    assert plan.state("a").message == "begun"
    run_plan(plan)
    assert plan.result("a") == {"attempts": 2}


def test_job_of_another_process_is_waited_for_or_left(tmp_path, monkeypatch):
    plan = Plan(tmp_path, [make_job("a"), make_job("b", "a")])
    plan.folder("a").mkdir(parents=True)
    lease = acquire(plan.folder("a"))
    states = run_plan(plan, wait=False)
    assert statuses(states) == {"a": "running", "b": "waiting"}
    assert states[0].message.startswith("process ")
    monkeypatch.setattr(run_module.time, "sleep", lambda _: lease.release())
    assert statuses(run_plan(plan)) == {"a": "done", "b": "done"}


def test_failure_of_another_process_is_not_repeated(tmp_path, monkeypatch):
    plan = Plan(tmp_path, [make_job("a")])
    plan.folder("a").mkdir(parents=True)
    lease = acquire(plan.folder("a"))

    def fail_there(_seconds: float) -> None:
        (plan.folder("a") / "failed.json").write_text('{"message": "There."}')
        lease.release()

    monkeypatch.setattr(run_module.time, "sleep", fail_there)
    state = run_plan(plan)[0]
    assert (state.status, state.message) == ("failed", "There.")


def test_overtaken_process_records_nothing(tmp_path):
    def lose(context: JobContext) -> dict[str, int]:
        other = {"place": "elsewhere", "process": 1, "machine": "node7"}
        (context.folder / "claim-0002.json").write_text(json.dumps(other))
        assert context.should_stop()
        return {}

    plan = Plan(tmp_path, [make_job("a", run=lose)])
    state = run_plan(plan, wait=False)[0]
    assert (state.status, state.message) == ("running", "process 1 on node7")


def test_processes_of_one_torchrun_do_a_job_together(tmp_path):
    plan = Plan(tmp_path, [make_job("a", shared=True)])
    said = []
    others = []

    def agree(taken: bool) -> bool:
        said.append(taken)
        # what the other process does when it hears it
        others.append(run_together(plan, "a", is_main=False, agree=lambda _: taken))
        return taken

    assert run_together(plan, "a", is_main=True, agree=agree).status == "done"
    assert plan.result("a") == {"attempts": 2}  # both have worked, one has recorded
    assert run_together(plan, "a", is_main=True, agree=agree).status == "done"
    assert said == [True, False]
    assert others[0].status == "running"


def test_wrong_plans_and_calls_are_refused(tmp_path):
    with pytest.raises(InputError, match="Two jobs are called 'a'"):
        Plan(tmp_path, [make_job("a"), make_job("a")])
    with pytest.raises(InputError, match="cannot be called 'A/b'"):
        Plan(tmp_path, [make_job("A/b")])
    with pytest.raises(InputError, match="needs 'b', which does not come before"):
        Plan(tmp_path, [make_job("a", "b"), make_job("b")])
    plan = Plan(tmp_path, [make_job("a"), make_job("b", "a", shared=True)])
    with pytest.raises(InputError, match="no job 'c'"):
        plan.result("c")
    with pytest.raises(InputError, match="no job 3; the plan has the jobs 1 to 2"):
        plan.job_of(3)
    with pytest.raises(InputError, match="'a' is not done"):
        plan.result("a")
    with pytest.raises(InputError, match="one process does it"):
        run_together(plan, "a", is_main=True, agree=bool)
    with pytest.raises(InputError, match="Job 2 needs 1"):
        run_together(plan, "b", is_main=True, agree=bool)


# Runs a plan of three jobs, "b" needing "a"; a process that is told so kills itself at one point.
CHILD = """
import os, signal, sys, time
from pathlib import Path
from SAMI2ILib.study import jobs, run

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def work(context):
    with (context.folder / "attempts.txt").open("a") as log:
        log.write("x")
    if point == "working" and "b-" in context.folder.name:
        die()
    if point == "slow":
        time.sleep(0.3)
    return {"attempts": len((context.folder / "attempts.txt").read_text())}

root, point = Path(sys.argv[1]), sys.argv[2]
original = run.write_text, run._prepare, run.forget_claims
if point == "claimed":
    run._prepare = lambda plan, job: die() if job.id == "b" else original[1](plan, job)
if point == "before the record":
    run.write_text = lambda text, path: (
        die() if path.name == "done.json" and "b-" in path.parent.name else original[0](text, path)
    )
if point == "after the record":
    run.forget_claims = lambda folder: die() if "b-" in folder.name else original[2](folder)
plan = jobs.Plan(root, [
    jobs.Job(name, name, {}, work, needs) for name, needs in (("a", ()), ("b", ("a",)), ("c", ()))
])
run.run_plan(plan, poll_seconds=0.05)
print(*(plan.result(name)["attempts"] for name in "abc"))
"""


def run_child(root: Path, point: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(root), point]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("point", "attempts"),
    [
        ("claimed", "1 1 1"),
        ("working", "1 2 1"),
        ("before the record", "1 2 1"),
        ("after the record", "1 1 1"),
    ],
)
def test_plan_goes_on_after_a_kill(tmp_path, point, attempts):
    assert run_child(tmp_path, point).returncode != 0
    second = run_child(tmp_path)
    assert second.stdout.split() == attempts.split(), second.stderr


def test_two_processes_share_a_plan(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path), "slow"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [output.split() for output in outputs] == [["1", "1", "1"]] * 2
    logs = sorted((tmp_path / "jobs").glob("*/attempts.txt"))
    assert [log.read_text() for log in logs] == ["x"] * 3
