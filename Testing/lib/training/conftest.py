"""Two small subjects on disk and the recipe of a run that takes seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from SAMI2ILib.imaging.io import write_volume


@pytest.fixture
def cohort(tmp_path: Path, make_head: Callable[..., Any]) -> Path:
    """Subjects `anna` with T1, T2, PD and `bert` with T1 and T2, on one grid each."""
    folder = tmp_path / "cohort"
    for name, shape in (("anna", (9, 64, 64)), ("bert", (7, 60, 68))):
        (folder / name).mkdir(parents=True)
        head = make_head(shape_kji=shape)
        inside = head.array_kji > 0
        write_volume(head, folder / name / "T1.nii.gz")
        inverse = np.where(inside, 900 - head.array_kji, 0)
        write_volume(head.with_array(inverse), folder / name / "T2.nii.gz")
        if name == "anna":
            write_volume(head.with_array(inside * 500.0), folder / name / "PD.nii.gz")
    return folder


@pytest.fixture
def recipe() -> dict[str, Any]:
    """A valid recipe; tests change a copy."""
    return {
        "name": "trial",
        "title": "A trial",
        "license": "CC0-1.0",
        "targets": ["T2", "PD"],
        "workers": 0,
        "bf16": False,
        "data": [{"name": "phantoms", "weight": 1.0}],
        "optimization": {"steps": 3, "batch": 1, "crop": 64, "ema": 0.9},
    }
