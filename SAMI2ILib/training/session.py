"""All that changes during a run: network, opponent, optimizers, average; and how one step goes."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from SAMI2ILib.models import load_strictly
from SAMI2ILib.training.average import WeightAverage
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.losses import absolute_error, dissimilarity
from SAMI2ILib.training.networks import JointTranslator, build_network
from SAMI2ILib.training.opponent import Opponent
from SAMI2ILib.training.starting_weights import StartingWeights

TRUNK = "encoder.trunk."
"""What the names of the trunk's weights begin with."""

TERMS = ("l1", "ssim", "adversarial", "discriminator")
"""What a step measures of each target: the generator's three losses, and the discriminator's."""


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
        self.network = build_network(config, weights).to(device)
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
        self.opponent: Opponent | None = None
        if plan.adversarial and weights.discriminator is not None:
            self.opponent = Opponent(config, weights.discriminator, device, dtype)
        self._forward: nn.Module = self.network
        if self.world.size > 1:
            self._forward = DistributedDataParallel(self.network, broadcast_buffers=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """Those of `TERMS` that this run has."""
        plan = self.config.optimization
        on = (True, plan.ssim > 0, self.opponent is not None, self.opponent is not None)
        return tuple(term for term, is_on in zip(TERMS, on, strict=True) if is_on)

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
                # the processes' gradients are averaged, but the weights want their sum
                self._objective(losses, weights).mul(self.world.size).backward()  # type: ignore[no-untyped-call]
            if self.opponent is not None:
                losses[-1] = self.opponent.backward(prediction, crops, weights)
            sums += torch.stack([term.detach().sum(dim=0) for term in losses])
        self._descend(counts, rate_factor)
        return sums

    def translate(self, source: Tensor) -> Tensor:
        """Translate slices without training: (B, C, H, W) becomes (B, T, H, W) in [0, 1]."""
        return self._run(self.network, source, None)

    @contextlib.contextmanager
    def exported_weights(self) -> Iterator[JointTranslator]:
        """Give the network as it would be exported now: with its averaged weights, if there are."""
        with self.average.applied() if self.average else contextlib.nullcontext():
            yield self.network

    def trained_weights(self) -> dict[str, Tensor]:
        """The network's weights by their names, without those of a frozen encoder."""
        state = self.network.state_dict()
        if not self.network.encoder.frozen:
            return state
        return {name: value for name, value in state.items() if not name.startswith(TRUNK)}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over what `trained_weights` gave.

        Raises:
            ModelError: They are of another network; nothing is changed.
        """
        kept = self.network.state_dict() if self.network.encoder.frozen else {}
        frozen = {name: value for name, value in kept.items() if name.startswith(TRUNK)}
        load_strictly(self.network, frozen | weights, "trained")

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps of the session."""
        return {
            "network": self.trained_weights(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.tensors,
            "opponent": None if self.opponent is None else self.opponent.content(),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave, bit for bit."""
        self.load_weights(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.average is not None:
            self.average.load(content["average"])
        if self.opponent is not None:
            self.opponent.load(content["opponent"])

    def _run(self, network: nn.Module, source: Tensor, wanted: Tensor | None) -> Tensor:
        if self.config.channels_last:
            source = source.contiguous(memory_format=torch.channels_last)
        mixed = self.dtype != torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype, mixed):
            output: Tensor = network(source, wanted)
        return output

    def _losses(self, prediction: Tensor, crops: Crops) -> list[Tensor]:
        """Each of `TERMS` as (B, T), 0 where it is not part of the run."""
        zero = torch.zeros(prediction.shape[:2], device=prediction.device)
        l1 = absolute_error(prediction, crops)
        ssim = dissimilarity(prediction, crops) if self.config.optimization.ssim else zero
        fooling = zero
        if self.opponent is not None:
            fooling = self.opponent.generator_losses(prediction, crops)
        return [l1, ssim, fooling, zero]

    def _objective(self, losses: Sequence[Tensor], weights: Tensor) -> Tensor:
        plan = self.config.optimization
        l1, ssim, fooling = (loss * weights for loss in losses[:3])
        total = plan.l1 * l1 + plan.ssim * ssim + plan.adversarial * fooling
        return total.sum() / len(self.config.targets)

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
        for target, count in zip(self.config.targets, counts.tolist(), strict=True):
            if not count:  # several processes have made zeros, by which momentum would go on
                _forget(self.network.translator(target).decoder.parameters())
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
