"""One slice of the stack as one DICOM instance: pixels, place, references to the source."""

import copy
from typing import Any

from SAMI2ILib.about import VERSION
from SAMI2ILib.dicom import codes
from SAMI2ILib.dicom.slice_stack import SliceStack
from SAMI2ILib.dicom.source_series import SourceSeries, SourceSlice
from SAMI2ILib.dicom.uids import IMPLEMENTATION_CLASS_UID, new_uid

_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def set_pixel_format(header: Any, stack: SliceStack) -> None:
    """Add what is equal in all slices: size, type, factor, window, spacing, direction."""
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = stack.array_kji.shape[1:]
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = int(stack.is_signed)
    header.RescaleSlope, header.RescaleIntercept = _decimal(stack.slope), "0"
    header.RescaleType = "US"  # unspecified unit
    header.WindowCenter, header.WindowWidth = (_decimal(round(v, 2)) for v in stack.window)
    header.PixelSpacing = [_decimal(stack.spacing_mm[1]), _decimal(stack.spacing_mm[0])]
    header.SliceThickness = header.SpacingBetweenSlices = _decimal(stack.spacing_mm[2])
    directions = stack.axes_lps[:, :2].T.ravel()
    header.ImageOrientationPatient = [_decimal(value) for value in directions]


def make_instance(pydicom: Any, header: Any, stack: SliceStack, index: int) -> Any:
    """Make the `pydicom.Dataset` of one slice, ready to be saved.

    Args:
        pydicom: From `quiet_pydicom`.
        header: What all slices share; it is not changed.
        stack: The slices.
        index: Which one, from 0.
    """
    instance = copy.deepcopy(header)
    instance.SOPInstanceUID = new_uid()
    instance.InstanceNumber = index + 1
    instance.ImagePositionPatient = [_decimal(mm) for mm in stack.positions_lps[index]]
    instance.SliceLocation = _decimal(stack.locations_mm()[index])
    instance.PixelData = stack.stored_slice(index).astype("<i2").tobytes()
    instance["PixelData"].VR = "OW"
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = instance.SOPClassUID
    meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    meta.TransferSyntaxUID = _EXPLICIT_LITTLE_ENDIAN
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"SAMI2I {VERSION}"[:16]
    instance.file_meta = meta
    return instance


def set_source_images(
    pydicom: Any, instance: Any, slices: tuple[SourceSlice, ...], series: SourceSeries
) -> None:
    """Refer to the slices of the source that an instance was made from."""
    images = []
    for one in slices:
        image = _reference(pydicom, one)
        image.SpatialLocationsPreserved = "YES" if len(slices) == 1 else "NO"
        image.PurposeOfReferenceCodeSequence = codes.code_sequence(pydicom, codes.SOURCE_IMAGE)
        images.append(image)
    instance.SourceImageSequence = pydicom.Sequence(images)
    referenced = pydicom.Dataset()
    referenced.SeriesInstanceUID = str(series.header.SeriesInstanceUID)
    referenced.ReferencedInstanceSequence = pydicom.Sequence(
        [_reference(pydicom, one) for one in slices]
    )
    instance.ReferencedSeriesSequence = pydicom.Sequence([referenced])


def _reference(pydicom: Any, one: SourceSlice) -> Any:
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID = one.sop_class_uid
    item.ReferencedSOPInstanceUID = one.sop_instance_uid
    return item


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5, 6.2), as exact as they allow."""
    from pydicom.valuerep import format_number_as_ds

    return str(format_number_as_ds(float(value) + 0.0))
