"""An independent validator, `bids-validator-deno`, accepts the derivative that a cohort becomes."""

import json
import os
import shutil
import subprocess
import sysconfig

import pytest

from SAMI2ILib.inference.output_files import image_stem, sidecar_path, synthetic_name

VALIDATOR = shutil.which("bids-validator-deno", path=sysconfig.get_path("scripts"))
pytestmark = pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")

SCANS = ("sub-01/anat/sub-01_T1w", "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-1_T1w")


@pytest.fixture
def derivative(sami2i, head_file, tiny_model_file, tmp_path):
    """What `translate-cohort --uncertainty` makes of two subjects, one with session and run."""
    data = tmp_path / "data"
    for name in SCANS:
        scan = data / f"{name}.nii.gz"
        scan.parent.mkdir(parents=True)
        shutil.copy(head_file, scan)
    (data / "dataset_description.json").write_text('{"Name": "Heads", "BIDSVersion": "1.10.0"}')
    folder = data / "derivatives/sami2i"
    outcome = sami2i(
        "translate-cohort", data, "-o", folder, "--model", tiny_model_file, "--uncertainty"
    )
    assert outcome.code == 0, outcome.err
    return folder


def errors(folder):
    """What the validator refuses: pairs of a code and the file's name."""
    ended = subprocess.run(
        [VALIDATOR, folder, "--format", "json"],
        # Its run time keeps a cache and asks for newer versions of itself: neither here.
        env={**os.environ, "DENO_DIR": str(folder.parent / "deno"), "DENO_NO_UPDATE_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(ended.stdout)
    assert found["summary"]["subjects"], found  # it has seen a data set
    return sorted(
        (issue["code"], issue["location"].rpartition("/")[2])
        for issue in found["issues"]["issues"]
        if issue["severity"] == "error"
    )


def test_images_and_uncertainty_maps_of_a_cohort_are_accepted(derivative):
    names = {image_stem(path) for path in derivative.rglob("*.nii.gz")}
    assert len(names) == 4
    for image in sorted(derivative.rglob("sub-01_desc-synthetic*_T2w.nii.gz")):
        other = image.name.replace("T2w", "PDw")  # as the other contrast is called
        shutil.copy(image, image.with_name(other))
        shutil.copy(sidecar_path(image), sidecar_path(image.with_name(other)))
    assert synthetic_name("sub-01_T1w", "PD") == "sub-01_desc-synthetic_PDw"
    assert errors(derivative) == []


def test_validator_refuses_what_is_not_bids(derivative):
    image = derivative / "sub-01/anat/sub-01_desc-synthetic_T2w.nii.gz"
    image.rename(image.with_name("sub-01_T1w_synth-T2.nii.gz"))
    (derivative / ".bidsignore").unlink()
    refused = errors(derivative)
    assert ("NOT_INCLUDED", "sub-01_T1w_synth-T2.nii.gz") in refused
    assert ("NOT_INCLUDED", "cohort.csv") in refused
