"""Attention: its two computations, and the trunk's layer against the one of `sam2`."""

import pytest
import torch
from torch import Tensor, nn

from SAMI2ILib.models import attention
from SAMI2ILib.models.attention import (
    HieraAttention,
    attend,
    attend_in_parts,
    attend_plain,
    merge_heads,
    split_heads,
)


def random_qkv(count: int, tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(3, count, 2, tokens, 8, generator=torch.Generator().manual_seed(0)).unbind()


def test_attention_of_equal_keys_is_the_mean_of_the_values() -> None:
    value = torch.tensor([[[[1.0], [3.0], [8.0]]]])
    key = torch.ones(1, 1, 3, 1)
    torch.testing.assert_close(attend(key, key, value), torch.full((1, 1, 3, 1), 4.0))


@pytest.mark.parametrize("tokens", [16, 64, 65, 196, 256])
def test_attention_equals_softmax_of_scaled_products(tokens: int) -> None:
    query, key, value = random_qkv(3, tokens)
    scores = torch.einsum("nhtd,nhsd->nhts", query.double(), key.double()) / 8**0.5
    expected = torch.einsum("nhts,nhsd->nhtd", scores.softmax(-1), value.double())
    torch.testing.assert_close(attend(query, key, value).double(), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(
        attend_plain(query, key, value).double(), expected, rtol=0, atol=2e-6
    )


def test_attention_weights_are_computed_in_float32_when_the_input_is_bfloat16() -> None:
    query, key, value = (part.bfloat16() for part in random_qkv(2, 64))
    exact = attend_plain(query.float(), key.float(), value.float())
    plain = attend_plain(query, key, value)
    assert plain.dtype == torch.bfloat16
    torch.testing.assert_close(plain.float(), exact, rtol=0, atol=0.03)


def test_attention_is_cut_into_parts_when_the_batch_exceeds_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query, key, value = random_qkv(7, 80)
    whole = attend(query, key, value)
    monkeypatch.setattr(attention, "FUSED_BATCH_LIMIT", 3)
    torch.testing.assert_close(attend(query, key, value), whole)


@pytest.mark.parametrize("scores", [1, 2 * 2 * 300 * 7, 2**24])
def test_attention_in_parts_is_that_of_the_whole(
    scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key, value = random_qkv(2, 300)
    monkeypatch.setattr(attention, "PART_SCORES", scores)
    parts = attend_in_parts(query[:, :, :20], key, value)
    torch.testing.assert_close(parts, attend_plain(query[:, :, :20], key, value))


def test_long_bfloat16_goes_in_parts_on_a_cpu_unless_scores_are_kept_for_a_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []
    monkeypatch.setattr(
        attention, "attend_in_parts", lambda query, *_others: taken.append(1) or query
    )
    query, key, value = (part.bfloat16() for part in random_qkv(1, 300))
    attend(query, key, value)
    assert len(taken) == 1
    attend(query.requires_grad_(), key, value)
    attend(query.detach().float(), key.float(), value.float())
    assert len(taken) == 1


def test_heads_are_cut_and_joined_in_the_order_of_the_channels() -> None:
    qkv = torch.arange(12.0).reshape(1, 1, 12)
    query, key, value = split_heads(qkv, 2)
    assert query.flatten(1).tolist() == [[0, 1, 2, 3]]
    assert key[0, 1, 0].tolist() == [6, 7]
    assert merge_heads(value).tolist() == [[[8, 9, 10, 11]]]


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("side", [4, 8, 14, 20])
def test_trunk_attention_equals_that_of_sam2(side: int, pooled: bool) -> None:
    from sam2.modeling.backbones.hieradet import MultiScaleAttention

    torch.manual_seed(0)
    pool = nn.MaxPool2d(2, 2) if pooled else None
    original = MultiScaleAttention(16, 32, num_heads=4, q_pool=pool)
    tokens = torch.randn(3, side, side, 16)
    expected = original(tokens)
    ours = HieraAttention(original)
    assert ours.state_dict().keys() == original.state_dict().keys()
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-6)
