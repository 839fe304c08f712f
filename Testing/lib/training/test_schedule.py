"""Budgets, rates and validations, computed by hand."""

import math

import pytest

from SAMI2ILib.training.schedule import Schedule, TrainingState


def schedule(configure, slices=7, **plan):
    return Schedule(configure(optimization={"steps": 0, "batch": 2} | plan), slices)


def test_epochs_become_steps(configure):
    assert schedule(configure, epochs=20).total_steps == 70
    assert schedule(configure, epochs=0.5).total_steps == 2
    assert schedule(configure, steps=9).total_steps == 9
    assert schedule(configure, minutes=9).total_steps is None


def test_budget_in_minutes_is_spent_by_the_clock(configure):
    plan = schedule(configure, minutes=2)
    assert plan.spent(TrainingState(seconds=30)) == 0.25
    assert not plan.is_over(TrainingState(seconds=119))
    assert plan.is_over(TrainingState(seconds=121))


def test_budget_of_the_processor_is_spent_by_its_time_alone(configure):
    plan = schedule(configure, cpu_minutes=2)
    assert plan.total_steps is None
    assert plan.spent(TrainingState(seconds=500, cpu_seconds=30)) == 0.25
    assert not plan.is_over(TrainingState(cpu_seconds=119))
    assert plan.is_over(TrainingState(cpu_seconds=121))


def test_rate_rises_then_falls_along_half_a_cosine(configure):
    plan = schedule(configure, steps=100, warm_up=0.2)
    factors = [plan.rate_factor(TrainingState(step)) for step in (0, 10, 20, 60, 100)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 0.5, 0.0])
    constant = schedule(configure, steps=100, warm_up=0.2, schedule="constant")
    assert [constant.rate_factor(TrainingState(s)) for s in (10, 20, 99)] == [0.5, 1, 1]


def test_linear_rate_stays_for_half_and_falls_to_zero(configure):
    plan = schedule(configure, steps=100, warm_up=0.0, schedule="linear")
    factors = [plan.rate_factor(TrainingState(step)) for step in (0, 50, 75, 100)]
    assert factors == pytest.approx([1, 1, 0.5, 0])


def test_two_stages_have_a_schedule_each(configure):
    config = configure(
        family="resvit",
        recipe="native",
        generator={"width": 2, "transformer_blocks": [1], "hidden": 8, "heads": 2},
        optimization={"steps": 150},
    )
    plan = Schedule(config, 7)
    # 50 + 50 steps, then 25 + 25 at five times the rate
    factors = [plan.rate_factor(TrainingState(s)) for s in (0, 50, 75, 100, 125, 145, 150)]
    assert factors == pytest.approx([1, 1, 0.5, 5, 5, 1, 0])


def test_validation_follows_the_budget(configure):
    def due(plan, step, checkpoint=False):
        return plan.validation_due(TrainingState(step), checkpoint)

    assert schedule(configure, epochs=3).validate_every == 4  # 7 slices in batches of 2
    assert schedule(configure, steps=100).validate_every == 5
    own = schedule(configure, steps=100, validate_every=3)
    assert [due(own, step) for step in (2, 3, 6)] == [False, True, True]
    minutes = schedule(configure, minutes=9)
    assert [due(minutes, 7, checkpoint) for checkpoint in (False, True)] == [False, True]
    assert own.validation_due(TrainingState(100, finished=True), False)


def test_best_validation_is_remembered_and_patience_counts_the_others(configure):
    plan, state = schedule(configure, steps=100, patience=2), TrainingState(step=5)
    assert state.best_score == math.inf
    assert plan.take_in(state, {"T2": {"brain_nrmse": 0.4}, "PD": {"brain_nrmse": 0.2}})
    assert (state.best_score, state.best_step) == (pytest.approx(0.3), 5)
    for step in (6, 7):
        assert not plan.is_over(state)
        state.step = step
        assert not plan.take_in(state, {"T2": {"brain_nrmse": 0.31}})
    assert plan.is_over(state)
    assert (state.best_step, state.validated_step) == (5, 7)
