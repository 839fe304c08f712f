"""Source series as a scanner writes them, and records as a translation writes them."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from SAMI2ILib.dicom.quiet_pydicom import save
from SAMI2ILib.imaging import Volume

STUDY, SERIES, FRAME = (f"1.2.826.0.1.3680043.8.498.{n}" for n in (9, 1, 8))
AXIAL = (1, 0, 0, 0, 1, 0)
NAME = "Yamada^Tarou=山田^太郎"


@pytest.fixture
def record():
    """A fresh copy of what a sidecar holds."""
    return {
        "sidecar_version": 1,
        "synthetic": True,
        "intended_use": "Research use only.",
        "source": {"file": "head.nii.gz", "sha256": "ab" * 32},
        "source_contrast": "T1",
        "target_contrast": "T2",
        "model": {"id": "tiny-t1-t2", "title": "Tiny", "sha256": "cd" * 32, "license": "MIT"},
        "warnings": [{"code": "few-slices", "message": "The volume has only 6 slices."}],
        "software": {"name": "SAM-I2I for 3D Slicer", "version": "0.1.0"},
        "device": {"name": "CPU", "precision": "fp32"},
        "date": "2026-08-01T22:30:00+00:00",
    }


@pytest.fixture
def make_volume():
    """Values of 0 to 1000 that differ everywhere, at a place that no rounding meets."""

    def make(shape_kji=(5, 20, 24), ijk_to_ras=None) -> Volume:
        if ijk_to_ras is None:
            ijk_to_ras = np.diag([-0.75, -0.5, 2.5, 1.0])
            ijk_to_ras[:3, 3] = 10.1, 20.2, -30.3
        values = np.random.default_rng(5).uniform(0, 1000, shape_kji)
        values[0, 0, 0] = 0
        return Volume(values, ijk_to_ras, "head_synth-T2.nii.gz")

    return make


@pytest.fixture
def save_source(tmp_path):
    """Write a complete MR series; returns its folder."""

    def save_series(
        shape_kji=(5, 20, 24), *, folder="source", uid=SERIES, positions=None,
        orientation=AXIAL, change=None, **more,
    ) -> Path:  # fmt: skip
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for k in range(shape_kji[0]):
            dataset = _mr_slice(shape_kji[1:], uid, k)
            dataset.PixelSpacing = ["0.5", "0.75"]
            dataset.ImageOrientationPatient = list(orientation)
            place = (-10.1, -20.2, -30.3 + 2.5 * k) if positions is None else positions[k]
            dataset.ImagePositionPatient = [f"{mm:.6f}" for mm in place]
            for keyword, value in more.items():
                setattr(dataset, keyword, value)
            if change:
                change(dataset, k)
            # The last slice has the first name: order comes from the headers.
            save(dataset, target / f"{uid[-3:]}-{shape_kji[0] - k:03d}")
        return target

    return save_series


def _mr_slice(shape, uid, k):
    dataset = pydicom.Dataset()
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{k + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, uid
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = FRAME, ""
    dataset.PatientName, dataset.PatientID = NAME, "4711"
    dataset.PatientBirthDate, dataset.PatientSex = "19700102", "M"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20250304", "101500", "S1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A-5", "Müller^Anna"
    dataset.SeriesDescription, dataset.SeriesNumber = "t1_mprage", 4
    dataset.Modality, dataset.Manufacturer, dataset.StationName = "MR", "ACME", "MR1"
    dataset.ManufacturerModelName, dataset.PatientPosition = "Magnet 3000", "HFS"
    dataset.BodyPartExamined, dataset.InstanceNumber = "HEAD", k + 1
    dataset.ImageType, dataset.SliceThickness = ["ORIGINAL", "PRIMARY", "M"], "2.5"
    dataset.ScanningSequence, dataset.SequenceVariant = "GR", "SK"
    dataset.RepetitionTime, dataset.EchoTime, dataset.MagneticFieldStrength = "8", "3", "3"
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.full(shape, 100 + k, "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset
