"""What decides the result of a study's training."""

from collections.abc import Sequence
from typing import Any

from SAMI2ILib.study.cells import what_decides
from SAMI2ILib.training.config import BUDGET_KEYS, TrainingConfig


def description_of(config: TrainingConfig, dataset_ids: Sequence[str]) -> dict[str, Any]:
    """All that decides what a training gives, as JSON values: recipe, budget and data."""
    return {**what_decides(config), "datasets": list(dataset_ids)}


def budget_of(config: TrainingConfig) -> dict[str, float]:
    """The budget that a configuration has, by its key."""
    budgets = {key: getattr(config.optimization, key) for key in BUDGET_KEYS}
    return {key: value for key, value in budgets.items() if value}
