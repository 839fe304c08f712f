"""Says in one sentence why a download failed, from the exceptions of `requests`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from SAMI2ILib.errors import NetworkError

_OFFLINE_HINT: Final = (
    "Check the connection; behind a proxy set HTTPS_PROXY. On a machine without a network copy the "
    "file there and use `sami2i models add FILE`."
)
_CERTIFICATE_HINT: Final = (
    "Check the computer's date. Where a firewall opens protected connections, point "
    "REQUESTS_CA_BUNDLE to its certificate."
)
_RESUME_HINT: Final = "Run the same command again: it continues where it stopped."


@contextlib.contextmanager
def explain(url: str, part: Path) -> Iterator[None]:
    """Turn the exceptions of `requests` in a block into a `NetworkError`.

    Args:
        url: What is being downloaded.
        part: Where the bytes that have arrived lie.

    Raises:
        NetworkError: Instead of any exception of `requests`.
    """
    import requests

    try:
        yield
    except requests.RequestException as error:
        raise _explain(error, urlsplit(url).hostname or url, part) from error


def describe_status(status: int, place: str) -> NetworkError:
    """Give the error for an HTTP status that is no success.

    Args:
        status: E.g. 404.
        place: What was asked for.
    """
    if status in (404, 410):
        return NetworkError(f"There is no file at {place} (HTTP {status}).", "Check the address.")
    if status == 407:
        return NetworkError(f"The proxy wants a password (HTTP {status}).", _OFFLINE_HINT)
    if status in (401, 403):
        return NetworkError(f"Access to {place} was refused (HTTP {status}).", "Check the address.")
    if status == 429 or status >= 500:
        return NetworkError(
            f"The server cannot send {place} now (HTTP {status}).", "Try again later."
        )
    return NetworkError(f"{place} was answered with HTTP {status}.", "Check the address.")


def _explain(error: Exception, host: str, part: Path) -> NetworkError:
    from requests import exceptions

    text = _chain_text(error)
    arrived = part.stat().st_size if part.exists() else 0
    # The first that is true counts: a proxy's refusal is also a connection error.
    cases = (
        (
            "407" in text and "roxy" in text,
            "The proxy wants a password (HTTP 407).",
            _OFFLINE_HINT,
        ),
        (
            isinstance(error, exceptions.ProxyError),
            f"The proxy on the way to {host} does not answer.",
            _OFFLINE_HINT,
        ),
        (
            isinstance(error, exceptions.SSLError),
            f"The certificate of {host} could not be verified.",
            _CERTIFICATE_HINT,
        ),
        (
            isinstance(error, exceptions.ConnectTimeout),
            f"{host} did not answer in time.",
            _OFFLINE_HINT,
        ),
        (
            isinstance(error, exceptions.Timeout) or "ReadTimeoutError" in text,
            f"{host} stopped sending; {arrived} bytes are kept.",
            _RESUME_HINT,
        ),
        (
            "NameResolutionError" in text,
            f"The name {host} could not be resolved.",
            _OFFLINE_HINT,
        ),
        ("NewConnectionError" in text, f"{host} could not be reached.", _OFFLINE_HINT),
        (
            isinstance(error, exceptions.ConnectionError | exceptions.ChunkedEncodingError),
            f"The connection to {host} was cut; {arrived} bytes are kept.",
            _RESUME_HINT,
        ),
    )
    for applies, message, hint in cases:
        if applies:
            return NetworkError(message, hint)
    return NetworkError(f"The request to {host} failed ({error}).", "Check the address.")


def _chain_text(error: BaseException | None) -> str:
    """Name the whole chain of causes: `requests` wraps what `urllib3` wraps."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.append(f"{type(error).__name__}: {error}")
        reason = getattr(error, "reason", None)
        error = (
            reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
        )
    return " ".join(parts)
