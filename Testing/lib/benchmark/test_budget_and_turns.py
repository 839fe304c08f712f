"""Arms take turns, and no benchmark lasts longer than it may."""

import pytest

from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.interleave import NO_TIME, interleave
from SAMI2ILib.benchmark.plan import Plan, turn_order
from SAMI2ILib.benchmark.process import ArmFailedError
from SAMI2ILib.errors import InputError


class FakeClock:
    """A clock that work moves on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def work(self, seconds, order=None, name=""):
        """Make an arm that takes so long, and is ended when its time is over."""

        def measure(piece, timeout):
            if order is not None:
                order.append((name, piece))
            self.now += min(seconds, timeout)
            if seconds > timeout:
                raise ArmFailedError(NO_TIME)
            return seconds

        return measure


def test_budget_counts_down_and_shares_what_is_left():
    clock = FakeClock()
    budget = Budget(60, clock)
    clock.now += 20
    assert (budget.spent, budget.left) == (20, 40)
    part = budget.share(0.5)
    clock.now += 25
    assert (part.left, budget.left) == (0, 15)


def test_benchmark_without_time_is_refused():
    with pytest.raises(InputError, match="needs time: --minutes is 0"):
        Budget(0)


def test_arms_take_turns_over_the_same_pieces_and_the_first_turn_does_not_count():
    clock, order = FakeClock(), []
    arms = {name: clock.work(s, order, name) for name, s in {"a": 3.0, "b": 1.0}.items()}
    times = interleave(arms, 2, Budget(1000, clock))
    assert order == [("a", 0), ("b", 0), ("b", 0), ("a", 0), ("a", 1), ("b", 1)]
    assert times["a"].seconds == [3.0, 3.0]
    assert times["b"].median == 1.0


@pytest.mark.parametrize("seconds", [1.0, 7.0, 45.0, 50.0, 90.0, 1000.0])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_turns_end_with_the_budget_whatever_an_arm_takes(seconds, count):
    clock = FakeClock()
    arms = {str(n): clock.work(seconds) for n in range(count)}
    budget = Budget(100, clock)
    times = interleave(arms, 8, budget)
    assert budget.spent <= 100
    assert all(bool(of_arm.seconds) != bool(of_arm.reason) for of_arm in times.values())


def test_what_was_measured_is_kept_when_time_is_over():
    clock = FakeClock()
    times = interleave({"a": clock.work(30.0)}, 8, Budget(100, clock))
    assert times["a"].seconds == [30.0, 30.0]
    assert times["a"].reason == ""


def test_arm_that_fails_is_left_out_and_the_others_go_on():
    clock = FakeClock()

    def fail(piece, timeout):
        raise ArmFailedError("its process ended")

    times = interleave({"bad": fail, "good": clock.work(1.0)}, 3, Budget(100, clock))
    assert (times["bad"].seconds, times["bad"].reason) == ([], "its process ended")
    assert times["good"].seconds == [1.0] * 3


def test_another_arm_begins_each_turn():
    assert [turn_order(["a", "b", "c"], turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
    assert turn_order([], 2) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slices": 2}, "--slices must be 3 to 8, got 2"),
        ({"slices": 9}, "--slices must be 3 to 8, got 9"),
        ({"arms": ("torch-fp32", "magic")}, "There is no arm 'magic'"),
        ({"models": ("tiny", "tiny")}, "A model is named twice"),
        ({"threads": 0}, "--threads must be at least 1"),
        ({"training": "huge"}, "--training must be tiny, small, base_plus or large, got 'huge'"),
    ],
)
def test_plan_that_cannot_be_measured_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Plan(**{"models": ("tiny",), **options})


def test_naive_arm_takes_part_always_and_arms_keep_their_order():
    plan = Plan(("tiny",), arms=("openvino-fp32", "torch-fp32"))
    assert plan.arm_names == ("naive", "torch-fp32", "openvino-fp32")
