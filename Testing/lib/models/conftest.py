"""Small networks for the tests of the models: a trunk of four narrow stages and its decoder."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from SAMI2ILib.models import Decoder, DecoderConfig, HieraConfig, SamI2I, build_sam_i2i, build_trunk


@pytest.fixture(scope="session")
def small_hiera() -> HieraConfig:
    """Every kind of block that the real trunks have, in 1/12 of their width."""
    return HieraConfig(
        embed_dim=8,
        num_heads=1,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_pos_embed_bkg_spatial_size=(7, 7),
        window_spec=(8, 4, 14, 7),
    )


@pytest.fixture
def randomize() -> Callable[[nn.Module], nn.Module]:
    """Fill all weights, so that position embeddings and biases, zero at first, take part."""

    def fill(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                scale = 0.5 * parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        return module

    return fill


@pytest.fixture
def small_trunk(small_hiera: HieraConfig, randomize: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return randomize(build_trunk(small_hiera))


@pytest.fixture
def small_decoder(small_hiera: HieraConfig) -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.for_encoder(small_hiera))


@pytest.fixture
def small_network(small_hiera: HieraConfig) -> SamI2I:
    torch.manual_seed(0)
    return build_sam_i2i(small_hiera, DecoderConfig.for_encoder(small_hiera))
