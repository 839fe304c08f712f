"""Two small classifiers, stored as JSON: is it an MR head, and which contrast does it look like.

Both are logistic regressions on the measurements of `appearance` and their squares. The command
`python -m SAMI2ILib.checks.training` sets them on simulated heads, tests them and writes the file.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.assets import asset_path
from SAMI2ILib.checks.appearance import CONTRAST_NAMES, SHAPE_NAMES

FILE_NAME = "checks/input-checks-1.json"
_REACH = 4.0  # standard deviations: what lies farther counts as that far


@dataclass(frozen=True)
class LogisticModel:
    """Multinomial logistic regression.

    Attributes:
        classes: Names of the classes.
        features: Names of the measurements.
        mean: One a measurement: of the training cases.
        scale: One a measurement: their standard deviation.
        weights: For each class the constant, the measurements' weights and their squares' weights.
    """

    classes: tuple[str, ...]
    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]

    def terms(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, features) measurements to (n, 1 + 2 features) terms."""
        standard = (np.atleast_2d(measured) - self.mean) / self.scale
        standard = np.clip(standard, -_REACH, _REACH)
        return np.hstack([np.ones((len(standard), 1)), standard, standard**2 - 1])

    def probabilities(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, classes): each row sums to 1."""
        return softmax(self.terms(measured) @ np.array(self.weights).T)

    def to_json(self) -> dict[str, Any]:
        """Give the model as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "LogisticModel":
        """Read what `to_json` gave."""
        return cls(
            tuple(fields["classes"]), tuple(fields["features"]), tuple(fields["mean"]),
            tuple(fields["scale"]), tuple(tuple(row) for row in fields["weights"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Classifiers:
    """What the file holds.

    Attributes:
        contrast: Classes T1, T1CE, T2, PD, FLAIR.
        head: Classes head, other.
        least_source: A scan whose probability for the model's contrast is lower is doubted.
        least_alike: The same where a T1 and an enhanced T1 are to be told apart.
        least_head: A scan whose probability for a head is lower is doubted.
    """

    contrast: LogisticModel
    head: LogisticModel
    least_source: float
    least_alike: float
    least_head: float

    def likely_contrast(self, measured: NDArray[np.float64]) -> str:
        """The most probable contrast."""
        return self.contrast.classes[int(np.argmax(self.contrast.probabilities(measured)[0]))]

    def is_unlike(self, measured: NDArray[np.float64], source: str) -> bool:
        """Whether a contrast, of the known ones, is to be doubted."""
        chance = self.contrast.probabilities(measured)[0, self.contrast.classes.index(source)]
        are_alike = {source, self.likely_contrast(measured)} == {"T1", "T1CE"}
        return bool(chance < (self.least_alike if are_alike else self.least_source))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of scores to rows of probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


@lru_cache(maxsize=1)
def load_classifiers() -> Classifiers:
    """Read the classifiers that come with the software."""
    return read_classifiers(asset_path(FILE_NAME).read_text(encoding="utf-8"))


def read_classifiers(text: str) -> Classifiers:
    """Read the JSON that the training command wrote.

    Raises:
        ValueError: Another version wrote it.
    """
    fields = json.loads(text)
    contrast, head = (LogisticModel.from_json(fields[name]) for name in ("contrast", "head"))
    if (contrast.features, head.features) != (CONTRAST_NAMES, SHAPE_NAMES):
        raise ValueError("the file of the input checks was made by another version")
    levels = (fields[name] for name in ("least_source", "least_alike", "least_head"))
    return Classifiers(contrast, head, *levels)
