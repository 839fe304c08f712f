"""The trunk: loaded strictly, equal to timm's, with the maps that the decoder needs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.errors import MissingError, ModelError
from SAMI2ILib.models import (
    HIERA_VARIANTS,
    HieraConfig,
    build_trunk,
    load_trunk,
    load_trunk_tensors,
)

PREFIX = "image_encoder.trunk."
SAM2_CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
# method.md counts tiny and small with a position embedding of 14x14; SAM2's own have 7x7
MILLION_PARAMETERS = {"tiny": 26.8, "small": 33.9, "base_plus": 68.7, "large": 212.1}
SLOW_BUT_TINY = [
    "tiny",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("small", "base_plus", "large")),
]


@pytest.fixture
def official_checkpoint(tmp_path: Path) -> Callable[[str], Path]:
    """Write the checkpoint of a whole SAM2 with random weights, built by `sam2` itself."""

    def write(variant: str) -> Path:
        from sam2.build_sam import build_sam2

        torch.manual_seed(0)
        name = f"configs/sam2.1/sam2.1_hiera_{SAM2_CONFIGS[variant]}.yaml"
        path = tmp_path / f"sam2.1_hiera_{variant}.pt"
        torch.save({"model": build_sam2(name, device="cpu").state_dict()}, path)
        return path

    return write


@pytest.fixture
def save_small(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    def save(tensors: dict[str, Tensor]) -> Path:
        path = tmp_path / "small.pt"
        torch.save({"model": {PREFIX + name: tensor for name, tensor in tensors.items()}}, path)
        return path

    return save


@pytest.mark.parametrize("variant", SLOW_BUT_TINY)
def test_official_checkpoint_is_loaded_whole(
    official_checkpoint: Callable[[str], Path], variant: str
) -> None:
    path = official_checkpoint(variant)
    trunk = load_trunk(path, HIERA_VARIANTS[variant])
    saved = torch.load(path, weights_only=True)["model"]
    state = trunk.state_dict()
    assert {PREFIX + name for name in state} == {key for key in saved if key.startswith(PREFIX)}
    assert all(torch.equal(tensor, saved[PREFIX + name]) for name, tensor in state.items())
    count = sum(tensor.numel() for tensor in state.values())
    assert round(count / 1e6, 1) == MILLION_PARAMETERS[variant]


@pytest.mark.parametrize("variant", SLOW_BUT_TINY)
def test_maps_equal_those_of_timm_with_the_same_weights(
    variant: str, randomize: Callable[[nn.Module], nn.Module]
) -> None:
    import timm
    from timm.models.hieradet_sam2 import checkpoint_filter_fn

    trunk = randomize(build_trunk(HIERA_VARIANTS[variant])).eval()
    theirs = timm.create_model(f"sam2_hiera_{variant}", num_classes=0).eval()
    result = theirs.load_state_dict(checkpoint_filter_fn(trunk.state_dict()), strict=False)
    assert result.unexpected_keys == []
    assert all(key.startswith("head.") for key in result.missing_keys)
    images = torch.randn(1, 3, 160, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.forward_intermediates(images, intermediates_only=True)
        maps = trunk(images)
    for ours, reference in zip(maps, expected, strict=True):
        scale = float(reference.abs().max())
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 224), (256, 128)])
def test_maps_have_strides_4_to_32_and_the_channels_of_the_variant(
    small_trunk: nn.Module, small_hiera: HieraConfig, height: int, width: int
) -> None:
    with torch.no_grad():
        maps = small_trunk(torch.randn(2, 3, height, width))
    assert [tuple(feature.shape) for feature in maps] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(small_hiera.channels, (4, 8, 16, 32), strict=True)
    ]


def test_checkpoint_is_refused_when_a_key_is_missing(
    small_trunk: nn.Module, small_hiera: HieraConfig, save_small: Callable[..., Path]
) -> None:
    tensors = small_trunk.state_dict()
    del tensors["blocks.0.norm1.weight"]
    with pytest.raises(ModelError, match=r"1 missing \(blocks\.0\.norm1\.weight\)\."):
        load_trunk(save_small(tensors), small_hiera)


def test_checkpoint_is_refused_when_it_has_an_extra_key(
    small_trunk: nn.Module, small_hiera: HieraConfig, save_small: Callable[..., Path]
) -> None:
    tensors = {**small_trunk.state_dict(), "norm.weight": torch.zeros(8)}
    with pytest.raises(ModelError, match=r"1 unexpected \(norm\.weight\)\."):
        load_trunk(save_small(tensors), small_hiera)


def test_checkpoint_is_refused_when_a_shape_differs(
    small_trunk: nn.Module, small_hiera: HieraConfig, save_small: Callable[..., Path]
) -> None:
    tensors = {**small_trunk.state_dict(), "pos_embed": torch.zeros(1, 8, 14, 14)}
    match = r"1 of another shape \(pos_embed is \(1, 8, 14, 14\) instead of \(1, 8, 7, 7\)\)\."
    with pytest.raises(ModelError, match=match):
        load_trunk(save_small(tensors), small_hiera)


def test_checkpoint_of_another_size_is_refused_with_its_name() -> None:
    tensors = build_trunk(HIERA_VARIANTS["demo"]).state_dict()
    with pytest.raises(ModelError, match=r"This is a checkpoint of demo, expected tiny\.$"):
        load_trunk_tensors(tensors, HIERA_VARIANTS["tiny"])


def test_checkpoint_of_an_unknown_size_is_refused_with_what_was_expected(
    small_hiera: HieraConfig,
) -> None:
    with pytest.raises(ModelError, match=r"of an unknown size, expected \(1, 1, 2, 1\) blocks fr"):
        load_trunk_tensors({"blocks.0.norm1.weight": torch.zeros(8)}, small_hiera)


def test_tensors_of_float16_become_float32(
    small_trunk: nn.Module, small_hiera: HieraConfig
) -> None:
    halves = {name: tensor.half() for name, tensor in small_trunk.state_dict().items()}
    loaded = load_trunk_tensors(halves, small_hiera).state_dict()
    assert all(torch.equal(loaded[name], half.float()) for name, half in halves.items())


def test_checkpoint_is_refused_when_the_file_is_missing(
    small_hiera: HieraConfig, tmp_path: Path
) -> None:
    with pytest.raises(MissingError, match=r"The encoder checkpoint none\.pt is not there"):
        load_trunk(tmp_path / "none.pt", small_hiera)


def test_checkpoint_is_refused_when_the_file_is_truncated(
    small_trunk: nn.Module, small_hiera: HieraConfig, save_small: Callable[..., Path]
) -> None:
    path = save_small(small_trunk.state_dict())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"small\.pt is not a PyTorch checkpoint, or is truncated"):
        load_trunk(path, small_hiera)


def test_checkpoint_is_refused_when_it_would_run_code(
    small_hiera: HieraConfig, tmp_path: Path
) -> None:
    path = tmp_path / "code.pt"
    torch.save({"model": build_trunk}, path)
    with pytest.raises(ModelError, match=r"code\.pt cannot be read as PyTorch weights"):
        load_trunk(path, small_hiera)


@pytest.mark.parametrize("content", [{"state": {}}, [1, 2], {"model": 3}])
def test_checkpoint_is_refused_when_it_has_no_model(
    small_hiera: HieraConfig, tmp_path: Path, content: object
) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match=r'other\.pt has no table "model"'):
        load_trunk(path, small_hiera)


def test_checkpoint_is_refused_when_it_holds_no_trunk(
    small_hiera: HieraConfig, tmp_path: Path
) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"layer.weight": torch.zeros(2)}}, path)
    with pytest.raises(ModelError, match=r"holds no tensor named image_encoder\.trunk\.\*"):
        load_trunk(path, small_hiera)


def test_trunk_is_refused_with_the_way_to_install_it_when_sam2_is_absent(
    small_hiera: HieraConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sam2.modeling.backbones.hieradet", None)
    with pytest.raises(MissingError, match=r"pip install --no-build-isolation sam2==1\.1\.0"):
        build_trunk(small_hiera)


def test_importing_the_models_does_not_import_sam2() -> None:
    code = "import SAMI2ILib.models, sys; sys.exit('sam2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
