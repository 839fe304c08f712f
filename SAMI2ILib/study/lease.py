"""A lease: of all the processes that share a folder, on any machine, one does a piece of work.

Each attempt to do the work is a claim, a file `claim-0001.json`, `claim-0002.json` and so on; the
newest one counts. A claim appears with its content by one atomic operation that fails where the
file exists, so a single process gets each number. While the work goes on, a thread touches the
file; a process takes over with the next number when the work was given up, when the process that
held it ran on this machine and is gone, or when nothing has touched the claim for
`LEASE_SECONDS`. Ages are measured by the clock of the file system, never by that of a machine.

What this promises: two processes never hold a lease together, unless one was held up for longer
than `LEASE_SECONDS` (a sleeping laptop, a file server that did not answer). That one notices
within `HEARTBEAT_SECONDS` of waking up, by `is_held`.
"""

import json
import os
import platform
import re
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.atomic import own_prefix, write_text
from SAMI2ILib.errors import OutputError
from SAMI2ILib.processes import birth, is_running, this_place

LEASE_SECONDS: Final = 600.0
"""After so long without a sign of life a lease of another machine is free again."""
HEARTBEAT_SECONDS: Final = 30.0
"""Between two signs of life. Network file systems show them to others up to a minute late."""

_CLAIM = "claim-{:04d}.json"
_CLAIM_NAME = re.compile(r"claim-(\d{4,})\.json")


class Lease:
    """The right to do one piece of work; `acquire` gives it."""

    def __init__(self, claim: Path) -> None:
        self._claim = claim
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def is_held(self) -> bool:
        """Whether the work is still this process's, as of now."""
        self._lost = self._lost or _newest_claim(self._claim.parent) != self._claim
        return not (self._ended.is_set() or self._lost)

    def release(self) -> None:
        """Give the work up, so that another process can take it at once."""
        held = self.is_held()
        self._ended.set()
        self._thread.join()
        if held:
            with suppress(OutputError):  # then it ends by its age
                write_text(json.dumps({"released": True}) + "\n", self._claim)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            if not self.is_held():
                return
            with suppress(OSError):  # the file server may answer the next time
                os.utime(self._claim)


def acquire(folder: Path) -> Lease | None:
    """Take the work of a folder.

    Args:
        folder: Exists; the claims lie in it.

    Returns:
        None where another process holds it.

    Raises:
        OutputError: The folder cannot be written to.
    """
    claims = _claims(folder)
    newest = max(claims, default=0)
    if claims and not _is_free(claims[newest]):
        return None
    path = folder / _CLAIM.format(newest + 1)
    claim = {
        "place": this_place(),
        "process": os.getpid(),
        "born": birth(os.getpid()),
        "machine": platform.node(),
    }
    if not _create(path, json.dumps(claim) + "\n") or _newest_claim(folder) != path:
        return None
    return Lease(path)


def holder(folder: Path) -> str | None:
    """Say who holds the work of a folder, "process 4711 on node7"; None where nobody does."""
    newest = _newest_claim(folder)
    if newest is None or _is_free(newest):
        return None
    claim = _read(newest)
    return f"process {claim.get('process', '?')} on {claim.get('machine', '?')}"


def forget_claims(folder: Path) -> None:
    """Remove the claims of work that is done; the caller has recorded that it is."""
    for path in _claims(folder).values():
        with suppress(OSError):
            path.unlink()


def _newest_claim(folder: Path) -> Path | None:
    claims = _claims(folder)
    return claims[max(claims)] if claims else None


def _claims(folder: Path) -> dict[int, Path]:
    """The claims of a folder by their numbers."""
    matches = ((path, _CLAIM_NAME.fullmatch(path.name)) for path in folder.glob("claim-*.json"))
    return {int(match[1]): path for path, match in matches if match}


def _is_free(path: Path) -> bool:
    claim = _read(path)
    if claim.get("released"):
        return True
    process = claim.get("process") if claim.get("place") == this_place() else None
    if isinstance(process, int) and is_running(process, str(claim.get("born", ""))) is False:
        return True
    return _age_seconds(path) > LEASE_SECONDS


def _read(path: Path) -> dict[str, Any]:
    try:
        claim = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # gone, or half written where hard links do not exist: age decides
    return claim if isinstance(claim, dict) else {}


def _age_seconds(path: Path) -> float:
    """How long ago a file was touched, by the clock that touches files; 0 where it is gone."""
    probe = path.with_name(f"{own_prefix()}{secrets.token_hex(8)}")
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime - path.stat().st_mtime
        finally:
            with suppress(OSError):
                probe.unlink()
    except OSError:
        return 0.0


def _create(path: Path, text: str) -> bool:
    """Make a file with its content at once; False where it exists.

    A hard link fails where the name is taken, also on network file systems; where there are no
    hard links, exclusive creation does, and the content follows.
    """
    draft = path.with_name(f"{own_prefix()}{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
        try:
            os.link(draft, path)
        except FileExistsError:
            # An answer of the server that got lost: the second try finds the first one's link.
            return draft.stat().st_nlink == 2
        except OSError:
            return _create_exclusively(path, text)
        return True
    except OSError as error:
        raise OutputError(
            f"{path.parent} cannot be written to: {error.strerror or error}.",
            "Choose a folder that you may write to and that has space left.",
        ) from error
    finally:
        with suppress(OSError):  # Windows keeps what a virus scanner looks at
            draft.unlink()


def _create_exclusively(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
