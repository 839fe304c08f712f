from pathlib import Path

import pytest

from Testing.host.fixtures import slicerHost, sliceViews

__all__ = ["sliceViews", "slicerHost"]

BRIGHTEN = Path(__file__).with_name("Brighten") / "Brighten.py"


@pytest.fixture
def brighten(slicerHost):
    """The template module's panel, loaded and entered."""
    return slicerHost.openModule(BRIGHTEN)
