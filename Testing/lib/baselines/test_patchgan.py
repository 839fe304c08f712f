"""The discriminator that judges patches."""

import pytest
import torch

from SAMI2ILib.baselines import PatchGan


@pytest.mark.parametrize("affine", [True, False])
def test_parameters_are_as_many_as_in_the_paper(affine):
    with torch.device("meta"):
        judge = PatchGan(2, affine=affine)
    assert round(sum(p.numel() for p in judge.parameters()) / 1e6, 1) == 2.8


def test_every_logit_sees_a_patch_of_70_pixels():
    torch.manual_seed(0)
    judge = PatchGan(1, width=4).eval()
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    logits = judge(image)
    assert logits.shape == (1, 1, 14, 14)
    logits[0, 0, 7, 7].backward()
    seen = image.grad[0, 0].nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [70, 70]


def test_image_is_judged_together_with_its_source():
    torch.manual_seed(0)
    judge = PatchGan(2, width=4, instance_norm=True)
    source, image = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    logits = judge(torch.cat([source, image], dim=1))
    assert logits.shape == (2, 1, 2, 2)
    assert not torch.equal(logits, judge(torch.cat([image, image], dim=1)))
    assert torch.allclose(logits[:1], judge(torch.cat([source, image], dim=1)[:1]), atol=1e-6)
