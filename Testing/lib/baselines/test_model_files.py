"""A generator of a compared system as a model file: `translate` runs it like any other."""

import numpy as np
import pytest
import torch

from SAMI2ILib.baselines import (
    CycleGanConfig,
    Pix2PixConfig,
    ResVitConfig,
    UNetConfig,
    build_generator,
)
from SAMI2ILib.errors import ModelError
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.inference.translate import translate
from SAMI2ILib.weights import ModelSpec, Preprocessing, write_model

CONFIGS = {
    "unet": UNetConfig(width=2, levels=2),
    "pix2pix": Pix2PixConfig(width=2, depth=5),
    "cyclegan": CycleGanConfig(width=2, blocks=1),
    "resvit": ResVitConfig(
        width=2, blocks=1, transformer_blocks=(1,), hidden=8, layers=1, heads=2, mlp=8, grid=2
    ),
}


@pytest.fixture
def write(tmp_path):
    def make(family, values=None, size=32):
        torch.manual_seed(0)
        network = build_generator(CONFIGS[family])
        network(torch.rand(2, 1, 64, 64))  # batch norms have seen something
        spec = ModelSpec(
            family=family, id=f"small-{family}", title="Random weights", license="Apache-2.0",
            source_contrast="T1", target_contrast="T2",
            decoder=network.config.to_json() | (values or {}),
            preprocessing=Preprocessing(size=size),
        )  # fmt: skip
        tensors = {
            f"generator.{name}": tensor.numpy()
            for name, tensor in network.state_dict().items()
            if tensor.is_floating_point()
        }
        path = tmp_path / f"{family}.safetensors"
        write_model(path, spec, tensors)
        return path, network.eval()

    return make


@pytest.mark.parametrize("family", CONFIGS)
def test_model_file_gives_the_network_back_and_translates_a_volume(family, write, make_head):
    path, network = write(family)
    model = load_model(path)
    slices = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model.network(slices), network(slices))
    head = make_head(shape_kji=(3, 40, 36))
    result = translate(head, model)
    assert result.volume.array_kji.shape == head.array_kji.shape
    inside = result.volume.array_kji[head.array_kji > 400]
    assert np.isfinite(inside).all()
    assert inside.std() > 0


def test_file_with_sizes_of_another_network_is_refused(write):
    path, _ = write("unet", {"width": 3})
    with pytest.raises(ModelError, match=r"generator weights do not fit.*of another shape"):
        load_model(path)


def test_file_of_an_impossible_network_is_refused(write):
    path, _ = write("resvit", {"heads": 3})
    with pytest.raises(ModelError, match="describes a network that cannot be built: heads must"):
        load_model(path)


def test_file_whose_tiles_do_not_fit_its_network_is_refused(write):
    path, _ = write("pix2pix", size=48)
    with pytest.raises(ModelError, match="tiles of 48 pixels, but its network needs a multiple of"):
        load_model(path)
