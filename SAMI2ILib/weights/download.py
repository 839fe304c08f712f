"""Downloads one file: HTTPS only, resumable, checked, and in place only when it is whole."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from SAMI2ILib.about import REPOSITORY_URL, VERSION
from SAMI2ILib.atomic import make_folder, move_into_place
from SAMI2ILib.errors import CancelledError, InputError, NetworkError, OutputError
from SAMI2ILib.weights.model_file import file_sha256
from SAMI2ILib.weights.network_errors import describe_status, explain

if TYPE_CHECKING:
    import requests

OnProgress = Callable[[int, int | None], None]
IsCancelled = Callable[[], bool]

# A chunk that is cut is lost, so a large one would keep a bad line from ever getting on.
CHUNK_BYTES: Final = 2**14
MAX_REDIRECTS: Final = 5
# No model or public checkpoint is near this; a server that never stops must not fill the disk.
MAX_BYTES: Final = 8 * 2**30
# Left free on the disk beyond the file itself.
RESERVE_BYTES: Final = 2**26


@dataclass(frozen=True)
class _Part:
    """The unfinished file, and the version of the remote file that it belongs to."""

    path: Path
    note: Path

    @classmethod
    def of(cls, destination: Path) -> "_Part":
        return cls(
            destination.with_name(f"{destination.name}.part"),
            destination.with_name(f"{destination.name}.part.json"),
        )

    def resume_point(self, url: str) -> tuple[int, str]:
        """Give the bytes that are there and the validator to continue with; (0, "") to restart."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            if note["url"] == url and note["validator"]:
                return self.path.stat().st_size, str(note["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no usable note: the part could be of any version, so it is not continued
        return 0, ""

    def remember(self, url: str, validator: str) -> None:
        note = json.dumps({"url": url, "validator": validator})
        self.note.write_text(note, encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str,
    destination: Path,
    *,
    sha256: str | None = None,
    on_progress: OnProgress | None = None,
    is_cancelled: IsCancelled | None = None,
    timeout_seconds: float = 30.0,
) -> str:
    """Download a file.

    What has arrived is kept as `<name>.part` and continued the next time, as long as the server
    says that its file is still the same. Proxies and certificates are taken from the environment
    (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`).

    Args:
        url: An https address; redirects must stay on https.
        destination: The file; it is replaced atomically once the download is whole and right.
        sha256: Expected hash, 64 hexadecimal digits; None where none is known.
        on_progress: Called with the bytes so far and in all (None where the server does not say).
        is_cancelled: Asked between chunks; true ends the download, the part is kept.
        timeout_seconds: Longest wait for a connection, and for the next bytes.

    Returns:
        The SHA-256 of the file.

    Raises:
        InputError: The address is not https.
        NetworkError: No connection, a refusal, a cut, or not the expected file.
        OutputError: The folder cannot be written, or the disk is too small.
        CancelledError: `is_cancelled` said so.
    """
    _require_https(url, "The address")
    destination = Path(destination)
    part = _Part.of(destination)
    make_folder(destination.parent)
    with _open_session() as session, explain(url, part.path):
        _fetch(session, url, part, on_progress, is_cancelled, timeout_seconds)
    found = file_sha256(part.path)
    if sha256 is not None and found != sha256.lower():
        part.discard()
        raise NetworkError(
            f"{_place(url)} sent another file than expected: its SHA-256 is {found}, expected was "
            f"{sha256.lower()}.",
            "Nothing was kept. Try again; if it happens again, the published file has changed.",
        )
    with _disk_errors(destination):
        move_into_place(part.path, destination)
        part.note.unlink(missing_ok=True)
    return found


def _fetch(
    session: "requests.Session",
    url: str,
    part: _Part,
    on_progress: OnProgress | None,
    is_cancelled: IsCancelled | None,
    timeout_seconds: float,
) -> None:
    """Bring the part to its full length."""
    offset, validator = part.resume_point(url)
    headers = {"Range": f"bytes={offset}-", "If-Range": validator} if offset else {}
    with _get(session, url, headers, timeout_seconds) as response:
        total = _content_range(response)
        if offset and response.status_code == 416 and total == (offset, offset):
            return  # everything had arrived
        continues = total is not None and total[0] == offset
        same_file = _validator(response) in ("", validator)
        restart = bool(offset) and (
            response.status_code == 416
            or (response.status_code == 206 and not (continues and same_file))
        )
        if not restart:
            _require_success(response, url)
            resumed = response.status_code == 206 and total is not None
            start = offset if resumed else 0
            expected = total[1] if resumed and total else _content_length(response)
            _require_room(part.path, expected, start)
            with _disk_errors(part.path):
                if not resumed:
                    # Emptied before the note names the new version: a kill in between must not
                    # leave old bytes under the new name.
                    part.path.write_bytes(b"")
                part.remember(url, _validator(response) or (validator if resumed else ""))
            _receive(response, part.path, start, expected, on_progress, is_cancelled)
            _require_length(url, part, expected)
            return
    part.discard()
    _fetch(session, url, part, on_progress, is_cancelled, timeout_seconds)


def _receive(
    response: "requests.Response",
    path: Path,
    start: int,
    expected: int | None,
    on_progress: OnProgress | None,
    is_cancelled: IsCancelled | None,
) -> None:
    done = start
    with _disk_errors(path), path.open("ab") as file:
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            if done > MAX_BYTES:
                raise NetworkError(f"The file is larger than {MAX_BYTES} bytes.")
            if on_progress is not None:
                on_progress(done, expected)
            if is_cancelled is not None and is_cancelled():
                raise CancelledError(
                    "The download was cancelled.", "What has arrived is kept; it will continue."
                )


def _get(
    session: "requests.Session", url: str, headers: dict[str, str], timeout_seconds: float
) -> "requests.Response":
    """Send the request and follow redirects, none of them to plain HTTP."""
    # Without "identity" the length and the range would count compressed bytes.
    headers = {"Accept-Encoding": "identity", **headers}
    address = url
    for _ in range(MAX_REDIRECTS + 1):
        response = session.get(
            address, headers=headers, stream=True, timeout=timeout_seconds, allow_redirects=False
        )
        if not response.is_redirect:
            return response
        address = urljoin(address, response.headers["Location"])
        response.close()
        _require_https(address, f"{_place(url)} redirects to an address that")
    raise NetworkError(f"{_place(url)} redirects more than {MAX_REDIRECTS} times.")


def _open_session() -> "requests.Session":
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = f"SAMI2I/{VERSION} (+{REPOSITORY_URL})"
    return session


def _require_https(url: str, what: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "https" and parts.hostname:
        return
    if what == "The address":
        raise InputError(
            f"The address must start with https://, not {url[:200]!r}.",
            "Files are only taken over a protected connection.",
        )
    raise NetworkError(
        f"{what} is not https ({parts.scheme}://{parts.hostname}).",
        "It was not followed. Get the file by hand and use `sami2i models add FILE`.",
    )


def _require_success(response: "requests.Response", url: str) -> None:
    if response.status_code not in (200, 206):
        raise describe_status(response.status_code, _place(url))
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise NetworkError(
            f"{_place(url)} sent the file compressed ({encoding}), which was not asked for."
        )


def _require_room(path: Path, expected: int | None, start: int) -> None:
    if expected is not None and expected > MAX_BYTES:
        raise NetworkError(f"The file is larger than {MAX_BYTES} bytes ({expected}).")
    needed = (expected or start) - start + RESERVE_BYTES
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutputError(
            f"The disk of {path.parent} has {free // 10**6} MB free; the download needs "
            f"{needed // 10**6} MB.",
            "Free some space and try again.",
        )


def _require_length(url: str, part: _Part, expected: int | None) -> None:
    size = part.path.stat().st_size
    if expected is None or size == expected:
        return
    if size > expected:
        part.discard()
        raise NetworkError(
            f"{_place(url)} sent {size} bytes but promised {expected}.",
            "Nothing was kept; try again.",
        )
    raise NetworkError(
        f"The connection to {_place(url)} was cut: {size} of {expected} bytes arrived.",
        "Run the same command again: it continues where it stopped.",
    )


def _content_length(response: "requests.Response") -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _content_range(response: "requests.Response") -> tuple[int, int] | None:
    """Read `bytes 5-9/10` as (5, 10), and `bytes */10` of a refused range as (10, 10)."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = total if span == "*" else span.partition("-")[0]
    if unit != "bytes" or not first.isdecimal() or not total.isdecimal():
        return None
    return int(first), int(total)


def _validator(response: "requests.Response") -> str:
    """Give what identifies this version of the remote file; a weak tag does not."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return str(response.headers.get("Last-Modified", ""))


def _place(url: str) -> str:
    # Without the query, which may hold a key.
    parts = urlsplit(url)
    return f"https://{parts.hostname}{parts.path}"


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    import requests

    try:
        yield
    except requests.RequestException:
        raise  # an OSError as well, but of the network
    except OSError as error:
        raise OutputError(
            f"The file {path} cannot be written ({error.strerror or error}).",
            "Check the folder's permission and the free space.",
        ) from error
