"""What all instances of a synthetic series share: patient, study, series, equipment, origin."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from SAMI2ILib.about import INTENDED_USE, SOFTWARE_NAME, VERSION
from SAMI2ILib.dicom import codes
from SAMI2ILib.dicom.quiet_pydicom import unreadable
from SAMI2ILib.dicom.source_series import SourceSeries
from SAMI2ILib.dicom.synthesis import Synthesis
from SAMI2ILib.dicom.uids import new_uid, uid_for
from SAMI2ILib.errors import InputError

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
# Type 2 of their modules (PS3.3 C.7.1.1, C.7.2.1): present, empty where unknown.
_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
# The rest of the patient, study, trial and frame of reference that belongs to any series of it.
_ALSO_COPIED = (
    "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence",
    "PatientBirthTime", "OtherPatientNames", "EthnicGroup", "PatientComments",
    "PatientSpeciesDescription", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
    "StudyDescription", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
    "IssuerOfAccessionNumberSequence", "ReferencedStudySequence", "ProcedureCodeSequence",
    "PatientAge", "PatientSize", "PatientWeight", "Occupation", "AdditionalPatientHistory",
    "AdmittingDiagnosesDescription", "AdmissionID", "IssuerOfAdmissionIDSequence",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "TimezoneOffsetFromUTC", "BodyPartExamined", "AnatomicRegionSequence", "Laterality",
    "PatientPosition", "PositionReferenceIndicator",
)  # fmt: skip
_ALSO_GIVEN = ("StudyInstanceUID", "StudyDescription", "PatientComments")
_SCANNER = (
    "Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber",
    "SoftwareVersions", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName",
)  # fmt: skip
_LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
# Empty, because nothing was acquired (PS3.3 C.8.3.1: type 2 of an MR image).
_NOT_ACQUIRED = (
    "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength",
)  # fmt: skip
# An unknown patient gets a number that is the same for all results of one source.
_PSEUDONYM_DIGITS = 12
_SERIES_NUMBER_STEP = 9000
_LONG_STRING = 64
_SYNTHETIC_DATA = 0x0008001C  # by number: pydicom 2.4 does not know its name


@dataclass(frozen=True)
class ExportOptions:
    """Choices for one series.

    Attributes:
        burn_in_mark: Write the word SYNTHETIC into the pixels of every slice.
        series_number: For the series list; 9000 more than the source's where left out.
        synthetic_data_attribute: Set Synthetic Data (0008,001C) to YES. Validators and archives
            that know the standard as it was before 2023 call it an error.
        patient: Values for patient and study by DICOM keyword (`PatientID`), where there is no
            source; empty values and other keywords are ignored.

    Raises:
        InputError: A series number that DICOM cannot hold.
    """

    burn_in_mark: bool = False
    series_number: int | None = None
    synthetic_data_attribute: bool = False
    patient: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.series_number is not None and not 0 <= self.series_number < 2**31:
            raise InputError(
                f"The series number must be 0 to {2**31 - 1}, not {self.series_number}.",
                "DICOM has no other ones.",
            )


def series_header(
    pydicom: Any, synthesis: Synthesis, source: SourceSeries | None, options: ExportOptions
) -> Any:
    """Make the `pydicom.Dataset` that every instance starts from.

    Args:
        pydicom: From `quiet_pydicom`.
        synthesis: Where the volume comes from.
        source: The series that it was made from; without it patient and study get identifiers
            that are the same for all results of one source file.
        options: As the user chose.
    """
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.Modality = MR_IMAGE_STORAGE, "MR"
    if source is None:
        _set_unknown_patient(header, synthesis, options.patient)
    else:
        _copy(header, source.header, (*_PATIENT_AND_STUDY, *_ALSO_COPIED))
        header.StudyInstanceUID = str(source.header.StudyInstanceUID)
        header.FrameOfReferenceUID = source.header.get("FrameOfReferenceUID") or new_uid()
    for keyword in (*_PATIENT_AND_STUDY, "PatientPosition", "PositionReferenceIndicator"):
        if keyword not in header:
            setattr(header, keyword, "")
    if "BodyPartExamined" not in header and "Laterality" not in header:
        header.Laterality = ""  # asked for where nothing says that the part is not a paired one
    _set_series(header, synthesis, source, options)
    _set_equipment(pydicom, header, synthesis, source)
    _set_origin(pydicom, header, synthesis, options)
    _set_compression(header, source)
    header.ScanningSequence, header.SequenceVariant = "RM", "NONE"  # RM: research mode
    for keyword in _NOT_ACQUIRED:
        setattr(header, keyword, "" if keyword in ("ScanOptions", "MRAcquisitionType") else None)
    return header


def _set_unknown_patient(header: Any, synthesis: Synthesis, given: Mapping[str, str]) -> None:
    known = synthesis.source_sha256 or new_uid()
    digits = known.replace(".", "")[-_PSEUDONYM_DIGITS:].upper()
    header.PatientName, header.PatientID = f"SYNTHETIC^{digits}", f"SYNTHETIC-{digits}"
    header.StudyID = digits
    for keyword in (*_PATIENT_AND_STUDY, *_ALSO_GIVEN):
        if given.get(keyword):
            setattr(header, keyword, given[keyword])
    if not given.get("StudyInstanceUID"):
        header.StudyInstanceUID = uid_for(f"study of {known} {given.get('PatientID', '')}")
    header.FrameOfReferenceUID = uid_for(f"frame of reference of {known}")


def _set_series(
    header: Any, synthesis: Synthesis, source: SourceSeries | None, options: ExportOptions
) -> None:
    header.SeriesInstanceUID = new_uid()
    described = str(source.header.get("SeriesDescription", "")) if source else ""
    text = f"SYNTHETIC {synthesis.target} from {described or synthesis.source_contrast}"
    header.SeriesDescription = text[:_LONG_STRING].strip()
    header.SeriesNumber = options.series_number
    if options.series_number is None:
        header.SeriesNumber = _SERIES_NUMBER_STEP + _source_number(source)
    now = datetime.now(UTC).astimezone(_zone_of(header))
    header.SeriesDate = header.InstanceCreationDate = now.strftime("%Y%m%d")
    header.SeriesTime = header.InstanceCreationTime = now.strftime("%H%M%S")
    made_at = synthesis.made_at.astimezone(_zone_of(header))
    header.ContentDate = made_at.strftime("%Y%m%d")
    header.ContentTime = made_at.strftime("%H%M%S")


def _source_number(source: SourceSeries | None) -> int:
    try:
        return int(source.header.get("SeriesNumber") or 1) if source else 1
    except unreadable():
        return 1


def _zone_of(header: Any) -> tzinfo | None:
    """The zone that the header's times are in; None, the machine's own, where it says none."""
    offset = str(header.get("TimezoneOffsetFromUTC", ""))
    try:
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    except (ValueError, IndexError):
        return None


def _set_equipment(
    pydicom: Any, header: Any, synthesis: Synthesis, source: SourceSeries | None
) -> None:
    """Ours made the series; the scanner, and what came after it, contributed."""
    header.Manufacturer, header.ManufacturerModelName = SOFTWARE_NAME, "SAM-I2I"
    header.SoftwareVersions = VERSION
    items = []
    if source is not None:
        scanner = pydicom.Dataset()
        _copy(scanner, source.header, _SCANNER)
        if not scanner.get("Manufacturer"):
            scanner.Manufacturer = "UNKNOWN"
        scanner.PurposeOfReferenceCodeSequence = codes.code_sequence(
            pydicom, codes.ACQUISITION_EQUIPMENT
        )
        items.append(scanner)
        _copy(header, source.header, ("ContributingEquipmentSequence",))
        items += list(header.get("ContributingEquipmentSequence") or [])
    ours = pydicom.Dataset()
    ours.Manufacturer, ours.ManufacturerModelName = SOFTWARE_NAME, "SAM-I2I"
    ours.SoftwareVersions = synthesis.software[:_LONG_STRING]
    ours.ContributionDateTime = synthesis.made_at.strftime("%Y%m%d%H%M%S%z")[:19]
    ours.ContributionDescription = f"Synthesis of {synthesis.target} by {synthesis.model}"
    ours.PurposeOfReferenceCodeSequence = codes.code_sequence(pydicom, codes.SYNTHESIZING_EQUIPMENT)
    header.ContributingEquipmentSequence = pydicom.Sequence([*items, ours])


def _set_origin(pydicom: Any, header: Any, synthesis: Synthesis, options: ExportOptions) -> None:
    header.ImageType = ["DERIVED", "SECONDARY", "OTHER", "SYNTHETIC"]
    if options.synthetic_data_attribute:
        header.add_new(_SYNTHETIC_DATA, "CS", "YES")
    header.BurnedInAnnotation = "YES" if options.burn_in_mark else "NO"
    header.DerivationDescription = (
        f"Synthetic {synthesis.target}, estimated from {synthesis.source_contrast} by the model "
        f"{synthesis.model} (SHA-256 {synthesis.model_sha256}) with {synthesis.software}. "
        f"Nothing was acquired. {INTENDED_USE}"
    )
    header.DerivationCodeSequence = codes.code_sequence(pydicom, codes.CONTRAST_SYNTHESIS)
    header.CodingSchemeIdentificationSequence = codes.own_scheme_identification(pydicom)
    header.ImageComments = " ".join(
        [f"SYNTHETIC {synthesis.target}.", INTENDED_USE, *synthesis.doubts]
    )


def _set_compression(header: Any, source: SourceSeries | None) -> None:
    """What was lossy once stays so for all that is made from it."""
    lossy = source is not None and source.header.get("LossyImageCompression") == "01"
    header.LossyImageCompression = "01" if lossy else "00"
    if source is not None and lossy:
        _copy(header, source.header, _LOSSY)


def _copy(target: Any, source: Any, keywords: tuple[str, ...]) -> None:
    """Take over what is there and can be read; the value stays as it stands."""
    for keyword in keywords:
        if keyword not in source:
            continue
        try:
            target[keyword] = copy.deepcopy(source[keyword])
        except unreadable():
            continue
