"""Scaled dot-product attention: the one function through which encoder and decoder attend."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLAIN_ATTENTION_TOKENS = 256
"""Up to this many keys, windows of 16x16, a CPU takes plain matrix products. Beside torch's fused
kernel they take 0.6 to 1.1 of the time in float32 and half in bfloat16; forward and backward 0.6 to
0.95, and an eighth to a half (AMD EPYC with AVX-512 BF16, two cores)."""

PART_SCORES = 2**24
"""How many scores (64 MB) are held at a time where more keys attend in bfloat16 without a gradient.
A map of 64x64 tokens takes 0.6 of the fused kernel's time so; in float32 the fused one wins."""

FUSED_BATCH_LIMIT = 65535
"""CUDA's fused kernels take no larger batch; sixteen 256x256 slices in windows of 4 are 65536."""


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Weight values by the softmax of the scaled products of queries and keys.

    Short sequences on a CPU, that is windows, go through plain matrix products, and so do parts
    of long ones in bfloat16; everything else through torch's fused kernel, which never holds the
    whole score matrix. Both compute the softmax in float32 and agree within rounding.

    Args:
        query: (N, heads, T, D) float.
        key: (N, heads, S, D) float.
        value: (N, heads, S, D) float.
        scale: Of the products; D ** -0.5 when None.

    Returns:
        (N, heads, T, D) of the values' dtype.
    """
    if query.device.type == "cpu":
        if key.shape[-2] <= PLAIN_ATTENTION_TOKENS:
            return attend_plain(query, key, value, scale)
        keeps_scores = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
        if query.dtype == torch.bfloat16 and not keeps_scores:
            return attend_in_parts(query, key, value, scale)
    if query.shape[0] <= FUSED_BATCH_LIMIT:
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    parts = zip(
        *(torch.split(tensor, FUSED_BATCH_LIMIT) for tensor in (query, key, value)), strict=True
    )
    return torch.cat([F.scaled_dot_product_attention(q, k, v, scale=scale) for q, k, v in parts])


def attend_plain(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Compute `attend` as product, softmax, product.

    Args:
        query: (N, heads, T, D) float.
        key: (N, heads, S, D) float.
        value: (N, heads, S, D) float.
        scale: As in `attend`.

    Returns:
        (N, heads, T, D) of the values' dtype.
    """
    # Scaling the query costs T x D products, scaling the scores T x S.
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = (query if scale == 1 else query * scale) @ key.transpose(-2, -1)  # (..., T, S)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


def attend_in_parts(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None = None
) -> Tensor:
    """Compute `attend` for some queries after others, so that few scores are held at a time.

    Args:
        query: (N, heads, T, D) float.
        key: (N, heads, S, D) float.
        value: (N, heads, S, D) float.
        scale: As in `attend`.

    Returns:
        (N, heads, T, D) of the values' dtype.
    """
    scores_a_query = key.shape[0] * key.shape[1] * key.shape[2]
    parts = torch.split(query, max(1, PART_SCORES // scores_a_query), dim=2)
    # Heads lie side by side in memory; each part would copy keys and values anew.
    key, value = key.contiguous(), value.contiguous()
    return torch.cat([attend_plain(part, key, value, scale) for part in parts], dim=2)


def split_heads(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the output of a joint query-key-value projection into heads.

    Args:
        qkv: (N, T, 3 * C) float: queries, keys, values, each head after head.
        num_heads: Divides C.

    Returns:
        Query, key and value, each (N, num_heads, T, C / num_heads).
    """
    # (N, T, 3C) -> 3 x (N, T, C) -> 3 x (N, heads, T, D)
    query, key, value = (
        part.reshape(*part.shape[:2], num_heads, -1).transpose(1, 2)
        for part in qkv.chunk(3, dim=-1)
    )
    return query, key, value


def merge_heads(heads: Tensor) -> Tensor:
    """Join attended heads; the inverse of the cut in `split_heads`.

    Args:
        heads: (N, num_heads, T, D) float.

    Returns:
        (N, T, num_heads * D).
    """
    return heads.transpose(1, 2).flatten(2)


class HieraAttention(nn.Module):
    """SAM2's `MultiScaleAttention` computed by `attend`, under the same parameter names.

    Args:
        original: A `MultiScaleAttention` of `sam2`; its layers are taken over, not copied.
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.num_heads: int = original.num_heads  # type: ignore[assignment]
        self.qkv: nn.Linear = original.qkv  # type: ignore[assignment]
        self.proj: nn.Linear = original.proj  # type: ignore[assignment]
        self.q_pool: nn.Module | None = original.q_pool  # type: ignore[assignment]

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend inside each map, with the queries pooled at the change of a stage.

        Args:
            tokens: (N, H, W, C) float, one window or one whole map each.

        Returns:
            (N, H, W, C'), or (N, H / 2, W / 2, C') where queries are pooled.
        """
        count, height, width, _ = tokens.shape
        query, key, value = split_heads(self.qkv(tokens).flatten(1, 2), self.num_heads)
        if self.q_pool is not None:
            # (N, heads, T, D) -> (N, heads * D, H, W) -> (N, heads, T / 4, D)
            maps = query.transpose(2, 3).reshape(count, -1, height, width)
            maps = self.q_pool(maps)
            height, width = maps.shape[-2:]
            query = maps.reshape(count, self.num_heads, -1, height * width).transpose(2, 3)
        attended = merge_heads(attend(query, key, value))
        return self.proj(attended).reshape(count, height, width, -1)  # type: ignore[no-any-return]
