"""The discriminator trains its heads only, and lets the generator learn through CLIP."""

import pytest
import torch

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models.clip import ClipConfig, build_clip, load_clip
from SAMI2ILib.models.diff_augment import diff_augment
from SAMI2ILib.models.discriminator import Discriminator
from SAMI2ILib.training.adversarial import discriminator_loss, generator_loss

MIDDLE = torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]])


@pytest.fixture
def judge(tiny_clip):
    torch.manual_seed(0)
    return Discriminator(load_clip(tiny_clip("tiny-vit"), ClipConfig("tiny-vit", "")))


@pytest.mark.parametrize("size", [32, 64, 16])
def test_every_level_is_judged_at_any_size_of_slice(judge, size):
    levels = judge(torch.rand(3, 1, size, size))
    assert [tuple(level.shape) for level in levels] == [(3, 1, 2, 2), (3, 1, 2, 2), (3, 1)]


def test_gradient_reaches_image_and_heads_and_never_clip(judge):
    image = torch.rand(2, 1, 64, 64, requires_grad=True)
    generator_loss("nonsaturating", judge(image)).mean().backward()
    assert image.grad.abs().min() > 0
    assert all(p.grad is None for p in judge.clip.parameters())
    assert all(p.grad is not None for p in judge.head_parameters())
    heads = {id(p) for p in judge.head_parameters()}
    assert heads == {id(p) for p in judge.parameters() if p.requires_grad}


def test_heads_learn_to_tell_bright_from_dark(judge):
    optimizer = torch.optim.Adam(judge.head_parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    real = 0.2 * torch.rand(8, 1, 32, 32, generator=generator) + 0.7
    fake = 0.2 * torch.rand(8, 1, 32, 32, generator=generator) + 0.1
    for _ in range(30):
        loss = discriminator_loss("nonsaturating", judge(real), judge(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7  # 2 log 2 = 1.39 is guessing


def test_heads_have_the_size_of_the_design():
    judge = Discriminator(build_clip(ClipConfig("ViT-B-32", "openai")))
    # two of 3x3x768x256 + 256 + 256 + 1, one of 512x256 + 256 + 256 + 1
    expected = 2 * (9 * 768 * 256 + 256 + 256 + 1) + 512 * 256 + 256 + 256 + 1
    assert sum(p.numel() for p in judge.head_parameters()) == expected
    maps = judge(torch.rand(1, 1, 256, 256))
    assert [tuple(m.shape) for m in maps] == [(1, 1, 4, 4), (1, 1, 4, 4), (1, 1)]


def test_impossible_discriminator_is_refused(tiny_clip):
    resnet = load_clip(tiny_clip("tiny-rn"), ClipConfig("tiny-rn", ""))
    with pytest.raises(InputError, match="needs a vision transformer"):
        Discriminator(resnet)
    clip = load_clip(tiny_clip("tiny-vit"), ClipConfig("tiny-vit", ""))
    with pytest.raises(InputError, match="taps must be numbers from 0 to 7"):
        Discriminator(clip, [8])


@pytest.mark.parametrize(
    ("kind", "of_discriminator", "of_generator"),
    [
        # levels (2, 0) of a real and (-1, 1) of a fake image; softplus(x) = log(1 + exp(x))
        ("nonsaturating", (0.12693 + 0.69315) / 2 + (0.31326 + 1.31326) / 2, 0.81326),
        ("minimax", (0.12693 + 0.69315) / 2 + (0.31326 + 1.31326) / 2, -0.81326),
        ("hinge", (0 + 1) / 2 + (0 + 2) / 2, 0.0),
    ],
)
def test_losses_are_the_means_over_the_levels(kind, of_discriminator, of_generator):
    real = [torch.full((1, 1, 2, 2), 2.0), torch.zeros(1, 1)]
    fake = [torch.full((1, 1, 2, 2), -1.0), torch.ones(1, 1)]
    found = discriminator_loss(kind, real, fake)
    assert found.tolist() == pytest.approx([of_discriminator], abs=1e-4)
    assert generator_loss(kind, fake).tolist() == pytest.approx([of_generator], abs=1e-4)


def test_augmentation_with_middle_draws_changes_only_the_cutout():
    image = torch.rand(1, 1, 16, 16)
    assert torch.allclose(diff_augment(image, MIDDLE, ("color", "translation")), image, atol=1e-6)
    cut = diff_augment(image, MIDDLE, ("cutout",))
    expected = image.clone()
    expected[..., 4:12, 4:12] = 0
    assert torch.equal(cut, expected)


def test_augmentation_moves_whole_pixels_and_lets_zeros_in():
    image = torch.rand(1, 1, 16, 16) + 1
    draws = torch.tensor([[0.5, 0.5, 0.0, 0.99, 0.5, 0.5]])
    moved = diff_augment(image, draws, ("translation",))
    assert torch.equal(moved[..., 2:, :14], image[..., :14, 2:])
    assert not moved[..., :2, :].any()
    assert not moved[..., 14:].any()


def test_augmentation_changes_brightness_then_contrast_around_the_mean():
    image = torch.tensor([[[[0.2, 0.4]]]])
    draws = torch.tensor([[1.0, 0.0, 0, 0, 0, 0]])
    recolored = diff_augment(image, draws, ("color",))
    assert recolored.flatten().tolist() == pytest.approx([0.5, 0.6])


def test_augmentation_passes_gradients_and_refuses_what_it_does_not_know():
    image = torch.rand(1, 1, 8, 8, requires_grad=True)
    diff_augment(image, MIDDLE).sum().backward()
    assert image.grad.abs().sum() > 0
    with pytest.raises(InputError, match="no policy blur"):
        diff_augment(image, MIDDLE, ("blur",))
    with pytest.raises(ShapeError, match=r"draws must be \(1, 6\)"):
        diff_augment(image, MIDDLE[:, :2])
