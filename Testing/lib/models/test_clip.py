"""CLIP's image encoder comes through open_clip, frozen, and says what is wrong with a file."""

import builtins

import pytest
import torch

from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.models.clip import (
    CLIP_MEAN,
    CLIP_STD,
    ClipAttention,
    ClipConfig,
    build_clip,
    import_open_clip,
    load_clip,
    pretrained_options,
)

TINY = ClipConfig("tiny-vit", "")


def test_loaded_tower_holds_the_weights_of_the_file(tiny_clip):
    path = tiny_clip("tiny-vit")
    stored = torch.load(path, weights_only=True)
    tower = load_clip(path, TINY)
    for name, value in tower.visual.state_dict().items():
        assert torch.equal(value, stored[f"visual.{name}"])
    assert (tower.is_transformer, tower.image_size) == (True, 32)
    assert not load_clip(tiny_clip("tiny-rn"), ClipConfig("tiny-rn", "")).is_transformer


def test_tower_stays_frozen_and_lets_the_gradient_through(tiny_clip):
    tower = load_clip(tiny_clip("tiny-vit"), TINY)
    tower.train()
    assert not tower.visual.training
    images = torch.rand(1, 1, 32, 32, requires_grad=True)
    tower.visual(tower.standardize(images)).sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(p.grad is None for p in tower.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_equals_that_of_open_clip(dtype):
    torch.manual_seed(0)
    original = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    torch.nn.init.normal_(original.in_proj_bias)
    tokens = torch.randn(3, 17, 32)
    expected, _ = original(tokens, tokens, tokens, need_weights=False)
    names = original.state_dict().keys()
    ours = ClipAttention(original)
    assert ours.state_dict().keys() == names
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        attended, weights = ours(tokens, tokens, tokens)
    assert weights is None
    tolerance = 1e-6 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(attended.float(), expected, rtol=0, atol=tolerance)


def test_transformer_of_clip_attends_by_our_own_layers(tiny_clip):
    blocks = load_clip(tiny_clip("tiny-vit"), TINY).visual.transformer.resblocks
    assert all(isinstance(block.attn, ClipAttention) for block in blocks)


def test_images_are_standardized_by_clips_own_mean():
    tower = build_clip(ClipConfig("RN50", "openai"))
    seen = tower.standardize(torch.full((1, 1, 2, 2), 0.5))
    expected = [(0.5 - m) / s for m, s in zip(CLIP_MEAN, CLIP_STD, strict=True)]
    assert seen[0, :, 1, 1].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pretrained", "activation"), [("openai", "QuickGELU"), ("laion2b_s34b_b79k", "GELU")]
)
def test_training_decides_the_activation(pretrained, activation):
    tower = build_clip(ClipConfig("ViT-B-32", pretrained))
    assert type(tower.visual.transformer.resblocks[0].mlp.gelu).__name__ == activation


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ClipConfig("ViT-Z-99", "openai"), "'ViT-Z-99' is no size of CLIP"),
        (ClipConfig("RN101", "laion2b"), "no training 'laion2b' of RN101. It knows openai"),
    ],
)
def test_unknown_clip_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        pretrained_options(config)


def test_file_that_is_not_this_clip_is_refused(tiny_clip, tmp_path):
    with pytest.raises(MissingError, match="is not there"):
        load_clip(tmp_path / "none.pt", TINY)
    with pytest.raises(ModelError, match=r"tiny-rn-0\.pt cannot be read as the weights of CLIP"):
        load_clip(tiny_clip("tiny-rn"), TINY)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ModelError, match=r"text\.pt cannot be read as the weights"):
        load_clip(tmp_path / "text.pt", TINY)


def test_missing_open_clip_is_said(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "open_clip":
            raise ImportError("no open_clip")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingError, match=r"open_clip_torch.*Install it with"):
        import_open_clip()
