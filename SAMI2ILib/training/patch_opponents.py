"""The opponents of the compared systems: PatchGANs, and for CycleGAN the way back as well."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from SAMI2ILib.baselines import Generator, PatchGan, Pix2PixConfig
from SAMI2ILib.training.adversarial import discriminator_loss, generator_loss
from SAMI2ILib.training.baseline_networks import BaselineTranslator
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_rules import generator_config
from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.image_pool import ImagePool


class _Judges:
    """PatchGANs with their optimizer.

    Args:
        judges: By name.
        config: Its discriminator; the first weights are drawn from its seed.
        device: torch's name of it.
        dtype: Of the matrix products.
    """

    def __init__(
        self, judges: dict[str, PatchGan], config: TrainingConfig, device: str, dtype: torch.dtype
    ) -> None:
        self._options, self._device, self._dtype = config.discriminator, device, dtype
        self._judges = nn.ModuleDict(judges).to(device)
        self.parameters = list(self._judges.parameters())
        first, second = self._options.betas
        self._optimizer = torch.optim.Adam(
            self.parameters, lr=self._options.learning_rate, betas=(first, second)
        )

    def step(self, counts: Tensor, rate_factor: float, world: World) -> None:
        """Change the judges by the gradients of all processes.

        Args:
            counts: (T,) crops that have each target, in the batches of all processes together;
                the judges of a target that none has stay as they are.
            rate_factor: Part of the peak learning rate.
            world: Whose gradients are added up.
        """
        world.sum_gradients(self.parameters)
        of_each_target = len(self._judges) // len(counts)
        for number, judge in enumerate(self._judges.values()):
            if not counts[number // of_each_target]:
                judge.zero_grad(set_to_none=True)
        for group in self._optimizer.param_groups:
            group["lr"] = rate_factor * self._options.learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"judges": self._judges.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave."""
        self._judges.load_state_dict(content["judges"])
        self._optimizer.load_state_dict(content["optimizer"])

    def _learn(self, learn: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(learn)

    def _judge(self, name: str, images: Tensor) -> list[Tensor]:
        with self._autocast():
            return [self._judges[name](images)]

    def _fooling(self, name: str, fake: Tensor) -> Tensor:
        """(B,) what a generator pays for being found out."""
        return generator_loss(self._options.loss, self._judge(name, fake))

    def _judging(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        """(B,) what the judge pays, halved so that it learns slowly beside the generator."""
        levels = self._judge(name, real), self._judge(name, fake)
        return discriminator_loss(self._options.loss, *levels) / 2

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self._device).type
        return torch.autocast(kind, self._dtype, self._dtype != torch.float32)


class PatchOpponent(_Judges):
    """Judges each target together with the source that it was translated from.

    Args:
        config: Its discriminator, targets and `baseline`.
        device: torch's name of it.
        dtype: Of the matrix products.

    Source:
        Pix2Pix, arXiv 1611.07004, Eq. 1 and Sec. 6.2; ResViT, arXiv 2106.16031, Eq. 9.
    """

    terms = ("adversarial", "discriminator")

    def __init__(
        self, config: TrainingConfig, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        torch.manual_seed(config.seed)
        sizes = generator_config(config)
        alone = isinstance(sizes, Pix2PixConfig) and sizes.instance_norm
        channels, width = config.context_slices + 1, config.baseline.judge_width
        judges = {t: PatchGan(channels, width, instance_norm=alone) for t in config.targets}
        super().__init__(judges, config, device, dtype)

    def generator_terms(self, prediction: Tensor, crops: Crops) -> dict[str, Tensor]:
        """As in `Opponent.generator_terms`."""
        self._learn(False)
        losses = torch.zeros(prediction.shape[:2], device=prediction.device)
        for n, name in enumerate(self._judges):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if len(rows):
                loss = self._fooling(name, _with_source(prediction, crops, n)[rows])
                losses[:, n] = torch.zeros_like(losses[:, n]).index_copy(0, rows, loss)
        return {"adversarial": losses}

    def backward(self, prediction: Tensor, crops: Crops, weights: Tensor) -> Tensor:
        """As in `Opponent.backward`."""
        self._learn(True)
        prediction = prediction.detach()
        losses = torch.zeros(prediction.shape[:2], device=prediction.device)
        for n, name in enumerate(self._judges):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if len(rows):
                real = _with_source(crops.targets, crops, n)[rows]
                fake = _with_source(prediction, crops, n)[rows]
                loss = self._judging(name, real, fake)
                (loss * weights[rows, n]).sum().backward()  # type: ignore[no-untyped-call]
                losses[rows, n] = loss.detach()
        return losses


class CycleOpponent(_Judges):
    """Judges both directions, and asks that there and back again changes nothing.

    Args:
        config: Its discriminator, targets and `baseline`.
        network: Whose generators it leads there and back; their optimizer is the session's.
        device: torch's name of it.
        dtype: Of the matrix products.

    Source:
        CycleGAN, arXiv 1703.10593, Eq. 1 to 3, Sec. 4 and 5.2.
    """

    terms = ("adversarial", "cycle", "identity", "discriminator")

    def __init__(
        self,
        config: TrainingConfig,
        network: BaselineTranslator,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.manual_seed(config.seed)
        names = [f"{side}_{target}" for target in config.targets for side in ("target", "source")]
        width = config.baseline.judge_width
        judges = {name: PatchGan(1, width, affine=False) for name in names}
        super().__init__(judges, config, device, dtype)
        self._network, self._targets = network, config.targets
        self._pools = {name: ImagePool(config.baseline.pool) for name in names}
        self._fakes: dict[str, Tensor] = {}

    def generator_terms(self, prediction: Tensor, crops: Crops) -> dict[str, Tensor]:
        """What both generators pay: for being found out, for the cycles, and for the identity.

        Args:
            prediction: (B, T, S, S) in [0, 1], with its graph.
            crops: Of the same size; source and targets need not be of the same slice.

        Returns:
            By name: (B, T) float32, 0 for a target that a crop does not have.
        """
        self._learn(False)
        self._fakes.clear()
        losses = torch.zeros(3, *prediction.shape[:2], device=prediction.device)
        for n, target in enumerate(self._targets):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if len(rows):
                terms = self._both_ways(target, prediction[rows, n : n + 1], crops, rows, n)
                losses[:, :, n] = torch.zeros_like(losses[:, :, n]).index_copy(1, rows, terms)
        return dict(zip(("adversarial", "cycle", "identity"), losses, strict=True))

    def backward(self, prediction: Tensor, crops: Crops, weights: Tensor) -> Tensor:
        """As in `Opponent.backward`; follows `generator_terms` of the same crops."""
        self._learn(True)
        losses = torch.zeros(prediction.shape[:2], device=prediction.device)
        for n, target in enumerate(self._targets):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if not len(rows):
                continue
            real = {
                f"target_{target}": crops.targets[rows, n : n + 1],
                f"source_{target}": crops.source[rows],
            }
            for row, name in enumerate(real):
                fake = self._pools[name].exchange(self._fakes[name], crops.draws[rows, row])
                loss = self._judging(name, real[name], fake)
                (loss * weights[rows, n]).sum().backward()  # type: ignore[no-untyped-call]
                losses[rows, n] += loss.detach()
        return losses

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps, the remembered images with it."""
        return super().content() | {"pools": {n: p.images for n, p in self._pools.items()}}

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave."""
        super().load(content)
        for name, images in content["pools"].items():
            self._pools[name].images = images.to(self._device)

    def _both_ways(self, target: str, fake: Tensor, crops: Crops, rows: Tensor, n: int) -> Tensor:
        """(3, rows) adversarial, cycle and identity losses of the crops that have a target."""
        there = cast(Generator, self._network.generators[target])
        back = cast(Generator, self._network.returns[target])
        source, real = crops.source[rows], crops.targets[rows, n : n + 1]
        with self._autocast():
            fake_source = back(real)
            cycle = _distance(back(fake), source) + _distance(there(fake_source), real)
            identity = _distance(there(real), real) + _distance(back(source), source)
        names = f"target_{target}", f"source_{target}"
        fooling = self._fooling(names[0], fake) + self._fooling(names[1], fake_source)
        self._fakes |= dict(zip(names, (fake.detach(), fake_source.detach()), strict=True))
        return torch.stack([fooling, cycle, identity])


def _with_source(images: Tensor, crops: Crops, target: int) -> Tensor:
    """(B, C + 1, S, S): the source, and a target as black as the real one where it is unknown."""
    chosen = slice(target, target + 1)
    return torch.cat([crops.source, images[:, chosen].float() * crops.valid[:, chosen]], dim=1)


def _distance(images: Tensor, others: Tensor) -> Tensor:
    return (images.float() - others).abs().mean(dim=(1, 2, 3))
