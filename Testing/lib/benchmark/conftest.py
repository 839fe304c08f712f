"""What the tests of the benchmark share: a process that stays as it is, and figures of a run."""

import json
from pathlib import Path

import pytest

from SAMI2ILib.benchmark import worker
from SAMI2ILib.models import attention


@pytest.fixture
def keep_process(monkeypatch):
    """Undo what arms do to the process of their own."""
    monkeypatch.setattr(attention, "PLAIN_ATTENTION_TOKENS", attention.PLAIN_ATTENTION_TOKENS)
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(worker, "_set_threads", lambda _threads: None)


@pytest.fixture
def results():
    """Figures of a run, made up so that each can be checked with a pencil."""
    return json.loads((Path(__file__).parent / "results.json").read_text(encoding="utf-8"))
