"""What every test of the project starts from."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach child processes also where the tests run in the background.

    A shell that starts a job with "&" lets it ignore SIGINT, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
