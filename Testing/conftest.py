"""What every test of the project starts from."""

import signal

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach child processes also where the tests run in the background.

    A shell that starts a job with "&" lets it ignore SIGINT, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a GPU no test fails for what a driver or a library remarks."""
    for item in items:
        if item.get_closest_marker("gpu") is not None:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs more GPUs than there are; where they are, it runs by itself."""
    marker = item.get_closest_marker("gpu")
    if marker is None:
        return

    import torch

    wanted = marker.args[0] if marker.args else 1
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if there < wanted:
        pytest.skip(f"needs {wanted} CUDA device{'s' if wanted > 1 else ''}")
