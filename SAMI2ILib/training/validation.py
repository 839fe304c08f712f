"""Measures a network on whole slices while it trains, by the metrics of the evaluation."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from SAMI2ILib.data.dataset import PairedSlice, PairedSlices
from SAMI2ILib.evaluation.metrics import Scores, score_slice
from SAMI2ILib.training.config_rules import CROP_MULTIPLE
from SAMI2ILib.training.crops import read_source
from SAMI2ILib.training.schedule import Measures
from SAMI2ILib.training.session import Session

METRICS: Final = ("psnr", "ssim", "nrmse", "brain_psnr", "brain_ssim", "brain_nrmse")
"""The full field first, then the brain, or the head where a subject has no brain mask."""

_SLICES_A_SUBJECT = 24
_SLICES_FOR_MEAN = 64


def validate(session: Session, pairs: Sequence[PairedSlices]) -> Measures:
    """Measure each target: the mean over a subject's slices, then over the subjects that have it.

    The processes share the subjects; all of them get the same result.

    Args:
        session: Its network is measured as it is now.
        pairs: Subjects; some two dozen evenly spaced slices of each are measured.

    Returns:
        By target: each of `METRICS`, the same with `_sd` for the standard deviation over the
        subjects, and their number as `subjects`. A target that no subject has is left out.
    """
    targets, world = session.config.targets, session.world
    table = torch.full((len(pairs), len(targets), len(METRICS)), 0.0, dtype=torch.float64)
    measured = torch.zeros(len(pairs), len(targets), 1, dtype=torch.float64)
    session.network.eval()
    for number in range(world.rank, len(pairs), world.size):
        for n, rows in enumerate(_measure_subject(session, pairs[number])):
            if rows:
                table[number, n] = torch.tensor(rows, dtype=torch.float64).mean(dim=0)
                measured[number, n] = 1
    session.network.train()
    sent = torch.cat([table, measured], dim=2).to(session.device)
    found = world.sum(sent).cpu().numpy()
    return {
        target: _summary(found[found[:, n, -1] > 0, n, :-1])
        for n, target in enumerate(targets)
        if found[:, n, -1].any()
    }


@torch.no_grad()
def translate_slice(session: Session, pair: PairedSlices, number: int) -> NDArray[np.float32]:
    """Translate one slice of a subject as inference would.

    Returns:
        (T, H, W) float32 in [0, 1], 0 outside the source's foreground.
    """
    source = read_source(pair, number)
    _, height, width = source.shape
    multiple = math.lcm(CROP_MULTIPLE, session.network.size_multiple)
    below, right = -height % multiple, -width % multiple
    padded = torch.from_numpy(np.pad(source, ((0, 0), (0, below), (0, right))))[None]
    output = session.translate(padded.to(session.device))[0, :, :height, :width]
    foreground = pair.subject.foreground(pair.source, pair.subject.slices[number])
    inside: NDArray[np.float32] = output.float().cpu().numpy() * foreground
    return inside


def mean_intensities(
    pairs: Sequence[PairedSlices], targets: Sequence[str], region: str
) -> dict[str, float]:
    """Mean of each target where the losses look, from a few slices.

    Args:
        pairs: Subjects.
        targets: Names of the targets in the order of the channels.
        region: "foreground" or "image", as in the configuration.

    Returns:
        By target, kept off 0 and 1; a target that none of the slices has is left out.
    """
    sums = np.zeros((2, len(targets)))
    for n in evenly(len(pairs), _SLICES_FOR_MEAN):
        item = pairs[n].read(len(pairs[n]) // 2)
        counts = np.isfinite(item.targets)
        if region == "foreground":
            counts &= item.foreground
        sums[0] += np.where(counts, item.targets, 0).sum(axis=(1, 2))
        sums[1] += counts.sum(axis=(1, 2))
    return {
        target: float(np.clip(sums[0, n] / sums[1, n], 0.01, 0.99))
        for n, target in enumerate(targets)
        if sums[1, n] > 0
    }


def evenly(count: int, wanted: int) -> list[int]:
    """Give at most `wanted` numbers below `count`, evenly spaced, the first and last with them."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, wanted))})


def _measure_subject(session: Session, pair: PairedSlices) -> list[list[list[float]]]:
    """The metrics of each measured slice of each target."""
    rows: list[list[list[float]]] = [[] for _ in session.config.targets]
    for number in evenly(len(pair), _SLICES_A_SUBJECT):
        item = pair.read(number)
        output = translate_slice(session, pair, number)
        for n, of_target in enumerate(rows):
            values = _measure_slice(output[n], item, n)
            if values:
                of_target.append(values)
    return rows


def _measure_slice(output: NDArray[np.float32], item: PairedSlice, target: int) -> list[float]:
    """The values of `METRICS`; empty where the target was not measured, or is black."""
    measured = np.isfinite(item.targets[target])
    brain = measured & (item.foreground if item.brain is None else item.brain)
    truth = np.where(measured, item.targets[target], np.float32(0))
    if not truth[brain].any():
        return []
    # SSIM looks around each pixel, so that what was not measured must not differ there
    output = np.where(measured, output, np.float32(0))
    scores = [score_slice(output, truth, region) for region in (measured, brain)]
    return [value for score in scores for value in _values(score)]


def _values(score: Scores) -> tuple[float, float, float]:
    return score.psnr, score.ssim, score.nrmse


def _summary(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean and standard deviation over the subjects, (N, len(METRICS)) by name."""
    summary = {"subjects": float(len(values))}
    for column, metric in enumerate(METRICS):
        summary[metric] = math.fsum(values[:, column]) / len(values)
        summary[f"{metric}_sd"] = float(values[:, column].std(ddof=1)) if len(values) > 1 else 0.0
    return summary
