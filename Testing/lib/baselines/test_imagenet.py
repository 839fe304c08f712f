"""ImageNet weights into ResViT's transformer, from a small vision transformer of timm."""

import pytest
import torch
from safetensors.torch import save_file

from SAMI2ILib.baselines import ResVit, ResVitConfig
from SAMI2ILib.baselines.imagenet import load_imagenet
from SAMI2ILib.errors import MissingError, ModelError
from SAMI2ILib.weights.timm_checkpoints import transformer_checkpoint

CONFIG = ResVitConfig(
    width=1, blocks=2, transformer_blocks=(1, 2), hidden=8, layers=2, heads=2, mlp=16, grid=3
)


@pytest.fixture
def theirs():
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    # a hybrid embeds the 16 * width channels of a map's pixels: patches of one pixel
    return VisionTransformer(
        img_size=3, patch_size=1, in_chans=16, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2,
        num_classes=0,
    ).eval()  # fmt: skip


def save(tensors, path):
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def test_transformer_computes_what_timm_computes_with_its_weights(theirs, tmp_path):
    network = ResVit(CONFIG).eval()
    encode = network.encode[0].weight.clone()
    load_imagenet(network, save(theirs.state_dict(), tmp_path / "vit.safetensors"))
    tokens = torch.randn(2, 9, 8)
    expected = theirs.norm(theirs.blocks(tokens))
    torch.testing.assert_close(network.transformer(tokens), expected, atol=1e-5, rtol=1e-5)
    for branch in network.branches.values():
        assert torch.equal(branch.embed.weight, theirs.patch_embed.proj.weight)
        # the first position behind the class token is the upper left one, then along the row
        assert torch.allclose(branch.position[0, :, 0, 1], theirs.pos_embed[0, 2])
    assert torch.equal(network.encode[0].weight, encode)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.attn.qkv.weight": None}, r"transformer weights do not fit: 1 missing"),
        ({"patch_embed.proj.bias": None}, r"embedding weights do not fit: 1 missing \(embed.bias"),
        ({"pos_embed": None}, "no pos_embed of 8 channels"),
        ({"pos_embed": torch.zeros(1, 9, 8)}, "pos_embed has 9 tokens: no square"),
    ],
)
def test_weights_of_another_transformer_are_refused(theirs, tmp_path, change, message):
    tensors = {n: t for n, t in (theirs.state_dict() | change).items() if t is not None}
    with pytest.raises(ModelError, match=message):
        load_imagenet(ResVit(CONFIG), save(tensors, tmp_path / "vit.safetensors"))


def test_file_that_holds_no_weights_and_network_without_transformer_are_refused(theirs, tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ModelError, match="is no safetensors file of weights"):
        load_imagenet(ResVit(CONFIG), tmp_path / "text.safetensors")
    first_stage = ResVit(CONFIG).without_transformer()
    path = save(theirs.state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(ModelError, match="has no transformer to load weights into"):
        load_imagenet(first_stage, path)


def test_weights_come_from_a_file_or_the_cache_and_never_unasked(tmp_path, monkeypatch):
    path = tmp_path / "vit.safetensors"
    path.write_bytes(b"")
    assert transformer_checkpoint(str(path)) == path
    with pytest.raises(MissingError, match="no transformer checkpoint none"):
        transformer_checkpoint("none")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(MissingError, match=r"not on this machine.*--download-weights.*scratch"):
        transformer_checkpoint()
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(path))
    assert transformer_checkpoint() == path
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingError, match="timm is not installed"):
        transformer_checkpoint()


def test_failed_download_is_said(monkeypatch):
    import timm

    from SAMI2ILib.errors import NetworkError

    def fail(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(NetworkError, match="could not be downloaded: no route to host"):
        transformer_checkpoint(download=True)
