"""pytest fixtures of the host; a conftest.py imports them by name."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from . import whyUnavailable


@pytest.fixture
def sliceViews(slicerHost: Any) -> Any:
    """The layout manager with its slice views; skips where VTK cannot render off screen."""
    from .rendering import whyNoRendering

    reason = whyNoRendering()
    if reason:
        pytest.skip(reason)
    return slicerHost.app.layoutManager()


@pytest.fixture
def slicerHost() -> Iterator[Any]:
    """The host, reset after the test; an exception in a slot or a VTK error fails the test."""
    reason = whyUnavailable()
    if reason:
        pytest.skip(reason)
    from .start import start

    host = start()
    with host.catching():
        yield host
        host.reset()
        exceptions, errors = host.takeExceptions(), host.takeVtkErrors()
        warnings = host.takeQtWarnings()
    if exceptions:
        texts = ["".join(traceback.format_exception(error)) for error in exceptions]
        pytest.fail("Exception in a slot or observer:\n" + "\n".join(texts), pytrace=False)
    if errors:
        pytest.fail("Unexpected VTK errors:\n" + "\n".join(errors), pytrace=False)
    if warnings:
        pytest.fail("Unexpected Qt warnings:\n" + "\n".join(warnings), pytrace=False)
