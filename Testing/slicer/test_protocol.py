"""What a child may say, in pieces, garbled or not at all, and what the panel makes of it."""

import json

import pytest
from SAMI2IPanel.protocol import LONGEST_LINE_BYTES, BoundedLog, PanelError, RunRecord


def line(event, **fields):
    return json.dumps({"event": event, **fields}).encode() + b"\n"


START = line("start", protocol=1, device="CPU", reason="it was asked for")
RESULT = line("result", output="x.nrrd")


def outcome_of(*chunks, code=0, crashed=False, cancelled=False):
    record = RunRecord()
    for chunk in chunks:
        record.addOutput(chunk)
    return record.outcome(code, crashed, cancelled)


def test_events_arrive_whole_though_the_bytes_come_one_by_one():
    events = []
    record = RunRecord(events.append)
    for byte in START + line("progress", stage="translate", done=3, total=9):
        record.addOutput(bytes([byte]))
    assert [event["event"] for event in events] == ["start", "progress"]
    assert (events[1]["done"], events[1]["total"]) == (3, 9)


def test_last_line_counts_without_a_line_break():
    assert outcome_of(START, RESULT.rstrip()).result == {"output": "x.nrrd"}


def test_success_needs_exit_code_status_and_result():
    assert outcome_of(START, RESULT).succeeded
    assert not outcome_of(START, RESULT, code=1).succeeded
    assert not outcome_of(START, RESULT, crashed=True).succeeded
    assert not outcome_of(START).succeeded


def test_error_event_keeps_its_hint_and_kind():
    failure = outcome_of(
        START, line("error", kind="input", message="Bad.", hint="Do."), code=2
    ).failure
    assert (failure.message, failure.hint, failure.kind) == ("Bad.", "Do.", "input")


def test_killed_child_is_a_crash_with_advice():
    failure = outcome_of(START, code=9, crashed=True).failure
    assert failure.kind == "crash"
    assert "it crashed or was ended from outside" in failure.message
    assert "Memory may have run out" in failure.hint


def test_code_without_an_error_event_shows_what_was_said_last():
    record = RunRecord()
    record.addErrorOutput(b"libcuda.so: broken\n\n")
    failure = record.outcome(127, False, False).failure
    assert failure.message.endswith("ended unexpectedly: code 127. libcuda.so: broken")


def test_cancel_is_no_failure_whatever_the_exit_code_says():
    cancelled = outcome_of(START, code=130, cancelled=True)
    assert cancelled.cancelled
    assert cancelled.failure is None
    assert not cancelled.succeeded


def test_other_protocol_is_refused_though_there_is_a_result():
    failure = outcome_of(line("start", protocol=2, device="CPU", reason=""), RESULT).failure
    assert failure.kind == "protocol"


def test_lines_that_are_no_events_go_to_the_log():
    found = outcome_of(START, b"hello\n[1, 2]\n\xff\xfe\n", RESULT)
    assert found.succeeded
    assert "hello\n[1, 2]" in found.log


def test_line_without_end_does_not_fill_the_memory():
    record = RunRecord()
    for _ in range(5):
        record.addOutput(b"x" * (LONGEST_LINE_BYTES // 4 + 1))
    assert len(record._pending) < LONGEST_LINE_BYTES
    assert record.outcome(0, False, False).failure.kind == "protocol"


def test_warnings_are_kept_for_the_user():
    found = outcome_of(START, line("warning", code="few-slices", message="Few."), RESULT)
    assert found.warnings == ("Few.",)


def test_log_keeps_the_last_lines_and_says_how_many_are_gone():
    log = BoundedLog(lines=3)
    for number in range(5):
        log.add(f"line {number}")
    log.add("y" * 5000)
    lines = str(log).splitlines()
    assert lines[0] == "... 3 earlier lines ..."
    assert lines[1:3] == ["line 3", "line 4"]
    assert len(lines[3]) < 2100


def test_panel_error_reads_as_message_and_hint():
    with pytest.raises(PanelError, match=r"^Bad\. Do this\.$"):
        raise PanelError("Bad.", "Do this.")
