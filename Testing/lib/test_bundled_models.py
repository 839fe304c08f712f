"""The models that are shipped, on the head that is shipped and on real scans where they are."""

import itertools

import numpy as np
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.geometry import axis_codes
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, IntensityScale
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import Grid, Volume
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.inference.predictor import TorchPredictor
from SAMI2ILib.inference.translate import translate
from SAMI2ILib.weights.store import Store
from Testing.lib.real_data import REAL_DATA, needs_real_data


@pytest.fixture(scope="module")
def bundled():
    """Load each bundled model once."""
    return {target: load_model(Store().choose("T1", target).path) for target in ("T2", "PD")}


def run(volume, model):
    predictor = TorchPredictor(model.network, select_device("cpu", "fp32"))
    return translate(volume, model, predictor).volume


def some_slices(volume, count=12):
    """Take slices around the middle, which hold the ventricles."""
    first = len(volume.array_kji) // 2 - count // 2 + 6
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += first * matrix[:3, 2]
    return Volume(volume.array_kji[first : first + count], matrix, volume.name)


@pytest.mark.parametrize("target", ["T2", "PD"])
def test_bundled_model_is_offered_for_its_pair(bundled, target):
    spec = bundled[target].spec
    assert (spec.source_contrast, spec.target_contrast) == ("T1", target)
    assert spec.encoder.kind == "store"
    assert "Research use only" in spec.intended_use
    assert spec.metrics
    assert "scratch" in spec.title


def test_bundled_models_share_one_encoder(bundled):
    assert bundled["T2"].encoder_sha256 == bundled["PD"].encoder_sha256 != ""


@pytest.mark.parametrize("target", ["T2", "PD"])
def test_bundled_model_is_nearer_to_the_truth_than_its_input(bundled, sample, target):
    t1, truth, brain = (some_slices(sample(name)) for name in ("T1", target, "brain"))
    inside = brain.array_kji > 0
    scale = IntensityScale.fit(truth.array_kji, find_foreground(truth))
    target_values = scale.normalize(truth.array_kji)[inside]
    source_values = IntensityScale.fit(t1.array_kji, find_foreground(t1)).normalize(t1.array_kji)
    synthetic = run(t1, bundled[target]).array_kji[inside] / OUTPUT_RANGE
    error = np.linalg.norm(synthetic - target_values) / np.linalg.norm(target_values)
    error_of_input = np.linalg.norm(source_values[inside] - target_values) / np.linalg.norm(
        target_values
    )
    assert error < 0.5 * error_of_input
    # A PD has little contrast inside the brain, and noise takes its share of the correlation.
    assert np.corrcoef(synthetic, target_values)[0, 1] > {"T2": 0.6, "PD": 0.4}[target]


def test_synthetic_t2_has_bright_fluid_where_the_t1_is_dark(bundled, sample):
    t1 = some_slices(sample("T1"))
    truth = some_slices(sample("T2")).array_kji
    brain = some_slices(sample("brain")).array_kji > 0
    fluid = brain & (truth > np.percentile(truth[brain], 97))
    white_matter = brain & (t1.array_kji > np.percentile(t1.array_kji[brain], 80))
    synthetic = run(t1, bundled["T2"]).array_kji
    assert np.median(synthetic[fluid]) > 1.7 * np.median(synthetic[white_matter])


def tilted(volume, degrees):
    """Resample a head to a grid that is turned about the left-right axis and holds all of it."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    axes = turn @ volume.ijk_to_ras[:3, :3]
    ends = [(0, n - 1) for n in volume.array_kji.shape[::-1]]
    corners = np.array(list(itertools.product(*ends))) @ volume.ijk_to_ras[:3, :3].T
    turned_ijk = np.linalg.solve(axes, (corners + volume.ijk_to_ras[:3, 3]).T)
    lowest = turned_ijk.min(axis=1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, axes @ lowest
    size = np.ceil(turned_ijk.max(axis=1) - lowest).astype(int) + 1
    return resample(volume, Grid(tuple(int(n) for n in size[::-1]), matrix), "bspline")


HEADS = ["sample", pytest.param("template", marks=needs_real_data)]


def correlations_with_the_original(t1, variants, model, rim=0):
    """Correlate the T2 of each turned head, brought back, with the T2 of the head itself."""
    expected, inside = run(t1, model).array_kji, find_foreground(t1)
    inside &= np.pad(np.ones([n - 2 * rim for n in inside.shape], dtype=bool), rim)
    return {
        name: np.corrcoef(
            resample(run(variant, model), t1.grid, "bspline").array_kji[inside], expected[inside]
        )[0, 1]
        for name, variant in variants.items()
    }


def head_named(name):
    if name == "sample":
        return read_volume(asset_path("sample", "T1.nii.gz"))
    return read_volume(REAL_DATA / "template-avg152" / "T1.nii")


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_order_and_direction_of_the_axes_do_not_change_the_anatomy(bundled, head):
    t1 = head_named(head)
    variants = {codes: reorient(t1, codes) for codes in ("PIR", "RIA", "RAS")}
    correlations = correlations_with_the_original(t1, variants, bundled["T2"])
    assert min(correlations.values()) >= 0.99, correlations
    assert axis_codes(variants["PIR"].ijk_to_ras) == "PIR"


def tilt_correlation(head, degrees, model):
    # Where the field of view cuts the head, a turned grid has half a voxel of it and half of zeros.
    t1 = head_named(head)
    return correlations_with_the_original(t1, {"": tilted(t1, degrees)}, model, rim=3)[""]


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_slices_far_from_axial_do_not_change_the_anatomy(bundled, head):
    assert tilt_correlation(head, 30, bundled["T2"]) >= 0.99


@pytest.mark.slow
@pytest.mark.xfail(reason="the bundled model is not stable enough against tilts, see its card")
@pytest.mark.parametrize("head", HEADS)
def test_slices_tilted_a_little_do_not_change_the_anatomy(bundled, head):
    assert tilt_correlation(head, 10, bundled["T2"]) >= 0.99


REAL_T1 = [
    "healthy-chris/T1.nii.gz",
    "ms-mni-07/T1.nii.gz",
    "ms-mni-19/T1.nii.gz",
    "ms-raw-01/T1.nii.gz",
    "ms-raw-04/T1.nii.gz",
    "ms-raw-12/T1.nii.gz",
    "template-avg152/T1.nii",
    "tumor-aurora/T1.nii.gz",
    "tumor-fg6692/T1.nii.gz",
]


@pytest.mark.slow
@needs_real_data
@pytest.mark.parametrize("name", REAL_T1)
def test_real_scan_becomes_a_t2_on_its_own_grid(bundled, name):
    t1 = read_volume(REAL_DATA / name)
    result = run(t1, bundled["T2"])
    assert result.grid.is_same(t1.grid)
    inside = find_foreground(t1)
    assert not result.array_kji[~inside].any()
    assert 100 < np.percentile(result.array_kji[inside], 99.5) <= OUTPUT_RANGE
