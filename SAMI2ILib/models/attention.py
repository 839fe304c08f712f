"""Scaled dot-product attention: the one function through which encoder and decoder attend."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLAIN_ATTENTION_TOKENS = 256
"""Up to this many keys, windows of 16x16, a CPU takes plain matrix products: a training step of the
bundled encoder is a quarter faster in float32 and a tenth in bfloat16 than with 64 (AMD EPYC with
AVX-512 BF16, two cores). Larger windows cost memory."""

FUSED_BATCH_LIMIT = 65535
"""CUDA's fused kernels take no larger batch; sixteen 256x256 slices in windows of 4 are 65536."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Weight values by the softmax of the scaled products of queries and keys.

    Short sequences on a CPU, that is windows, go through plain matrix products; everything else
    through torch's fused kernel, which never holds the whole score matrix. Both compute the
    softmax in float32 and agree within rounding.

    Args:
        query: (N, heads, T, D) float.
        key: (N, heads, S, D) float.
        value: (N, heads, S, D) float.

    Returns:
        (N, heads, T, D) of the values' dtype.
    """
    if query.device.type == "cpu" and key.shape[-2] <= PLAIN_ATTENTION_TOKENS:
        return attend_plain(query, key, value)
    if query.shape[0] <= FUSED_BATCH_LIMIT:
        return F.scaled_dot_product_attention(query, key, value)
    parts = zip(
        *(torch.split(tensor, FUSED_BATCH_LIMIT) for tensor in (query, key, value)), strict=True
    )
    return torch.cat([F.scaled_dot_product_attention(*part) for part in parts])


def attend_plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute `attend` as product, softmax, product.

    Args:
        query: (N, heads, T, D) float.
        key: (N, heads, S, D) float.
        value: (N, heads, S, D) float.

    Returns:
        (N, heads, T, D) of the values' dtype.
    """
    # Scaling the query costs T x D products, scaling the scores T x S.
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (..., T, S)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


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
