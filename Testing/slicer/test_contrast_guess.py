"""The guess at a volume's contrast, and when there is none."""

import pytest
from SAMI2IPanel.contrast_guess import Guess, guessContrast


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("sub-01_ses-2_T1w", "T1"),
        ("sub-01_PDw.nii.gz", "PD"),
        ("sub-01_FLAIR", "FLAIR"),
        ("sub-01_T2starw", "T2starw"),
        ("IXI012-HH-1211-T1.nii.gz", "T1"),
        ("SimulatedHead_T1", "T1"),
        ("MPRAGE", "T1"),
        ("sag_3dT1_iso", "T1"),
        ("t2_tse_tra", "T2"),
        ("T2 FLAIR", "FLAIR"),
        ("t1 flair", "T1"),
        ("proton density", "PD"),
        ("MRHead", ""),
        ("CT12", ""),
        ("AT10", ""),
        ("PDF", ""),
    ],
)
def test_names_tell_the_contrast_or_nothing(name, contrast):
    assert guessContrast({}, [name]).contrast == contrast


def test_dicom_description_counts_more_than_the_name():
    guess = guessContrast({"SeriesDescription": "Ax T2 FSE"}, ["head_T1"])
    assert guess == Guess("T2", "DICOM SeriesDescription")


@pytest.mark.parametrize(
    ("repetition", "echo", "contrast"),
    [
        ("550", "12", "T1"),
        ("4000", "100", "T2"),
        ("2500", "20", "PD"),
        ("8", "3", ""),
        ("x", "", ""),
    ],
)
def test_times_of_a_spin_echo_tell_the_contrast(repetition, echo, contrast):
    tags = {"RepetitionTime": repetition, "EchoTime": echo}
    assert guessContrast(tags, ["5 axial"]).contrast == contrast


def test_inversion_time_makes_the_other_times_say_nothing():
    tags = {"RepetitionTime": "9000", "EchoTime": "110", "InversionTime": "2500"}
    assert guessContrast(tags, ["5 axial"]) == Guess()


def test_file_name_in_bids_form_counts_before_a_word_in_the_node_name():
    guess = guessContrast({}, ["sub-01_T1w.nii.gz", "looks like T2"])
    assert guess == Guess("T1", "BIDS name")
