"""The adversarial losses: what the discriminator and the generator each want of the logits."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

ADVERSARIAL_LOSSES = ("nonsaturating", "minimax", "hinge", "least-squares")
"""By name: the discriminator's cross-entropy with the non-saturating generator, with the literal
minimax of Eq. 2, the hinge losses, or the squared distances to 1 and 0."""


def discriminator_loss(kind: str, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """What the discriminator minimizes: real logits up, fake ones down.

    Args:
        kind: One of `ADVERSARIAL_LOSSES`.
        real: A tensor of logits a level, each (B, ...).
        fake: The same of the generator's images, detached from it.

    Returns:
        (B,) float: the mean over the positions of a level, then over the levels.

    Source:
        SAM-I2I, Eq. 2. Differs: the levels are averaged, or they would outweigh 50 x L1.
    """
    if kind == "hinge":
        return _levels(real, lambda x: F.relu(1 - x)) + _levels(fake, lambda x: F.relu(1 + x))
    if kind == "least-squares":
        return _levels(real, lambda x: (x - 1) ** 2) + _levels(fake, torch.square)
    return _levels(real, lambda x: F.softplus(-x)) + _levels(fake, F.softplus)


def generator_loss(kind: str, fake: Sequence[Tensor]) -> Tensor:
    """What the generator minimizes: its images judged to be real.

    Args:
        kind: One of `ADVERSARIAL_LOSSES`.
        fake: A tensor of logits a level, each (B, ...).

    Returns:
        (B,) float: the mean over the positions of a level, then over the levels.

    Source:
        SAM-I2I, Eq. 2, for "minimax"; Mao et al., arXiv 1611.04076, for "least-squares".
    """
    if kind == "hinge":
        return _levels(fake, torch.neg)
    if kind == "minimax":
        return _levels(fake, lambda x: -F.softplus(x))
    if kind == "least-squares":
        return _levels(fake, lambda x: (x - 1) ** 2)
    return _levels(fake, lambda x: F.softplus(-x))


def _levels(logits: Sequence[Tensor], loss: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([loss(level).flatten(1).mean(dim=1) for level in logits]).mean(dim=0)
