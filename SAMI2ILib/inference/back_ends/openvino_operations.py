"""The operations of the generator as nodes of an OpenVINO graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from SAMI2ILib.inference.back_ends.folded import Convolution, Linear
from SAMI2ILib.inference.back_ends.quiet_openvino import import_openvino
from SAMI2ILib.models.decoder import NORM_EPSILON


class OpenVinoOperations:
    """Each call adds nodes, nothing is computed; see `program.Operations`."""

    def __init__(self) -> None:
        self._ops: Any = import_openvino().opset13

    def shape(self, x: Any) -> tuple[int, ...]:
        return tuple(x.get_output_shape(0))

    def constant(self, value: Tensor) -> Any:
        return self._ops.constant(np.ascontiguousarray(value.numpy()))

    def linear(self, x: Any, layer: Linear) -> Any:
        product = self._ops.matmul(x, self.constant(layer.weight), False, True)
        return self.add(product, self.constant(layer.bias))

    def convolve(self, image: Any, layer: Convolution) -> Any:
        border = layer.padding
        if border and layer.repeat_border:
            around = np.array([0, 0, border, border])
            image = self._ops.pad(image, around, around, "edge")
            border = 0
        out = self._ops.convolution(
            image,
            self.constant(layer.weight),
            [layer.stride] * 2,
            [border] * 2,
            [border] * 2,
            [1, 1],
        )
        if layer.bias is None:
            return out
        return self.add(out, self.constant(layer.bias.view(1, -1, 1, 1)))

    def center(self, x: Any) -> Any:
        return self._ops.subtract(x, self._ops.reduce_mean(x, np.array([-1]), True))

    def normalize(self, x: Any) -> Any:
        two, epsilon, one = (self._ops.constant(np.float32(v)) for v in (2, NORM_EPSILON, 1))
        variance = self._ops.reduce_mean(self._ops.power(x, two), np.array([-1]), True)
        deviation = self._ops.sqrt(self._ops.add(variance, epsilon))
        return self._ops.multiply(x, self._ops.divide(one, deviation))

    def add(self, x: Any, y: Any) -> Any:
        return self._ops.add(x, y)

    def gelu(self, x: Any) -> Any:
        return self._ops.gelu(x, "erf")

    def relu(self, x: Any) -> Any:
        return self._ops.relu(x)

    def sigmoid(self, x: Any) -> Any:
        return self._ops.sigmoid(x)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        return self._ops.reshape(x, np.array(shape), False)

    def permute(self, x: Any, axes: Sequence[int]) -> Any:
        return self._ops.transpose(x, np.array(axes))

    def pad(self, tokens: Any, top: int, bottom: int, left: int, right: int) -> Any:
        before, after = np.array([0, top, left, 0]), np.array([0, bottom, right, 0])
        return self._ops.pad(tokens, before, after, "constant")

    def crop(self, tokens: Any, top: int, left: int, height: int, width: int) -> Any:
        start, stop = np.array([top, left]), np.array([top + height, left + width])
        return self._ops.slice(tokens, start, stop, np.array([1, 1]), np.array([1, 2]))

    def pool(self, tokens: Any) -> Any:
        _, height, width, channels = self.shape(tokens)
        # (B * H / 2, 2, W, C) -> (B * H / 2, W / 2, 2 C): halves of axes, never a stride
        rows = self.reshape(tokens, (-1, 2, width // 2, 2 * channels))
        rows = self._greater_half(rows, 1, 2)
        cells = self._greater_half(rows, 3, 2 * channels)
        return self.reshape(cells, (-1, height // 2, width // 2, channels))

    def _greater_half(self, x: Any, axis: int, size: int) -> Any:
        first, second = (
            (self._ops.slice(x, *(np.array([n]) for n in (start, stop, 1, axis))))
            for start, stop in ((0, size // 2), (size // 2, size))
        )
        return self._ops.maximum(first, second)

    def enlarge(self, image: Any, factor: int) -> Any:
        _, _, height, width = self.shape(image)
        return self._resize(image, height * factor, width * factor)

    def enlarge_tokens(self, tokens: Any) -> Any:
        # One axis after the other: as an image, the plugin would lay out the channels last but
        # one and bring every map behind back to tokens, which takes longer than the products.
        _, height, width, channels = self.shape(tokens)
        rows = self.reshape(tokens, (-1, 1, height, width * channels))
        rows = self._resize(rows, 2 * height, width * channels)
        columns = self.reshape(rows, (-1, 2 * height, width, channels))
        return self._resize(columns, 2 * width, channels)

    def _resize(self, x: Any, height: int, width: int) -> Any:
        return self._ops.interpolate(
            x,
            np.array([height, width]),
            "linear_onnx",
            "sizes",
            coordinate_transformation_mode="half_pixel",
            axes=np.array([2, 3]),
        )

    def attend(self, query: Any, key: Any, value: Any) -> Any:
        scores = self._ops.matmul(query, key, False, True)
        return self._ops.matmul((self._ops.softmax(scores, -1)), value, False, False)
