"""Which part of a cohort one of several processes takes: by option, or as torchrun or SLURM say."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from SAMI2ILib.errors import InputError

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Shard:
    """One of several processes that share a cohort.

    Attributes:
        number: Which one, counted from 1.
        count: How many there are.
        origin: Who says so, for a message.
        local_rank: Place among the processes of this machine, counted from 0.

    Raises:
        InputError: `number` does not lie in 1 to `count`.
    """

    number: int = 1
    count: int = 1
    origin: str = "a single process"
    local_rank: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(
                f"Shard {self.number} of {self.count} does not exist ({self.origin}).",
                "Count from 1: --shard 1/4 to --shard 4/4.",
            )

    def take(self, items: Sequence[_Item]) -> list[_Item]:
        """Every `count`-th item; the shards together take each item once."""
        return list(items[self.number - 1 :: self.count])


def parse_shard(text: str) -> Shard:
    """Read `--shard i/n`, counted from 1.

    Raises:
        InputError: Not two whole numbers, or i is not in 1 to n.
    """
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise InputError(f"--shard must look like 2/8, not {text!r}.", "The first one is 1/8.")
    return Shard(int(number), int(count), f"--shard {text}")


def shard_from_environment(environment: Mapping[str, str] = os.environ) -> Shard:
    """Find this process's part in what torchrun or SLURM have set.

    torchrun: RANK of WORLD_SIZE. SLURM: SLURM_PROCID of the tasks that one `srun` started, times
    the tasks of a job array. A batch script that starts the program without `srun` is one process,
    whatever number of tasks its job has.

    Raises:
        InputError: A variable is no whole number, or they contradict one another.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank, count = (_whole(environment, name) for name in ("RANK", "WORLD_SIZE"))
        local_rank = _whole(environment, "LOCAL_RANK", 0)
        return Shard(rank + 1, count, "RANK and WORLD_SIZE", local_rank)
    task, tasks, local_rank = _slurm_task(environment)
    element, elements = _slurm_array(environment)
    if tasks * elements == 1:
        return Shard()
    return Shard(element * tasks + task + 1, elements * tasks, "SLURM's variables", local_rank)


def _slurm_task(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """The task among those of one `srun`: its number, how many, its number on this machine."""
    in_batch_script = "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment
    if in_batch_script or "SLURM_PROCID" not in environment:
        return 0, 1, 0
    tasks = _whole(environment, "SLURM_STEP_NUM_TASKS", _whole(environment, "SLURM_NTASKS", 1))
    return _whole(environment, "SLURM_PROCID"), tasks, _whole(environment, "SLURM_LOCALID", 0)


def _slurm_array(environment: Mapping[str, str]) -> tuple[int, int]:
    """The element of a job array and how many it has: `--array=2-8:2` has 4, 6 is the third."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return 0, 1
    first, last, step = (
        _whole(environment, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("MIN", None), ("MAX", None), ("STEP", 1))
    )
    element, rest = divmod(_whole(environment, "SLURM_ARRAY_TASK_ID") - first, max(step, 1))
    elements = (last - first) // max(step, 1) + 1
    if rest or _whole(environment, "SLURM_ARRAY_TASK_COUNT", elements) != elements:
        raise InputError(
            "The elements of the SLURM job array are not evenly spaced.",
            "Use an array such as --array=1-8, or say --shard.",
        )
    return element, elements


def _whole(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        raise InputError(
            f"The environment variable {name} is {text!r}, not a whole number.",
            "Unset it, or say --shard.",
        )
    return int(text)
