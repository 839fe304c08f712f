"""An exponential average of the weights beside the training."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The average of a network's trained parameters; frozen ones stay the network's own.

    Args:
        network: The average begins at its weights.
        decay: Part of the old average that a step keeps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.tensors = {n: p.detach().clone() for n, p in self._parameters.items()}
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """Take in the weights after a step."""
        self._average(list(self.tensors.values()), list(self._parameters.values()), 0)

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

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from the `tensors` of an earlier average of the same network."""
        _copy(tensors, self.tensors)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], destination: Mapping[str, Tensor]) -> None:
    for name, tensor in destination.items():
        tensor.copy_(source[name])
