import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from SAMI2ILib.errors import OutputError
from SAMI2ILib.study import lease as lease_module
from SAMI2ILib.study.lease import LEASE_SECONDS, acquire, forget_claims, holder

TAKE_AND_WAIT = """
import sys, time
from pathlib import Path
from SAMI2ILib.study.lease import acquire
lease = acquire(Path(sys.argv[1]))
print("taken" if lease else "held", flush=True)
time.sleep(600)
"""


def claim_of_another_machine(folder: Path, seconds_ago: float, number: int = 1) -> Path:
    path = folder / f"claim-{number:04d}.json"
    path.write_text(json.dumps({"place": "elsewhere", "process": 1, "machine": "node7"}))
    touched = time.time() - seconds_ago
    os.utime(path, (touched, touched))
    return path


def test_one_of_many_takes_the_work(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda _: acquire(tmp_path), range(8)))
    assert sum(lease is not None for lease in leases) == 1


def test_work_is_free_again_after_its_release(tmp_path):
    first = acquire(tmp_path)
    assert acquire(tmp_path) is None
    first.release()
    assert not first.is_held()
    assert holder(tmp_path) is None
    assert acquire(tmp_path).is_held()


def test_work_of_a_killed_process_is_free_at_once(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_AND_WAIT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "taken\n"
    assert f"process {process.pid} on " in holder(tmp_path)
    assert acquire(tmp_path) is None
    process.send_signal(signal.SIGKILL)
    # nobody has waited for it yet: its number is still in the table of processes
    deadline = time.monotonic() + 30
    while (taken := acquire(tmp_path)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.wait()
    process.stdout.close()
    assert taken.is_held()


def test_process_with_the_number_of_a_dead_one_holds_nothing(tmp_path):
    acquire(tmp_path)
    path = tmp_path / "claim-0001.json"
    claim = json.loads(path.read_text())
    if not claim["born"]:
        pytest.skip("this system does not say when a process began")
    path.write_text(json.dumps(claim | {"born": "1"}))
    assert acquire(tmp_path) is not None


def test_work_of_another_machine_is_free_after_ten_minutes_without_a_sign(tmp_path):
    claim_of_another_machine(tmp_path, LEASE_SECONDS - 60)
    assert holder(tmp_path) == "process 1 on node7"
    assert acquire(tmp_path) is None
    claim_of_another_machine(tmp_path, LEASE_SECONDS + 60)
    assert acquire(tmp_path) is not None


def test_heartbeat_keeps_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.01)
    lease = acquire(tmp_path)
    path = tmp_path / "claim-0001.json"
    os.utime(path, (0, 0))
    deadline = time.monotonic() + 30
    while path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    lease.release()
    assert time.time() - path.stat().st_mtime < 60


def test_process_that_was_overtaken_notices_and_leaves_the_new_claim(tmp_path):
    slow = acquire(tmp_path)
    claim = claim_of_another_machine(tmp_path, 0, number=2)
    before = claim.read_text()
    assert not slow.is_held()
    slow.release()
    assert claim.read_text() == before
    assert "released" not in (tmp_path / "claim-0001.json").read_text()
    assert holder(tmp_path) == "process 1 on node7"


def test_without_hard_links_one_still_takes_the_work(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    lease = acquire(tmp_path)
    assert lease.is_held()
    assert acquire(tmp_path) is None
    assert not lease_module._create(tmp_path / "claim-0001.json", "{}")


def test_two_that_take_one_number_are_told_apart(tmp_path):
    claim_of_another_machine(tmp_path, 0)
    assert not lease_module._create(tmp_path / "claim-0001.json", "{}")
    assert list(tmp_path.iterdir()) == [tmp_path / "claim-0001.json"]


def test_half_written_claim_is_free_by_its_age(tmp_path):
    path = tmp_path / "claim-0001.json"
    path.write_text("{")
    assert acquire(tmp_path) is None
    os.utime(path, (0, 0))
    assert acquire(tmp_path) is not None


def test_claims_of_done_work_are_forgotten(tmp_path):
    lease = acquire(tmp_path)
    lease.release()
    (tmp_path / "claim-notes.json").write_text("not ours")
    forget_claims(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["claim-notes.json"]


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OutputError, match="cannot be written to"):
        acquire(tmp_path / "nowhere")
