"""An exponential average of the weights beside the training."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

# A new step counts at least as much as in a mean that weighs the n-th step by n squared.
_LEAST_PART = 3


class WeightAverage:
    """The average of a network's trained parameters; frozen ones stay the network's own.

    With a fixed decay of 0.998, a run of 400 steps would end with 45 % of what it began with. So
    step n keeps no more than n / (n + 3) of the average, which then is never older than a quarter
    of the run; in a long one the decay's own memory, 1 / (1 - decay) steps, is shorter [ours].

    Args:
        network: The average begins at its weights.
        decay: Largest part of the old average that a step keeps.

    Attributes:
        steps: How many it has taken in.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.tensors = {n: p.detach().clone() for n, p in self._parameters.items()}
        self.steps, self._decay = 0, decay

    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        kept = min(self._decay, self.steps / (self.steps + _LEAST_PART))
        average = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
        average(list(self.tensors.values()), list(self._parameters.values()), 0)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the averaged weights for the length of a block."""
        current = {n: p.detach().clone() for n, p in self._parameters.items()}
        self.copy_to_network()
        try:
            yield
        finally:
            _copy(current, self._parameters)

    def copy_to_network(self) -> None:
        """Let the network have the averaged weights for good."""
        _copy(self.tensors, self._parameters)

    def load(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Go on from the `tensors` and `steps` of an earlier average of the same network."""
        _copy(tensors, self.tensors)
        self.steps = steps


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], destination: Mapping[str, Tensor]) -> None:
    for name, tensor in destination.items():
        tensor.copy_(source[name])
