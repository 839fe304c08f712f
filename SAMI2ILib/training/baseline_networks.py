"""The generators of a compared system, one for each target: what is trained together."""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from SAMI2ILib.baselines import Generator, ResVit, build_generator
from SAMI2ILib.baselines.imagenet import load_imagenet
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_rules import generator_config
from SAMI2ILib.training.starting_weights import StartingWeights


class BaselineTranslator(nn.Module):
    """Translates one source into several targets, by a generator for each.

    Args:
        generators: By target.
        returns: By target, from there back to the source; only CycleGAN has them.
        first_stage: Part of the budget that ResViT trains without its transformer.
    """

    frozen_prefix = ""

    def __init__(
        self,
        generators: Mapping[str, Generator],
        returns: Mapping[str, Generator] | None = None,
        first_stage: float = 0.0,
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleDict(generators)
        self.returns = nn.ModuleDict(returns or {})
        self._first_stage = first_stage

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return self._each()[0].size_multiple

    def forward(self, source: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            source: (B, C, H, W) float32 in [0, 1].
            wanted: (B, T) bool, which target is needed of which source; the others are not
                computed and stay 0. None needs all.

        Returns:
            (B, T, H, W) float32 in [0, 1], the targets in the order of the generators.
        """
        outputs = []
        for n, generator in enumerate(self._each()):
            output = torch.zeros_like(source[:, :1], dtype=torch.float32)
            rows = torch.arange(len(source), device=source.device)
            if wanted is not None:
                rows = wanted[:, n].nonzero()[:, 0]
            if len(rows):
                output = output.index_copy(0, rows, generator(source[rows]))
            outputs.append(output)
        return torch.cat(outputs, dim=1)

    def translator(self, target: str) -> Generator:
        """The generator of one target as it is now: ResViT's first stage has no transformer."""
        generator = cast(Generator, self.generators[target])
        if isinstance(generator, ResVit) and not generator.uses_transformer:
            return generator.without_transformer()
        return generator

    def begin_at(self, means: Mapping[str, float]) -> None:
        """Nothing: these systems begin as their papers say."""

    def of_target(self, target: str) -> Iterator[nn.Parameter]:
        """What is trained for one target alone."""
        yield from self.generators[target].parameters()
        if target in self.returns:
            yield from self.returns[target].parameters()

    def enter(self, spent: float) -> None:
        """Go to the stage of a part of the budget that is spent."""
        for generator in self._each():
            if isinstance(generator, ResVit):
                generator.learn_transformer(spent >= self._first_stage)

    def _each(self) -> list[Generator]:
        return [cast(Generator, generator) for generator in self.generators.values()]


def build_baseline(config: TrainingConfig, weights: StartingWeights) -> BaselineTranslator:
    """Build the generators of a configuration with their first weights, drawn from `config.seed`.

    Args:
        config: Its family, sizes and targets.
        weights: The file that ResViT's transformer starts from.

    Raises:
        InputError: A size is unknown or not allowed.
        ModelError: The file holds another transformer.
    """
    torch.manual_seed(config.seed)
    sizes = generator_config(config)
    generators = {target: build_generator(sizes) for target in config.targets}
    returns = {}
    if config.family == "cyclegan":
        returns = {target: build_generator(sizes) for target in config.targets}
    for generator in generators.values():
        if isinstance(generator, ResVit) and weights.encoder is not None:
            load_imagenet(generator, weights.encoder)
    return BaselineTranslator(generators, returns, config.baseline.first_stage)
