"""What a translation promises, tried with a network that returns its input."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from SAMI2ILib.errors import CancelledError, InputError, ModelError
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.imaging.working_grid import plan_working_grid
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.predictor import Predictor, TorchPredictor
from SAMI2ILib.inference.translate import TranslateOptions, check_contrasts, translate
from SAMI2ILib.weights import Normalization

RAW = TranslateOptions(normalize=False)


def affine(*columns, origin=(10.0, -20.0, 5.0)):
    """Build ijk_to_ras from the directions of i, j, k times their spacing."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(columns, dtype=float).T
    matrix[:3, 3] = origin
    return matrix


def rotated(degrees, spacing=(1.0, 1.0, 1.0)):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing)
    return matrix


WITHOUT_RESAMPLING = {
    "axial": affine((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "sagittal": affine((0, -1, 0), (0, 0, -1), (-1, 0, 0)),
    "coronal": affine((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "left-handed": affine((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "oblique by 8 degrees": rotated(8),
    "thick slices": rotated(0, spacing=(1.0, 1.0, 4.0)),
    "near the model's spacing": rotated(0, spacing=(0.93, 0.93, 1.2)),
}
WITH_RESAMPLING = {
    "oblique by 25 degrees": rotated(25),
    "anisotropic in the axial plane": affine((0, -1, 0), (0, 0, -1), (-1.3, 0, 0)),
    "finer than the model": rotated(0, spacing=(0.7, 0.7, 1.5)),
    "coarser than the model": rotated(0, spacing=(2.0, 2.0, 2.0)),
}


@pytest.fixture
def identity_predictor(identity_model):
    return TorchPredictor(identity_model.network, select_device("cpu", "fp32"), batch_size=4)


@pytest.mark.parametrize("ijk_to_ras", WITHOUT_RESAMPLING.values(), ids=WITHOUT_RESAMPLING)
def test_identity_returns_the_input_bit_for_bit_when_nothing_is_resampled(
    make_head, identity_model, identity_predictor, ijk_to_ras
):
    head = make_head(ijk_to_ras=ijk_to_ras)
    result = translate(head, identity_model, identity_predictor, RAW).volume
    assert np.array_equal(result.array_kji, head.array_kji)
    assert np.array_equal(result.ijk_to_ras, head.ijk_to_ras)


@pytest.mark.parametrize("ijk_to_ras", WITHOUT_RESAMPLING.values(), ids=WITHOUT_RESAMPLING)
def test_identity_over_scale_is_the_clipped_input_inside_the_foreground(
    make_head, identity_model, identity_predictor, ijk_to_ras
):
    head = make_head(ijk_to_ras=ijk_to_ras)
    translation = translate(head, identity_model, identity_predictor)
    mask = find_foreground(head)
    percentile = np.percentile(head.array_kji[mask], 99.5)
    expected = np.clip(head.array_kji, 0, percentile)
    restored = translation.volume.array_kji / translation.scale
    assert np.abs(restored - expected)[mask].max() <= 1e-5 * percentile
    assert translation.scale == pytest.approx(1000 / percentile)


def test_percentile_of_the_model_is_the_one_that_counts(
    make_head, identity_model, identity_predictor
):
    normalization = Normalization(percentile=80.0)
    preprocessing = replace(identity_model.spec.preprocessing, normalization=normalization)
    model = replace(identity_model, spec=replace(identity_model.spec, preprocessing=preprocessing))
    head = make_head()
    translation = translate(head, model, identity_predictor)
    expected = np.percentile(head.array_kji[find_foreground(head)], 80)
    assert translation.percentile == pytest.approx(expected)
    assert translation.volume.array_kji[head.array_kji > expected].min() == 1000


@pytest.mark.parametrize("ijk_to_ras", WITH_RESAMPLING.values(), ids=WITH_RESAMPLING)
def test_identity_returns_the_input_within_interpolation_error_when_resampled(
    make_head, identity_model, identity_predictor, ijk_to_ras
):
    head = make_head(shape_kji=(40, 48, 44), ijk_to_ras=ijk_to_ras)
    translation = translate(head, identity_model, identity_predictor)
    assert np.array_equal(translation.volume.ijk_to_ras, head.ijk_to_ras)
    assert translation.volume.array_kji.shape == head.array_kji.shape
    # Away from the phantom's two sharp edges the error is that of smooth data.
    inside = ndimage.binary_erosion(find_foreground(head), iterations=6)
    error = np.abs(translation.volume.array_kji / translation.scale - head.array_kji)[inside]
    assert inside.sum() > 1000
    assert np.median(error) <= 0.02 * head.array_kji.max()


@pytest.mark.parametrize("shape_kji", [(1, 32, 32), (3, 3, 3), (4, 5, 7), (9, 100, 90)])
def test_identity_returns_the_input_for_single_slice_tiny_and_tiled_volumes(
    make_head, identity_model, identity_predictor, shape_kji
):
    head = make_head(shape_kji=shape_kji)
    result = translate(head, identity_model, identity_predictor, RAW).volume
    np.testing.assert_allclose(result.array_kji, head.array_kji, rtol=1e-6, atol=1e-3)


def test_background_is_exactly_zero_outside_the_foreground(
    make_head, identity_model, identity_predictor
):
    head = make_head(ijk_to_ras=rotated(25))
    result = translate(head, identity_model, identity_predictor).volume.array_kji
    assert not result[~find_foreground(head)].any()
    assert result.max() > 0


def test_slices_without_foreground_are_not_translated(
    make_head, identity_model, identity_predictor
):
    head = make_head()
    padded = np.pad(head.array_kji, ((5, 3), (0, 0), (0, 0)))
    translation = translate(Volume(padded, head.ijk_to_ras), identity_model, identity_predictor)
    assert translation.slice_count == len(padded)
    assert translation.translated_slice_count <= len(padded) - 8


def test_input_is_not_changed(make_head, identity_model, identity_predictor):
    head = make_head()
    before = head.array_kji.copy()
    translate(head, identity_model, identity_predictor)
    assert np.array_equal(head.array_kji, before)


def test_result_is_the_same_for_every_batch_size(make_head, identity_model):
    results = [
        translate(
            make_head(),
            identity_model,
            TorchPredictor(identity_model.network, select_device("cpu", "fp32"), size),
        ).volume.array_kji
        for size in (1, 5)
    ]
    assert np.array_equal(*results)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_volume_is_refused(identity_model, identity_predictor, value):
    flat = Volume(np.full((9, 20, 20), value), np.eye(4))
    with pytest.raises(InputError, match=f"constant: every voxel is {value:g}"):
        translate(flat, identity_model, identity_predictor)


def test_memory_grows_by_five_copies_of_the_slices_at_most(
    make_head, identity_model, identity_predictor
):
    peaks, sizes = [], []
    for slices in (40, 80):
        head = make_head((slices, 64, 64))
        sizes.append(head.array_kji.nbytes)
        tracemalloc.start()
        translate(head, identity_model, identity_predictor)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 5 * (sizes[1] - sizes[0])


def test_few_slices_are_said(make_head, identity_model, identity_predictor):
    translation = translate(make_head(shape_kji=(3, 48, 40)), identity_model, identity_predictor)
    assert [notice.code for notice in translation.notices] == ["few-slices"]
    assert "3 axial slices" in translation.notices[0].message


def test_cancel_stops_before_the_next_batch(make_head, identity_model, identity_predictor):
    answers = iter([False, True])
    with pytest.raises(CancelledError):
        translate(
            make_head(), identity_model, identity_predictor, is_cancelled=lambda: next(answers)
        )


def test_output_that_is_not_finite_is_said_of_the_model(make_head, identity_model):
    class Overflowing(Predictor):
        batch_size = 4

        def predict(self, batch):
            return np.full((len(batch), *batch.shape[2:]), np.inf, np.float32)

    with pytest.raises(ModelError, match=r"'identity' computed values .* not finite"):
        translate(make_head(), identity_model, Overflowing())


def test_progress_counts_translated_slices(make_head, identity_model, identity_predictor):
    events = []
    translation = translate(
        make_head(), identity_model, identity_predictor, on_progress=lambda *e: events.append(e)
    )
    assert [e for e in events if e[0] == "translate"][-1] == (
        "translate",
        translation.translated_slice_count,
        translation.translated_slice_count,
    )
    assert list(dict.fromkeys(stage for stage, _, _ in events)) == [
        "prepare",
        "translate",
        "finish",
    ]


def test_context_slices_reach_the_network(make_head, identity_model, identity_predictor):
    spec = replace(
        identity_model.spec,
        preprocessing=replace(identity_model.spec.preprocessing, context_slices=3),
    )
    model = replace(identity_model, spec=spec)
    head = make_head()
    result = translate(head, model, identity_predictor, RAW).volume
    assert np.array_equal(result.array_kji, head.array_kji)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [("PD", None, "source contrast T1, not PD"), (None, "FLAIR", "target contrast T2, not FLAIR")],
)
def test_model_for_another_contrast_is_refused(identity_model, source, target, message):
    with pytest.raises(ModelError, match=message):
        check_contrasts(identity_model, source, target)


def test_contrast_names_are_compared_without_case(identity_model):
    check_contrasts(identity_model, "t1", "t2")


def test_result_on_the_grid_of_the_slices_is_given_when_asked_for(
    make_head, identity_model, identity_predictor
):
    head = make_head(ijk_to_ras=WITH_RESAMPLING["coarser than the model"])
    options = TranslateOptions(keep_working=True)
    result = translate(head, identity_model, identity_predictor, options)
    assert result.working.spacing_mm[:2] == pytest.approx((1.0, 1.0))
    back = plan_working_grid(head.grid).from_working(result.working).array_kji
    inside = result.volume.array_kji > 0
    expected = np.clip(back[inside], 0, 1000)
    np.testing.assert_allclose(result.volume.array_kji[inside], expected, atol=1e-2)
    assert translate(head, identity_model, identity_predictor).working is None
