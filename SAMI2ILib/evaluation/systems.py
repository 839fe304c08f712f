"""What can be measured on a prepared pair: a model, or the best table of intensities."""

from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np

from SAMI2ILib.errors import ModelError
from SAMI2ILib.evaluation.lookup_table import LookupTable
from SAMI2ILib.evaluation.prepared_pairs import PreparedPair
from SAMI2ILib.imaging.intensity import PERCENTILE
from SAMI2ILib.imaging.volume import FloatArray, Volume
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.predictor import Predictor, TorchPredictor
from SAMI2ILib.inference.translate import prepare_volume, translate_prepared

LOOKUP_TABLE: Final = "lookup-table"


class System(Protocol):
    """Makes a target from a source."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def predict(self, pair: PreparedPair) -> FloatArray:
        """Translate `pair.source`; the target is not looked at.

        Returns:
            (K, J, I) float32 in [0, 1].
        """


class ModelSystem:
    """A model, run as `translate` runs it, on data that are prepared already.

    Args:
        model: From `load_model`.
        predictor: Where its network runs; made for the best device when None.
        name: What tables call it; the model's id when empty.

    Raises:
        ModelError: The model scales its volumes by another percentile than datasets do.
    """

    def __init__(
        self, model: LoadedModel, predictor: Predictor | None = None, name: str = ""
    ) -> None:
        percentile = model.spec.preprocessing.normalization.percentile
        if percentile != PERCENTILE:
            raise ModelError(
                f"The model {model.spec.id!r} works on volumes scaled by their "
                f"{percentile:g}th percentile, but datasets hold them scaled by the "
                f"{PERCENTILE:g}th.",
                "Measure it on scans: sami2i evaluate --subjects FOLDER.",
            )
        self.name = name or model.spec.id
        self._model = model
        self._predictor = predictor or TorchPredictor(
            model.network, select_device(precision="fp32")
        )

    def predict(self, pair: PreparedPair) -> FloatArray:
        """Translate the slices that hold a part of the head; the others stay 0."""
        reach = self._model.spec.preprocessing.context_slices // 2
        filled = np.flatnonzero(pair.foreground.any(axis=(1, 2)))
        prediction = np.zeros_like(pair.source.array_kji)
        if filled.size == 0:
            return prediction
        # with the neighbors that the outermost of them look at
        first, last = max(0, int(filled[0]) - reach), int(filled[-1]) + reach + 1
        part = _slab(pair.source, first, last)
        prepared = prepare_volume(part, self._model.spec.preprocessing, normalize=False)
        made = translate_prepared(prepared, self._model, self._predictor).volume.array_kji
        prediction[first:last] = np.clip(made, 0, 1)
        return prediction


class LookupTableSystem:
    """The best curve from source to target intensity, see `LookupTable`.

    Args:
        table: The curve.
    """

    def __init__(self, table: LookupTable) -> None:
        self.name = LOOKUP_TABLE
        self._table = table

    @classmethod
    def fit(cls, pairs: Iterable[PreparedPair]) -> "LookupTableSystem":
        """Find the curve in the brains of some subjects; every voxel counts alike.

        Raises:
            InputError: There is no voxel at all.
        """
        table = LookupTable.fit(
            (pair.source.array_kji[inside], pair.target[inside])
            for pair in pairs
            for inside in [pair.region & pair.measured]
        )
        return cls(table)

    def predict(self, pair: PreparedPair) -> FloatArray:
        """Look up every voxel of the head."""
        return np.where(pair.foreground, self._table.apply(pair.source.array_kji), np.float32(0))


def _slab(volume: Volume, first: int, last: int) -> Volume:
    """Slices from `first` to before `last`, where they lie."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * first
    return Volume(volume.array_kji[first:last], matrix, volume.name)
