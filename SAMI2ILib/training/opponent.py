"""The opponent of an adversarial training: a discriminator a target, and their optimizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from SAMI2ILib.models.clip import load_clip
from SAMI2ILib.models.diff_augment import diff_augment
from SAMI2ILib.models.discriminator import Discriminator
from SAMI2ILib.training.adversarial import discriminator_loss, generator_loss
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.starting_weights import clip_of

_REAL, _FAKE, _FAKE_AGAIN = range(3)  # rows of `Crops.draws`


class Adversary(Protocol):
    """What a session asks of any opponent; the words are those of `Opponent`."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of what it measures, in the session's words."""

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """All that it trains."""

    def generator_terms(self, prediction: Tensor, crops: Crops) -> dict[str, Tensor]:
        """What the generator pays, by the name of the term."""

    def backward(self, prediction: Tensor, crops: Crops, weights: Tensor) -> Tensor:
        """Add the opponent's own gradients."""

    def step(self, counts: Tensor, rate_factor: float, world: World) -> None:
        """Change the opponent by its gradients."""

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps."""

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave."""


class Opponent:
    """Judges slices for the generator, and learns from each batch itself.

    Args:
        config: Its discriminator and targets; the heads' first weights are drawn from its seed.
        checkpoint: The weights of CLIP, which all targets share.
        device: torch's name of it.
        dtype: Of the matrix products.

    Raises:
        InputError: The CLIP is no transformer, or lacks a tap.
        ModelError: The file holds another network.
    """

    terms = ("adversarial", "discriminator")

    def __init__(
        self,
        config: TrainingConfig,
        checkpoint: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._options, self._dtype = config.discriminator, dtype
        torch.manual_seed(config.seed)
        clip = load_clip(checkpoint, clip_of(self._options.clip))
        judges = (Discriminator(clip, self._options.taps) for _ in config.targets)
        self._judges = nn.ModuleList(judges).to(device)
        # In training mode each call of a layer would improve its spectral norm: the norm would
        # depend on how a batch is divided. `_improve_norms` does it once a step instead.
        self._judges.eval()
        self.parameters = [
            parameter for judge in self._each() for parameter in judge.head_parameters()
        ]
        self._optimizer = torch.optim.Adam(
            self.parameters, lr=self._options.learning_rate, betas=self._betas
        )

    @property
    def _betas(self) -> tuple[float, float]:
        first, second = self._options.betas
        return first, second

    def generator_terms(self, prediction: Tensor, crops: Crops) -> dict[str, Tensor]:
        """What the generator pays for being found out; the gradient runs through CLIP into it.

        Args:
            prediction: (B, T, S, S) in [0, 1], with its graph.
            crops: Of the same size.

        Returns:
            By name: (B, T) float32, 0 for a target that a crop does not have.
        """
        self._learn(False)
        losses = torch.zeros(prediction.shape[:2], device=prediction.device)
        for n, judge in enumerate(self._each()):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if len(rows):
                fake = self._augment(self._seen(prediction, crops, n), crops, _FAKE_AGAIN)
                loss = generator_loss(self._options.loss, self._judge(judge, fake[rows]))
                losses[:, n] = torch.zeros_like(losses[:, n]).index_copy(0, rows, loss)
        return {"adversarial": losses}

    def backward(self, prediction: Tensor, crops: Crops, weights: Tensor) -> Tensor:
        """Add the gradients of telling real from translated slices to those of the heads.

        Args:
            prediction: (B, T, S, S) in [0, 1]; its graph is not touched.
            crops: Of the same size.
            weights: (B, T), how much each crop counts; 0 for a target that it does not have.

        Returns:
            (B, T) float32, the losses without a graph.
        """
        self._learn(True)
        prediction = prediction.detach()
        losses = torch.zeros(prediction.shape[:2], device=prediction.device)
        for n, judge in enumerate(self._each()):
            rows = crops.has_target[:, n].nonzero()[:, 0]
            if not len(rows):
                continue
            real = self._augment(crops.targets[:, n : n + 1], crops, _REAL)[rows]
            fake = self._augment(self._seen(prediction, crops, n), crops, _FAKE)[rows]
            levels = [level.chunk(2) for level in self._judge(judge, torch.cat([real, fake]))]
            loss = discriminator_loss(
                self._options.loss, [level[0] for level in levels], [level[1] for level in levels]
            )
            (loss * weights[rows, n]).sum().backward()  # type: ignore[no-untyped-call]
            losses[rows, n] = loss.detach()
        return losses

    def step(self, counts: Tensor, rate_factor: float, world: World) -> None:
        """Change the heads by the gradients of all processes.

        Args:
            counts: (T,) crops that have each target, in the batches of all processes together;
                the heads of a target that none has stay as they are.
            rate_factor: Part of the peak learning rate.
            world: Whose gradients are added up.
        """
        world.sum_gradients(self.parameters)
        for judge, count in zip(self._each(), counts.tolist(), strict=True):
            if not count:
                for parameter in judge.head_parameters():
                    parameter.grad = None
        for group in self._optimizer.param_groups:
            group["lr"] = rate_factor * self._options.learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._improve_norms()

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps: the heads and the optimizer, without CLIP."""
        state = self._judges.state_dict()
        return {
            "heads": {name: value for name, value in state.items() if ".clip." not in name},
            "optimizer": self._optimizer.state_dict(),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Go on from what `content` gave."""
        clip = {n: v for n, v in self._judges.state_dict().items() if ".clip." in n}
        self._judges.load_state_dict(clip | content["heads"])
        self._optimizer.load_state_dict(content["optimizer"])

    def _each(self) -> list[Discriminator]:
        return [cast(Discriminator, judge) for judge in self._judges]

    def _judge(self, judge: Discriminator, images: Tensor) -> list[Tensor]:
        mixed = self._dtype != torch.float32
        with torch.autocast(images.device.type, self._dtype, mixed):
            levels: list[Tensor] = judge(images)
        return levels

    def _learn(self, learn: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(learn)

    def _seen(self, prediction: Tensor, crops: Crops, target: int) -> Tensor:
        """A translated target, as black as the real one where that does not count."""
        chosen = slice(target, target + 1)
        return prediction[:, chosen].float() * crops.valid[:, chosen]

    def _augment(self, images: Tensor, crops: Crops, row: int) -> Tensor:
        return diff_augment(images, crops.draws[:, row], self._options.augment)

    @torch.no_grad()
    def _improve_norms(self) -> None:
        """One step of the power iteration behind each spectral norm."""
        for layer in self._judges.modules():
            if is_parametrized(layer, "weight"):
                layer.parametrizations.train()  # type: ignore[union-attr]
                _ = layer.weight
                layer.parametrizations.eval()  # type: ignore[union-attr]
