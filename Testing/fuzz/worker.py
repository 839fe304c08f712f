"""Reads mutated files in a process with little memory and no way out; a line for each case.

Started by `Testing.fuzz.__main__` with: target, seed, first case, last case, folder. It prints `n`
when case n begins and `n outcome text` when it has ended; a crash or hang leaves the first alone.
"""

import contextlib
import os
import random
import resource
import sys
import time
import traceback
from pathlib import Path

from Testing.fuzz.planted import PLANTED
from Testing.fuzz.targets import TARGETS, clean

# What one case may take beyond what the process has when it starts; the files have kilobytes.
MEMORY_BYTES = 400 * 2**20
SLOW_SECONDS = 2.0
FORBIDDEN = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
    "socket.getaddrinfo", "pickle.find_class",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class EscapeError(BaseException):
    """A file made the program do what no file may: write elsewhere, run something, connect."""


def watch(folder: Path) -> None:
    """Refuse, from now on, all that a file to read may never cause."""
    allowed = str(folder.resolve())

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            raise EscapeError(f"{event} {arguments}"[:300])
        if event == "open":
            path, mode, flags = arguments
            is_writing = (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & WRITING
            )
            if is_writing and isinstance(path, str | bytes):
                where = os.path.realpath(os.fsdecode(path))
                if not where.startswith(allowed) and where != "/dev/null":
                    raise EscapeError(f"open {where!r} for writing")

    sys.addaudithook(hook)


def run_case(target_name: str, seeds: list, seed: int, number: int, folder: Path) -> str:
    """Give the outcome of one case, in a word, and what to know of it."""
    from SAMI2ILib.errors import InputError, MissingError, ModelError, as_sami2i_error

    target = {**TARGETS, **PLANTED}[target_name]
    clean(folder)
    path = target.case(seeds, folder, random.Random(f"{seed} {target_name} {number}"))
    started = time.process_time()
    try:
        target.read(path)
        outcome = "read"
    except (InputError, ModelError, MissingError) as error:
        text = str(error)
        outcome = "refused" if "\n" not in text and len(text) < 2000 else f"unclear {text[:200]!r}"
    except EscapeError as error:
        outcome = f"escape {error}"
    except BaseException as error:  # noqa: BLE001 - to tell which
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind = "memory" if as_sami2i_error(error).exit_code == 4 else "defect"
        where = f"{Path(last.filename).name}:{last.lineno}"
        outcome = f"{kind} {type(error).__name__} in {where}: {error}"
    if time.process_time() - started > SLOW_SECONDS:
        outcome = f"slow {outcome}"
    return " ".join(outcome.split())


def main() -> None:
    target, seed, first, last, folder = (
        sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]),
    )  # fmt: skip
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries print
    from SAMI2ILib.errors import Sami2iError

    clean(folder)
    made = {**TARGETS, **PLANTED}[target]
    seeds = made.seeds(folder)
    for valid in seeds:  # imports everything, and shows that the seeds are valid
        clean(folder)
        for name, content in valid.beside:
            (folder / name).write_bytes(content)
        (folder / valid.name).write_bytes(valid.content)
        with contextlib.suppress(Sami2iError):  # a model without its weights
            made.read(folder / valid.name)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    watch(folder)
    for number in range(first, last):
        lines.write(f"{number}\n")
        lines.write(f"{number} {run_case(target, seeds, seed, number, folder)}\n")


if __name__ == "__main__":
    main()
