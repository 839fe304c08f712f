"""The operations of the generator on torch, and the generator as a network for `TorchPredictor`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.inference.back_ends.folded import Convolution, Generator, Linear
from SAMI2ILib.inference.back_ends.program import run_coarse, run_fine
from SAMI2ILib.models.attention import attend
from SAMI2ILib.models.decoder import NORM_EPSILON


class TorchOperations:
    """Products in one precision, sums and norms in float32; see `program.Operations`.

    Constants are brought to the device once, when they are first met.

    Args:
        device: torch's name of the device.
        dtype: Of the products.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        # The tensor itself is kept with its copy: its id would otherwise be given anew.
        self._constants: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]] = {}

    def shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape)

    def constant(self, value: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        key = id(value), dtype
        if key not in self._constants:
            self._constants[key] = value, value.to(self._device, dtype)
        return self._constants[key][1]

    def linear(self, x: Tensor, layer: Linear) -> Tensor:
        weight, bias = (self.constant(v, self._dtype) for v in (layer.weight, layer.bias))
        return F.linear(x.to(self._dtype), weight, bias)

    def convolve(self, image: Tensor, layer: Convolution) -> Tensor:
        image = image.to(self._dtype, memory_format=torch.channels_last)
        border = layer.padding
        if border and layer.repeat_border:
            image, border = F.pad(image, (border,) * 4, mode="replicate"), 0
        bias = None if layer.bias is None else self.constant(layer.bias, self._dtype)
        return F.conv2d(image, self.constant(layer.weight, self._dtype), bias, layer.stride, border)

    def center(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=-1, keepdim=True)

    def normalize(self, x: Tensor) -> Tensor:
        # torch's layer norm is faster than its norm without a mean, and gives the same here
        return F.layer_norm(x.float(), x.shape[-1:], eps=NORM_EPSILON)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        return x.reshape(tuple(shape))

    def permute(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return x.permute(tuple(axes))

    def pad(self, tokens: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
        return F.pad(tokens, (0, 0, left, right, top, bottom))

    def crop(self, tokens: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        return tokens[:, top : top + height, left : left + width]

    def pool(self, tokens: Tensor) -> Tensor:
        return F.max_pool2d(tokens.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

    def enlarge(self, image: Tensor, factor: int) -> Tensor:
        return F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)

    def enlarge_tokens(self, tokens: Tensor) -> Tensor:
        return self.enlarge(tokens.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attend(query, key, value, scale=1.0)


class FoldedNetwork(nn.Module):
    """A folded generator under the interface of a network.

    Where autocast is on when it is called, the coarse maps are computed in autocast's precision;
    the finest one, and with it the gray levels, in float32 always.

    Args:
        generator: From `fold_generator`.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator
        self._place: tuple[torch.device, torch.dtype] | None = None
        self._coarse = self._fine = TorchOperations(torch.device("cpu"), torch.float32)

    def forward(self, slices: Tensor) -> Tensor:
        """Translate (B, C, H, W) in [0, 1] to (B, 1, H, W) float32, as the generator's network."""
        kind = slices.device.type
        reduced = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if reduced else torch.float32
        if self._place != (slices.device, dtype):
            # Copies for another device are let go: its memory may have been too small.
            self._place = slices.device, dtype
            self._coarse = TorchOperations(slices.device, dtype)
            self._fine = TorchOperations(slices.device, torch.float32) if reduced else self._coarse
        with torch.autocast(kind, enabled=False):
            maps = run_coarse(self._coarse, self._generator, slices)
            return run_fine(self._fine, self._generator, slices, *maps)
