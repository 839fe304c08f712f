"""Every system, small, learns eight slices by heart with its own losses and steps."""

import math

import pytest
import torch

from SAMI2ILib.training.config_file import parse_config
from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.session import Session
from SAMI2ILib.training.starting_weights import StartingWeights

SIZES = {
    "unet": {"width": 8, "levels": 3},
    "pix2pix": {"width": 16, "depth": 5, "dropout": 0.0, "instance_norm": True},
    "resvit": {
        "width": 8, "blocks": 3, "transformer_blocks": [1, 3], "hidden": 32, "layers": 2,
        "heads": 2, "mlp": 64, "grid": 4, "dropout": 0.0,
    },
    "cyclegan": {"width": 8, "blocks": 2},
}  # fmt: skip
STEPS = 500


def eight_slices():
    """Smooth heads in different places, with rings; their target is dark where they are bright."""
    axis = torch.linspace(-1, 1, 64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    sources, targets = [], []
    for n in range(8):
        radius = torch.hypot(x - 0.04 * n + 0.1, y + 0.03 * n - 0.1)
        inside = torch.sigmoid(20 * (0.7 - radius))
        sources.append(inside * (0.5 + 0.3 * torch.cos(6 * radius + n)))
        targets.append(inside * (0.5 - 0.3 * torch.cos(6 * radius + n)))
    source, target = torch.stack(sources)[:, None], torch.stack(targets)[:, None]
    draws = torch.rand(8, 3, 6, generator=torch.Generator().manual_seed(0))
    return Crops(source, target, torch.ones_like(target, dtype=torch.bool), draws)


def overfit(family):
    """Train on the same eight slices again and again, the rate falling to zero."""
    config = parse_config(
        {
            "name": "overfit", "data": [{"name": "any"}], "family": family, "targets": ["T2"],
            "generator": SIZES[family], "baseline": {"judge_width": 4, "first_stage": 0.0},
            "optimization": {
                "steps": STEPS, "batch": 8, "crop": 64, "learning_rate": 3e-3,
                "betas": [0.9, 0.999],
            },
        }
    )  # fmt: skip
    session, crops = Session(config, StartingWeights()), eight_slices()
    for step in range(STEPS):
        session.enter(step, 1.0)
        factor = (1 + math.cos(math.pi * step / STEPS)) / 2
        session.step([crops], torch.tensor([8.0]), factor)
    session.network.eval()
    return session.network, crops


def psnr(image, truth):
    return -10 * math.log10(float(((image - truth) ** 2).mean()))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["unet", "pix2pix", "resvit"])
def test_eight_slices_are_learned_by_heart_beyond_35_db(family):
    network, crops = overfit(family)
    with torch.inference_mode():
        assert psnr(network(crops.source), crops.targets) > 35


@pytest.mark.slow
def test_slices_come_back_from_their_cycles_beyond_30_db():
    network, crops = overfit("cyclegan")
    there, back = network.generators["T2"], network.returns["T2"]
    with torch.inference_mode():
        assert psnr(back(there(crops.source)), crops.source) > 30
        assert psnr(there(back(crops.targets)), crops.targets) > 30
