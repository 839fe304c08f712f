"""One training on several processes: who this one is, and sums over all of them."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed, nn

from SAMI2ILib.errors import InputError

LONGEST_WAIT: Final = timedelta(hours=1)
"""For what the others do alone: a download, a slow disk, the last subject of a validation. After
nccl's own ten minutes a run that is well would be ended; one whose process dies torchrun ends."""


@dataclass(frozen=True)
class World:
    """The processes of a run; a single one where nothing was said.

    Attributes:
        rank: Which process this is, counted from 0.
        size: How many there are.
        local_rank: Which process on its machine: the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and speaks to the user."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all processes; it is changed in place and returned."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            distributed.barrier()

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes, in one message."""
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        for parameter, total in zip(parameters, self._sum_all(gradients), strict=True):
            parameter.grad = total

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the mean of theirs, in one message; the tensors are changed."""
        if self.size == 1 or not tensors:
            return
        for tensor, total in zip(tensors, self._sum_all(tensors), strict=True):
            tensor.copy_(total / self.size)

    def _sum_all(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        flat = self.sum(torch.cat([tensor.flatten() for tensor in tensors]))
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor).clone() for part, tensor in zip(parts, tensors, strict=True)]


def world_of_environment(environment: Mapping[str, str] | None = None) -> World:
    """Read from the environment, as `torchrun` sets it, which process this is.

    Args:
        environment: `os.environ` when None.

    Raises:
        InputError: The variables are no numbers, or contradict each other.
    """
    found = os.environ if environment is None else environment
    if "WORLD_SIZE" not in found:
        return World()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        rank, size, local_rank = (int(found[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise _wrong_environment(found) from error
    if not 0 <= rank < size or local_rank < 0:
        raise _wrong_environment(found)
    return World(rank, size, local_rank)


@contextlib.contextmanager
def connected(world: World, device: str) -> Iterator[World]:
    """Connect the processes of a world for the length of a block.

    Args:
        world: Where there is one process only, nothing happens.
        device: Decides how they talk: nccl between CUDA devices, gloo between CPUs.
    """
    if world.size == 1:
        yield world
        return
    own_gpu = torch.device(device) if device.startswith("cuda") else None
    if own_gpu is not None:
        torch.cuda.set_device(own_gpu)
    from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

    backend = "nccl" if own_gpu is not None else "gloo"
    # torchrun keeps one store over its restarts: without a prefix of its own, a new process may
    # read there the address of one that has died.
    store, rank, size = next(rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = PrefixStore(f"sami2i-attempt-{attempt}", store)
    distributed.init_process_group(
        backend,
        timeout=LONGEST_WAIT,
        store=store,
        rank=rank,
        world_size=size,
        device_id=own_gpu,  # or a barrier guesses the GPU from the rank
    )
    try:
        yield world
        # A process that ends while a thread of gloo still lets go of a tensor is aborted: such a
        # thread needs the interpreter. A barrier is the last message, and holds no tensor.
        world.wait()
    finally:
        distributed.destroy_process_group()


def _wrong_environment(found: Mapping[str, str]) -> InputError:
    said = ", ".join(f"{n}={found.get(n, '')}" for n in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return InputError(
        f"The environment describes no process of a group: {said}.",
        "Start with torchrun, or unset WORLD_SIZE for a single process.",
    )
