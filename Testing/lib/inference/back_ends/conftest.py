"""Small generators of every build: detail branch or none, padded and shifted windows, neighbors."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from SAMI2ILib.inference.back_ends.quiet_openvino import import_openvino
from SAMI2ILib.models import DecoderConfig, HieraConfig, SamI2I, build_sam_i2i

SMALL = HieraConfig(
    embed_dim=8, num_heads=1, stages=(1, 2, 3, 1), global_att_blocks=(4,), window_spec=(8, 4, 6, 4)
)
# what each build has that another lacks
BUILDS: dict[str, dict[str, object]] = {
    "faithful": {},
    "shifted": {"shifted_windows": True, "window_position_embedding": True, "windows": (6, 8, 5)},
    "detail": {"encoder_upscale": 2, "detail_width": 4, "slice_channels": 3},
    "batch-norm": {"encoder_upscale": 1, "detail_width": 4, "detail_batch_norm": True},
    "deep": {
        "encoder_upscale": 1,
        "detail_width": 4,
        "detail_levels": 2,
        "detail_batch_norm": True,
    },
}


@pytest.fixture(scope="session")
def make_generator() -> Callable[[str], SamI2I]:
    """Build a generator whose every weight is random, so that none of them can be left out."""

    def make(build: str = "faithful") -> SamI2I:
        torch.manual_seed(7)
        network = build_sam_i2i(SMALL, DecoderConfig.for_encoder(SMALL, **BUILDS[build]))
        for parameter in network.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, 0.1, 0.3)
            else:
                nn.init.normal_(parameter, 0, parameter[0].numel() ** -0.5)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 1, 2)
                module.running_mean = torch.randn(module.num_features)
                module.running_var = torch.rand(module.num_features) + 0.5
        return network.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def openvino() -> ModuleType:
    try:
        return import_openvino()
    except ImportError:
        pytest.skip("OpenVINO is not installed")


@pytest.fixture(scope="session")
def make_slices() -> Callable[..., NDArray[np.float32]]:
    def make(count: int, channels: int, height: int, width: int) -> NDArray[np.float32]:
        generator = np.random.default_rng(3)
        return generator.random((count, channels, height, width), dtype=np.float32)

    return make
