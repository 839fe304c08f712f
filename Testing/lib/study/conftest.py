"""A dataset of phantoms with a test part, small enough to train and measure on in seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

PARTS = {"carl": "test", "emma": "test"}


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """`anna` and `bert` train, `carl` and `emma` test; all have T1, T2, PD."""
    everything = dict.fromkeys(("anna", "bert", "carl", "dora", "emma"), "T1 T2 PD")
    return make_dataset(tmp_path_factory.mktemp("phantoms"), everything, PARTS)
