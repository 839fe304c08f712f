"""Run a function over many tasks in processes that start the same way on every system."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from SAMI2ILib.errors import InputError
from SAMI2ILib.stop_signals import INTERRUPTS, ignore

Result = TypeVar("Result")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# As many processes as a pool may have on Windows, which waits for no more things at a time.
_MOST_ON_WINDOWS = 61
_POLL_SECONDS = 0.2


def run_in_processes(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int | None
) -> Generator[Result, None, None]:
    """Yield the result of `function(*task)` for each task, as they finish.

    When a task fails, those that run are waited for. When this process is interrupted or killed,
    or the generator is closed, they end at once: no process outlives this one.

    Args:
        function: A function of a module, so that a fresh process can import it.
        tasks: Arguments of each call.
        workers: Number of processes, all cores where None; 1 works in this process, in order. At
            most 61 on Windows.

    Raises:
        InputError: Fewer than one worker.
        Exception: The first failure of a task; tasks that have not begun are dropped.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}.")
    workers = min(workers or os.cpu_count() or 1, len(tasks))
    if sys.platform == "win32":
        workers = min(workers, _MOST_ON_WINDOWS)
    if workers <= 1:
        for task in tasks:
            yield function(*task)
        return
    # Spawn works the same on Windows, macOS and Linux, and does not fork a parent with threads.
    context = multiprocessing.get_context("spawn")
    # The writing end is open in this process alone. The system closes it when the process dies,
    # however it dies, and the workers read the end of it.
    reader, writer = context.Pipe(duplex=False)
    with (
        reader,
        writer,
        _single_threaded_children(),
        ProcessPoolExecutor(workers, context, _live_with_parent, (reader,)) as pool,
    ):
        futures = [pool.submit(function, *task) for task in tasks]
        try:
            yield from _as_they_finish(futures)
        except (KeyboardInterrupt, GeneratorExit):
            writer.close()
            raise
        finally:
            for future in futures:
                future.cancel()


def _as_they_finish(futures: Sequence[Future[Result]]) -> Iterator[Result]:
    """Yield the results in the order in which they come; Ctrl-C is heard on every system."""
    unfinished = set(futures)
    while unfinished:
        # On Windows, a wait without a limit is not interrupted.
        done, unfinished = wait(unfinished, _POLL_SECONDS, FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _live_with_parent(parent: Connection) -> None:
    """Make a worker process end, in the middle of its task, when the other end is closed."""
    # Ctrl-C reaches the whole group of processes; the parent decides what becomes of the workers.
    ignore(INTERRUPTS)

    def watch() -> None:
        try:
            parent.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Let each process compute on one core: the processes share them out already."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
