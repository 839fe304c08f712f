"""A model whose network returns its input, so that everything around the network can be checked."""

import pytest
from torch import Tensor, nn

from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.translate import translate  # noqa: F401 - imported early, it takes long
from SAMI2ILib.weights import ModelSpec, Preprocessing


class CenterChannel(nn.Module):
    """Return the slice itself, without its neighbors."""

    def forward(self, slices: Tensor) -> Tensor:
        center = slices.shape[1] // 2
        return slices[:, center : center + 1]


@pytest.fixture(scope="session")
def identity_model() -> LoadedModel:
    spec = ModelSpec(
        family="sam-i2i",
        id="identity",
        title="Returns its input",
        source_contrast="T1",
        target_contrast="T2",
        license="Apache-2.0",
        preprocessing=Preprocessing(size=64),
    )
    return LoadedModel(spec, "0" * 64, "", CenterChannel())
