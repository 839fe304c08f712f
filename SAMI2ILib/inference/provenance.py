"""The record that goes with every synthetic volume, so that it cannot pass for a real one."""

from datetime import UTC, datetime
from typing import Any

from SAMI2ILib.about import INTENDED_USE, SIDECAR_VERSION, SOFTWARE_NAME, VERSION
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.ensemble import Ensemble
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.predictor import BackEnd
from SAMI2ILib.inference.translate import Translation


def describe(
    translation: Translation,
    model: LoadedModel,
    device: Device,
    source: dict[str, Any],
    ensemble: Ensemble | None = None,
    back_end: BackEnd | None = None,
) -> dict[str, Any]:
    """Say how a synthetic volume came about.

    Args:
        translation: What `translate` returned.
        model: The model that made it.
        device: Where it ran.
        source: From `describe_source_file`, or the panel's name of the source node.
        ensemble: What translated it, where that was more than one pass of one model.
        back_end: What the network ran on.

    Returns:
        JSON-ready fields. They hold file names only: no folder, no patient's name or number.
    """
    spec = model.spec
    return {
        "sidecar_version": SIDECAR_VERSION,
        "synthetic": True,
        "intended_use": INTENDED_USE,
        "source": source,
        "source_contrast": spec.source_contrast,
        "target_contrast": spec.target_contrast,
        "model": {
            "id": spec.id,
            "title": spec.title,
            "sha256": model.sha256,
            "encoder_sha256": model.encoder_sha256,
            "license": spec.license,
        },
        "intensity": {
            "unit": "arbitrary",
            "scale": translation.scale,
            "percent": spec.preprocessing.normalization.percentile,
            "source_percentile": translation.percentile,
        },
        "slices": {
            "axial": translation.slice_count,
            "translated": translation.translated_slice_count,
        },
        **({"ensemble": describe_ensemble(ensemble)} if ensemble else {}),
        "warnings": [
            {"code": notice.code, "message": notice.message} for notice in translation.notices
        ],
        "software": {"name": SOFTWARE_NAME, "version": VERSION},
        "device": {"name": device.description, "precision": device.precision},
        **({"back_end": back_end.to_json()} if back_end else {}),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_ensemble(ensemble: Ensemble) -> dict[str, Any]:
    """Say which models and views were averaged; equal for equal ensembles."""
    return {
        "passes": ensemble.passes,
        "models": [
            {"id": member.model.spec.id, "sha256": member.model.sha256}
            for member in ensemble.members
        ],
        "views": [[view.name for view in member.views] for member in ensemble.members],
    }


def describe_uncertainty(record: dict[str, Any]) -> dict[str, Any]:
    """Turn the record of an ensemble's result, as it is in its sidecar, into its doubt's."""
    kept = {key: value for key, value in record.items() if key != "volume"}
    meaning = (
        "Standard deviation of the ensemble's passes, in the unit of the synthetic image. It ranks "
        "voxels by doubt; it is not the expected error, which is larger."
    )
    if "Description" in kept:  # of BIDS
        kept["Description"] = f"Uncertainty, not an image. {meaning} {kept['Description']}"
    return {
        **kept,
        "quantity": "uncertainty",
        "meaning": meaning,
        "uncertainty_of": record["volume"],
    }
