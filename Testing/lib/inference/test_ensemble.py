"""The mean and spread of several passes, tried with networks whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from SAMI2ILib.errors import CancelledError, InputError, ModelError
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.ensemble import Ensemble, Member, RunningStatistics
from SAMI2ILib.inference.predictor import TorchPredictor
from SAMI2ILib.inference.translate import TranslateOptions, translate
from SAMI2ILib.inference.views import STRAIGHT, View, views_for

RAW = TranslateOptions(normalize=False)
CPU = select_device("cpu", "fp32")


class Constant(nn.Module):
    """Answer one value everywhere."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, slices):
        return torch.full_like(slices[:, :1], self.value)


class Ramp(nn.Module):
    """Answer with the column's number over 100: the one thing that a flip and a shift change."""

    def forward(self, slices):
        return torch.arange(slices.shape[-1]).expand_as(slices[:, :1]) / 100


@pytest.fixture
def make_member(identity_model):
    def make(network=None, sha256="0" * 64, target="T2", **preprocessing):
        spec = replace(
            identity_model.spec,
            target_contrast=target,
            preprocessing=replace(identity_model.spec.preprocessing, **preprocessing),
        )
        model = replace(
            identity_model, spec=spec, sha256=sha256, network=network or identity_model.network
        )
        return Member(model, TorchPredictor(model.network, CPU, batch_size=4))

    return make


