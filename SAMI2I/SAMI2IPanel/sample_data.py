"""Registers the simulated head that comes with the extension in Slicer's Sample Data module."""

import hashlib
from pathlib import Path

from SAMI2ILib.assets import asset_path
from SAMI2IPanel.i18n import _

CATEGORY = "SAM-I2I"
SAMPLE_NAME = "SAMI2ISimulatedHead"
NODE_NAMES = ("SimulatedHead_T1", "SimulatedHead_T2", "SimulatedHead_PD")
THUMBNAIL = Path(__file__).resolve().parents[1] / "Resources" / "Icons" / "SAMI2ISimulatedHead.png"


def samplePaths() -> list[Path]:
    """The files of the sample: T1, and the true T2 and PD of the same head."""
    return [asset_path("sample", f"{name.rpartition('_')[2]}.nii.gz") for name in NODE_NAMES]


def registerSampleData() -> None:
    """Offer the sample; it lies in the installation, so no network is needed."""
    import SampleData

    paths = samplePaths()
    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # not in Slicer 5.10
        logic.registerCustomSampleDataCategory(CATEGORY, _("SAM-I2I"))
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(THUMBNAIL),
        uris=[path.as_uri() for path in paths],
        fileNames=[f"{name}.nii.gz" for name in NODE_NAMES],
        # A file of an older version in Slicer's cache is not taken for this one.
        checksums=[f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths],
        nodeNames=list(NODE_NAMES),
    )
