"""The translated images that CycleGAN's discriminators remember."""

import torch
from torch import Tensor


class ImagePool:
    """Half of the time gives an earlier image instead of the newest one.

    Args:
        size: Images that it remembers; 0 remembers none.

    Attributes:
        images: (N, 1, S, S), N up to `size`; empty before the first.

    Source:
        Shrivastava et al., arXiv 1612.07828, Sec. 2.3; CycleGAN, arXiv 1703.10593, Sec. 4.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.images = torch.empty(0)

    def exchange(self, images: Tensor, draws: Tensor) -> Tensor:
        """Remember images and give as many back, some of them from before.

        Args:
            images: (B, 1, S, S) without a graph.
            draws: (B, 2 or more) in [0, 1): whether to exchange an image, and for which.

        Returns:
            (B, 1, S, S).
        """
        if self._size == 0:
            return images
        given = []
        for image, (whether, which) in zip(images, draws[:, :2].tolist(), strict=True):
            if len(self.images) < self._size:
                before = [self.images] if len(self.images) else []
                self.images = torch.cat([*before, image[None]])
                given.append(image)
            elif whether < 0.5:
                given.append(image)
            else:
                number = int(which * self._size)
                given.append(self.images[number].clone())
                self.images[number] = image
        return torch.stack(given)
