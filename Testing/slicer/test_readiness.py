"""Why Apply is disabled: one sentence, the first thing to repair."""

from dataclasses import replace

import pytest
from SAMI2IPanel.readiness import Situation, whyNotReady

MODEL = {"id": "m", "encoder_problem": ""}
READY = Situation(inputName="head", sourceContrast="T1", targetContrast="T2", model=MODEL)


def test_nothing_stands_in_the_way():
    assert whyNotReady(READY) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"busyWith": "the download"}, "Wait until the download has finished, or press Cancel."),
        ({"inputName": ""}, "Choose the volume to translate."),
        ({"inputProblem": "It is empty."}, "It is empty."),
        ({"statusProblem": "PyTorch is not installed."}, "PyTorch is not installed."),
        ({"sourceContrast": ""}, "Choose the source contrast: nothing in head tells it."),
        (
            {"targetContrast": "T1"},
            "Source and target contrast are both T1: choose another target.",
        ),
        ({"modelsKnown": False}, "Wait until the list of models has been read."),
        ({"model": None, "modelId": "mine"}, "The model mine is not on this computer"),
        ({"model": None}, "No model makes T2 from T1"),
        ({"model": {"encoder_problem": "Get the encoder."}}, "Get the encoder."),
        ({"outputProblem": "It is a scan."}, "It is a scan."),
    ],
)
def test_reason_says_what_to_do(changes, reason):
    assert whyNotReady(replace(READY, **changes)).startswith(reason)


def test_a_running_task_is_named_before_all_else():
    assert "the download" in whyNotReady(Situation(busyWith="the download"))
