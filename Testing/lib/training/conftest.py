"""A dataset of two small subjects and the recipe of a run that takes seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_file import parse_config
from SAMI2ILib.training.selection import Selection, select_subjects

# A trunk of 70,000 parameters with every kind of block.
TINY_HIERA = {
    "embed_dim": 8,
    "num_heads": 1,
    "stages": [1, 1, 2, 1],
    "global_att_blocks": [3],
    "window_spec": [8, 4, 4, 2],
}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Subjects `anna` with T1, T2, PD and `bert` with T1 and T2 train; `carl` validates."""
    return make_dataset(
        tmp_path_factory.mktemp("cohort"),
        {"anna": "T1 T2 PD", "bert": "T1 T2", "carl": "T1 T2 PD", "dora": "T1 T2"},
        {"carl": "validation", "dora": "test"},
    )


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
        "tensorboard": False,
        "sample_images": 0,
        "data": [{"name": "phantoms", "weight": 1.0}],
        "encoder": {"variant": "custom", "hiera": TINY_HIERA},
        "optimization": {"steps": 3, "batch": 2, "crop": 64, "ema": 0.9},
    }


@pytest.fixture
def configure(recipe: dict[str, Any], cohort: Path) -> Callable[..., TrainingConfig]:
    """Make a configuration of the recipe with some keys changed: `optimization={"batch": 4}`."""

    def make(**changes: Any) -> TrainingConfig:
        table = recipe | {"data": [{"name": "phantoms", "folder": str(cohort)}]}
        for key, value in changes.items():
            old = table.get(key)
            merged = old | value if isinstance(old, dict) else value
            if isinstance(merged, dict):  # None takes a key away
                merged = {k: v for k, v in merged.items() if v is not None}
            table[key] = merged
        return parse_config(table)

    return make


@pytest.fixture
def config(configure: Callable[..., TrainingConfig]) -> TrainingConfig:
    return configure()


@pytest.fixture
def selection(config: TrainingConfig) -> Selection:
    return select_subjects(config)
