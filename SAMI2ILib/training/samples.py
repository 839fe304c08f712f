"""Pictures of a run: source, translation, truth and error of a few slices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.data.dataset import PairedSlices
from SAMI2ILib.training.session import Session
from SAMI2ILib.training.validation import translate_slice

_ERROR_GAIN = 4.0  # errors of a quarter of the range are white


def draw_samples(session: Session, pairs: Sequence[PairedSlices], count: int) -> NDArray[np.uint8]:
    """Translate a few slices and lay them out, one a row.

    Args:
        session: Its network is shown as it is now.
        pairs: Subjects to take the slices from, evenly; there is at least one slice.
        count: How many, at least 1.

    Returns:
        (rows, columns) gray: the source, then for each target the translation, the truth, and four
        times their absolute difference; black where a target was not measured.
    """
    slices = [(pair, number) for pair in pairs for number in range(len(pair))]
    count = min(count, len(slices))
    # from the middle of as many equal parts of all slices
    chosen = [slices[(2 * n + 1) * len(slices) // (2 * count)] for n in range(count)]
    session.network.eval()
    rows = [_row(session, pair, number) for pair, number in chosen]
    session.network.train()
    height, width = (max(row.shape[axis] for row in rows) for axis in (0, 1))
    padded = [np.pad(row, ((0, height - row.shape[0]), (0, width - row.shape[1]))) for row in rows]
    picture: NDArray[np.uint8] = np.round(255 * np.concatenate(padded)).astype(np.uint8)
    return picture


def save_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a gray PNG.

    Raises:
        OutputError: It cannot be written.
    """
    from PIL import Image

    with atomic_path(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG")


def _row(session: Session, pair: PairedSlices, number: int) -> NDArray[np.float32]:
    item = pair.read(number)
    images = [item.source[len(item.source) // 2] * item.foreground]
    for output, target in zip(translate_slice(session, pair, number), item.targets, strict=True):
        measured = np.isfinite(target)
        truth = np.where(measured, target, 0)
        error = np.where(measured, _ERROR_GAIN * np.abs(output - truth), 0)
        images += [output, truth, error]
    row: NDArray[np.float32] = np.concatenate(images, axis=1).clip(0, 1)
    return row
