"""The quality table: how each contrast came to lie on the reference, and which stand out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Robust z-score of the mutual information below which a registration stands out, and how many
# others it takes to say so.
_OUTLIER_Z, _ENOUGH = -3.5, 8


@dataclass(frozen=True)
class QualityRow:
    """One contrast of one subject.

    Attributes:
        record: The subject's record in the manifest.
        split: Its part.
        contrast: Not the reference.
        z: Robust z-score of its mutual information among the same contrast of all subjects; the
            lower, the worse. 0 where there are too few to compare.
    """

    record: Mapping[str, Any]
    split: str
    contrast: str
    z: float

    @property
    def placement(self) -> Mapping[str, Any]:
        """How it was placed, with the mutual information before and after."""
        placement: Mapping[str, Any] = self.record["details"]["placements"][self.contrast]
        return placement

    @property
    def subject(self) -> str:
        """The subject's name."""
        return str(self.record["name"])

    @property
    def codes(self) -> list[str]:
        """Codes of the subject's warnings, and of this row's own."""
        own = ["low-mutual-information"] if self.z < _OUTLIER_Z else []
        if self.placement["information_after"] < self.placement["information_before"]:
            own.append("registration-lost")
        shared = [warning["code"] for warning in self.record["details"]["warnings"]]
        return list(dict.fromkeys(shared + own))

    def cells(self) -> dict[str, object]:
        """The row of the table, by column."""
        record, placement = self.record, self.placement
        return {
            "subject": self.subject,
            "person": record["person"],
            "site": record["site"],
            "split": self.split,
            "contrast": self.contrast,
            "placement": placement["how"],
            "mi_before": f"{placement['information_before']:.4f}",
            "mi_after": f"{placement['information_after']:.4f}",
            "mi_z": f"{self.z:.2f}",
            "rotation_deg": f"{placement['rotation_deg']:.3f}",
            "translation_mm": f"{placement['translation_mm']:.3f}",
            "slices": len(record["slices"]),
            "scale": f"{record['details']['scales'][self.contrast]:.6g}",
            "warnings": " ".join(self.codes),
        }


def quality_rows(
    records: Sequence[Mapping[str, Any]], splits: Mapping[str, str]
) -> list[QualityRow]:
    """Judge every contrast beside the others of its kind, worst first.

    Args:
        records: Of `write_subject`, with the details that the preparation adds.
        splits: Part of each subject.
    """
    values: dict[str, list[float]] = defaultdict(list)
    found = []
    for record in records:
        for contrast, placement in record["details"]["placements"].items():
            if placement["how"] != "reference":
                values[contrast].append(placement["information_after"])
                found.append((record, contrast, placement["information_after"]))
    rows = [
        QualityRow(record, splits[record["name"]], contrast, _z(after, values[contrast]))
        for record, contrast, after in found
    ]
    return sorted(rows, key=_badness)


def _badness(row: QualityRow) -> tuple[float, bool, float, str, str]:
    """Worst first; where there are too few to compare, what was registered comes first."""
    registered = row.placement["how"] == "registered"
    return row.z, not registered, row.placement["information_after"], row.subject, row.contrast


def _z(value: float, everybody: Sequence[float]) -> float:
    if len(everybody) < _ENOUGH:
        return 0.0
    middle = float(np.median(everybody))
    deviation = 1.4826 * float(np.median(np.abs(np.array(everybody) - middle)))
    return (value - middle) / deviation if deviation > 0 else 0.0