def random_tiles(channels=3):
    return np.random.default_rng(0).random((2, channels, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("view", views_for(3), ids=lambda view: view.name)
def test_undo_brings_every_pixel_back_where_it_was(view):
    tiles = random_tiles()
    expected = tiles[:, 1] ** np.float32(view.gamma)
    assert np.array_equal(view.undo(view.apply(tiles)[:, 1]), expected)


def test_the_straight_view_copies_nothing():
    tiles = random_tiles()
    assert STRAIGHT.apply(tiles) is tiles
    assert STRAIGHT.undo(tiles[:, 1]).base is tiles


def test_views_do_to_tiles_what_they_say():
    tiles = random_tiles()
    flipped = View("", flipped=True).apply(tiles)
    assert np.array_equal(flipped[..., 0], tiles[..., 7])
    shifted = View("", shift=(2, -1)).apply(tiles)
    assert np.array_equal(shifted[..., 2, 0], tiles[..., 0, 1])
    assert np.array_equal(View("", neighbors="reversed").apply(tiles)[:, 0], tiles[:, 2])
    assert np.array_equal(View("", neighbors="repeated").apply(tiles)[:, 2], tiles[:, 1])
    below_zero = View("", gamma=0.5).apply(np.full((1, 1, 2, 2), -0.25, np.float32))
    assert np.array_equal(below_zero, np.full((1, 1, 2, 2), -0.5))


def test_a_model_without_neighbors_is_not_shown_them_twice():
    assert len(views_for(1)) == 6
    assert len(views_for(3)) == 8


def test_running_statistics_are_numpys():
    arrays = np.random.default_rng(0).normal(500, 100, (7, 4, 5, 6)).astype(np.float32)
    running = RunningStatistics()
    for array in arrays:
        running.add(array)
    assert np.allclose(running.mean, arrays.mean(axis=0), rtol=1e-6)
    assert np.allclose(running.standard_deviation(), arrays.std(axis=0), rtol=1e-4)


def test_a_network_that_no_view_can_move_has_no_doubt(make_head, make_member):
    head = make_head()
    member = make_member(Constant(0.25))
    result = Ensemble([member]).translate(head)
    plain = translate(head, member.model, member.predictor)
    assert np.array_equal(result.volume.array_kji, plain.volume.array_kji)
    assert result.uncertainty.array_kji.max() == 0
    assert result.uncertainty.grid.is_same(head.grid)
    assert (plain.uncertainty, plain.passes) == (None, 1)
    assert result.passes == 6


def test_models_that_differ_by_a_known_step_give_it_as_doubt(make_head, make_member):
    members = [make_member(Constant(0.2), "a" * 64), make_member(Constant(0.6), "b" * 64)]
    result = Ensemble(members).translate(make_head())
    inside = result.volume.array_kji > 0
    assert np.allclose(result.volume.array_kji[inside], 400, atol=1e-3)
    assert np.allclose(result.uncertainty.array_kji[inside], 200, atol=1e-2)
    assert not result.uncertainty.array_kji[~inside].any()
    assert result.passes == 12


def test_the_doubt_of_a_ramp_is_that_of_its_views(make_head, make_member):
    member = make_member(Ramp())
    head = make_head((3, 64, 64))
    result = Ensemble([member]).translate(head, RAW)
    column = np.arange(64)
    # straight, flipped, shifted by 8, flipped and then shifted by -3, two of other intensities
    answers = [column, 63 - column, (column + 8) % 64, (60 - column) % 64, column, column]
    assert np.allclose(result.volume.array_kji[1, 5], np.mean(answers, axis=0) / 100, atol=1e-6)
    assert np.allclose(result.uncertainty.array_kji[1, 5], np.std(answers, axis=0) / 100, atol=1e-5)


def test_an_ensemble_is_the_same_every_time(make_head, make_member):
    head, ensemble = make_head(), Ensemble([make_member(context_slices=3)])
    first, second = ensemble.translate(head), ensemble.translate(head)
    assert first.uncertainty.array_kji.any()
    assert np.array_equal(first.volume.array_kji, second.volume.array_kji)
    assert np.array_equal(first.uncertainty.array_kji, second.uncertainty.array_kji)


def test_progress_counts_the_slices_of_all_passes(make_head, make_member):
    said = []
    result = Ensemble([make_member()]).translate(
        make_head(), on_progress=lambda *event: said.append(event)
    )
    counts = [done for stage, done, _ in said if stage == "translate"]
    assert counts == sorted(counts)
    assert counts[-1] == 6 * result.translated_slice_count
    assert {total for stage, _, total in said if stage == "translate"} == {counts[-1]}
    assert [event for event in said if event[0] == "finish"] == [("finish", 1, 1)]


def test_cancel_is_heard_in_the_last_pass(make_head, make_member):
    slices = translate(make_head(), *_parts(make_member())).translated_slice_count
    asked = []

    def is_cancelled():
        asked.append(True)
        return len(asked) > 5 * -(-slices // 4)  # batches of 4 in five passes

    with pytest.raises(CancelledError):
        Ensemble([make_member()]).translate(make_head(), is_cancelled=is_cancelled)
    assert len(asked) == 5 * -(-slices // 4) + 1


def _parts(member):
    return member.model, member.predictor


def test_the_working_grid_gets_the_mean_too(make_head, make_member):
    members = [make_member(Constant(0.2), "a" * 64), make_member(Constant(0.6), "b" * 64)]
    result = Ensemble(members).translate(make_head(), TranslateOptions(keep_working=True))
    assert np.allclose(result.working.array_kji[12], 400, atol=1e-3)


def test_a_doubt_is_said_once_for_all_passes(make_head, make_member):
    result = Ensemble([make_member()]).translate(make_head((5, 48, 40)))
    assert [notice.code for notice in result.notices] == ["few-slices"]


def test_models_of_other_grids_have_no_common_working_grid(make_head, make_member):
    members = [make_member(sha256="a" * 64), make_member(sha256="b" * 64, spacing_mm=2.0)]
    ensemble = Ensemble(members)
    assert ensemble.translate(make_head()).uncertainty.array_kji.any()
    with pytest.raises(InputError, match="work on different grids of slices"):
        ensemble.translate(make_head(), TranslateOptions(keep_working=True))


def test_one_model_twice_is_refused(make_member):
    with pytest.raises(InputError, match="holds one model twice"):
        Ensemble([make_member(), make_member()])


def test_models_of_different_targets_are_refused(make_member):
    with pytest.raises(ModelError, match="makes PD from T1, but 'identity' makes T2"):
        Ensemble([make_member(), make_member(sha256="b" * 64, target="PD")])


def test_an_ensemble_of_nothing_is_refused():
    with pytest.raises(InputError, match="needs at least one model"):
        Ensemble([])
