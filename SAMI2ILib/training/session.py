"""All that changes during a run: network, opponent, optimizers, average; and how one step goes."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from SAMI2ILib.models import load_strictly
from SAMI2ILib.training.average import WeightAverage
from SAMI2ILib.training.baseline_networks import BaselineTranslator, build_baseline
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.losses import absolute_error, dissimilarity
from SAMI2ILib.training.networks import JointTranslator, build_network
from SAMI2ILib.training.opponent import Adversary, Opponent
from SAMI2ILib.training.patch_opponents import CycleOpponent, PatchOpponent
from SAMI2ILib.training.starting_weights import StartingWeights

Network = JointTranslator | BaselineTranslator
"""What is trained: SAM-I2I, or a system that it is compared with."""

TERMS = ("l1", "ssim", "adversarial", "cycle", "identity", "discriminator")
"""What a step measures of each target: the generator's losses, and the discriminator's."""


class Session:
    """A training that is under way.

    Args:
        config: The recipe.
        weights: The files that it starts from.
        device: torch's name of where it runs.
        dtype: Of the matrix products; parameters, losses and optimizers stay float32.
        world: Which process of how many.
    """

    def __init__(
        self,
        config: TrainingConfig,
        weights: StartingWeights,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        world: World | None = None,
    ) -> None:
        plan = config.optimization
        self.config, self.device, self.dtype = config, device, dtype
        self.world = world or World()
        self.network = _build_network(config, weights).to(device)
        if config.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if config.compile:
            self.network.compile()
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained,
            lr=plan.learning_rate,
            betas=(plan.betas[0], plan.betas[1]),
            weight_decay=plan.weight_decay,
        )
        self.average = WeightAverage(self.network, plan.ema) if plan.ema else None
        self.opponent = _find_opponent(config, weights, self.network, device, dtype)
        self._forward: nn.Module = self.network
        if self.world.size > 1 and isinstance(self.network, JointTranslator):
            self._forward = DistributedDataParallel(self.network, broadcast_buffers=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """Those of `TERMS` that this run has."""
        on = {"ssim"} if self.config.optimization.ssim else set()
        if not self.config.is_unpaired:
            on.add("l1")
        if self.opponent is not None:
            on.update(self.opponent.terms)
        return tuple(term for term in TERMS if term in on)

    def enter(self, step: int, spent: float) -> None:
        """Prepare for a step, so that a resumed run takes it as an uninterrupted one does.

        Args:
            step: Counted from 0.
            spent: Part of the budget that is spent; decides the stage.
        """
        self.network.enter(spent)
        if self.config.is_baseline:  # dropout
            drawn = np.random.SeedSequence((self.config.seed, step, self.world.rank))
            torch.manual_seed(int(drawn.generate_state(1)[0]))

    def step(self, parts: Sequence[Crops], counts: Tensor, rate_factor: float) -> Tensor:
        """Take one optimizer step.

        Args:
            parts: The micro-batches of this process.
            counts: (T,) crops that have each target, in the batches of all processes together.
            rate_factor: Part of the peak learning rates.

        Returns:
            (len(TERMS), T) float32: sums of each term over the crops of this process.
        """
        sums = torch.zeros(len(TERMS), len(self.config.targets), device=self.device)
        if not counts.any():  # no crop of this batch has any target: there is nothing to learn
            return sums
        for number, part in enumerate(parts):
            crops = part.to(self.device)
            weights = crops.has_target / counts.clamp(min=1)  # (B, T); 1 in all over the batch
            with self._communication(is_last=number == len(parts) - 1):
                # With several processes each decoder takes part in each step, or one would wait
                # for gradients that never come.
                wanted = crops.has_target if self.world.size == 1 else None
                prediction = self._run(self._forward, crops.source, wanted)
                losses = self._losses(prediction, crops)
                objective = self._objective(losses, weights)
                if isinstance(self._forward, DistributedDataParallel):
                    # it averages the processes' gradients, but the weights want their sum
                    objective = objective * self.world.size
                objective.backward()  # type: ignore[no-untyped-call]
            if self.opponent is not None:
                losses["discriminator"] = self.opponent.backward(prediction, crops, weights)
            for number_of_term, term in enumerate(TERMS):
                if term in losses:
                    sums[number_of_term] += losses[term].detach().sum(dim=0)
        self._descend(counts, rate_factor)
        return sums

    def translate(self, source: Tensor) -> Tensor:
        """Translate slices without training: (B, C, H, W) becomes (B, T, H, W) in [0, 1]."""
        return self._run(self.network, source, None)

    def average_statistics(self) -> None:
        """Let all processes have the mean of their running averages of batch norm.

        By these a network is measured, kept and exported; in training none is used.
        """
        norms = [m for m in self.network.modules() if isinstance(m, _BatchNorm) and m.training]
        running = [(norm.running_mean, norm.running_var) for norm in norms]
        self.world.average([tensor for pair in running for tensor in pair if tensor is not None])

    @contextlib.contextmanager
    def exported_weights(self) -> Iterator[Network]:
        """Give the network as it would be exported now: with its averaged weights, if there are."""
        with self.average.applied() if self.average else contextlib.nullcontext():
            yield self.network

    def trained_weights(self) -> dict[str, Tensor]:
        """The network's weights by their names, without those of a frozen encoder."""
        state, frozen = self.network.state_dict(), self.network.frozen_prefix
        if not frozen:
            return state
        return {name: value for name, value in state.items() if not name.startswith(frozen)}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over what `trained_weights` gave.

        Raises:
            ModelError: They are of another network; nothing is changed.
        """
        prefix = self.network.frozen_prefix
        kept = self.network.state_dict() if prefix else {}
        frozen = {name: value for name, value in kept.items() if name.startswith(prefix)}
        load_strictly(self.network, frozen | weights, "trained")

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps of the session."""
        return {
            "network": self.trained_weights(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.tensors,
            "averaged_steps": 0 if self.average is None else self.average.steps,
            "opponent": None if self.opponent is None else self.opponent.content(),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave, bit for bit."""
        self.load_weights(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.average is not None:
            # A checkpoint of an earlier version, which does not count them, decayed as it was told.
            self.average.load(content["average"], content.get("averaged_steps", sys.maxsize))
        if self.opponent is not None:
            self.opponent.load(content["opponent"])

    def _run(self, network: nn.Module, source: Tensor, wanted: Tensor | None) -> Tensor:
        if self.config.channels_last:
            source = source.contiguous(memory_format=torch.channels_last)
        mixed = self.dtype != torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype, mixed):
            output: Tensor = network(source, wanted)
        return output

    def _losses(self, prediction: Tensor, crops: Crops) -> dict[str, Tensor]:
        """The generator's terms that are part of the run, each (B, T)."""
        losses = {}
        if not self.config.is_unpaired:
            losses["l1"] = absolute_error(prediction, crops)
        if self.config.optimization.ssim:
            losses["ssim"] = dissimilarity(prediction, crops)
        if self.opponent is not None:
            losses |= self.opponent.generator_terms(prediction, crops)
        return losses

    def _objective(self, losses: Mapping[str, Tensor], weights: Tensor) -> Tensor:
        plan, baseline = self.config.optimization, self.config.baseline
        factors = {
            "l1": plan.l1,
            "ssim": plan.ssim,
            "adversarial": plan.adversarial,
            "cycle": baseline.cycle,
            "identity": baseline.identity,
        }
        total = sum((factors[t] * loss for t, loss in losses.items()), torch.zeros_like(weights))
        return (total * weights).sum() / len(self.config.targets)

    @contextlib.contextmanager
    def _communication(self, is_last: bool) -> Iterator[None]:
        """Exchange gradients with the other processes in the last micro-batch only."""
        forward = self._forward
        if isinstance(forward, DistributedDataParallel) and not is_last:
            with forward.no_sync():
                yield
        else:
            yield

    def _descend(self, counts: Tensor, rate_factor: float) -> None:
        plan = self.config.optimization
        if self.world.size > 1 and isinstance(self.network, BaselineTranslator):
            self.world.sum_gradients([p for p in self.trained if p.requires_grad])
        for target, count in zip(self.config.targets, counts.tolist(), strict=True):
            if not count:  # several processes have made zeros, by which momentum would go on
                _forget(self.network.of_target(target))
        if plan.clip:
            nn.utils.clip_grad_norm_(self.trained, plan.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_factor * plan.learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.opponent is not None:
            self.opponent.step(counts, rate_factor, self.world)
        if self.average is not None:
            self.average.update()


def _forget(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None


def _build_network(config: TrainingConfig, weights: StartingWeights) -> Network:
    return build_baseline(config, weights) if config.is_baseline else build_network(config, weights)


def _find_opponent(
    config: TrainingConfig,
    weights: StartingWeights,
    network: Network,
    device: str,
    dtype: torch.dtype,
) -> Adversary | None:
    """The opponent of a family; None where it has none, or the configuration wants none."""
    if isinstance(network, BaselineTranslator):
        if config.family == "cyclegan":
            return CycleOpponent(config, network, device, dtype)
        return PatchOpponent(config, device, dtype) if config.optimization.adversarial else None
    if config.optimization.adversarial and weights.discriminator is not None:
        return Opponent(config, weights.discriminator, device, dtype)
    return None
