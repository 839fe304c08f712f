"""How far a run has come: its budget, its learning rate, and when it is validated."""

import math
from dataclasses import dataclass, field

from SAMI2ILib.training.config import TrainingConfig

Measures = dict[str, dict[str, float]]
"""By target, then by metric."""

_VALIDATIONS = 20  # of a run whose budget is in steps


@dataclass
class TrainingState:
    """How far a run has come.

    Attributes:
        step: Optimizer steps done.
        seconds: Time spent in training, over all resumptions.
        cpu_seconds: Time of the processor spent in its steps, over all processes and resumptions.
        finished: Whether the budget is spent, or patience ended.
        losses: Means over the last logged steps: by target, then by term.
        validation: The last measures on the validation subjects.
        validated_step: When that was; a model file says it where its weights are of another step.
        best_score: Smallest mean brain NRMSE of all validations; infinite before the first.
        best_step: When that was.
        best: The measures then.
        validations_since_best: How many were no better.
    """

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    finished: bool = False
    losses: Measures = field(default_factory=dict)
    validation: Measures = field(default_factory=dict)
    validated_step: int = 0
    best_score: float = math.inf
    best_step: int = 0
    best: Measures = field(default_factory=dict)
    validations_since_best: int = 0


class Schedule:
    """Turns the configuration's budget into steps, rates and validations.

    Args:
        config: With its budget.
        slices: Training slices of all data sources, the length of an epoch.
    """

    def __init__(self, config: TrainingConfig, slices: int) -> None:
        self._plan, self._baseline = config.optimization, config.baseline
        self._slices = slices

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run; None where the budget is a time."""
        is_timed = self._plan.minutes or self._plan.cpu_minutes
        return None if is_timed else self._counted_steps()

    @property
    def steps_an_epoch(self) -> int:
        """Steps after which as many crops were seen as there are slices."""
        return max(1, math.ceil(self._slices / self._plan.batch))

    def spent(self, state: TrainingState) -> float:
        """Part of the budget that is spent, in [0, 1]."""
        if self._plan.cpu_minutes:
            return min(1.0, state.cpu_seconds / (60 * self._plan.cpu_minutes))
        if self._plan.minutes:
            return min(1.0, state.seconds / (60 * self._plan.minutes))
        return min(1.0, state.step / self._counted_steps())

    def is_over(self, state: TrainingState) -> bool:
        """Whether the budget is spent, or patience is at its end."""
        patience = self._plan.patience
        return self.spent(state) >= 1 or 0 < patience <= state.validations_since_best

    def _counted_steps(self) -> int:
        plan = self._plan
        return plan.steps or max(1, math.ceil(plan.epochs * self._slices / plan.batch))

    def rate_factor(self, state: TrainingState) -> float:
        """Part of the peak learning rate: a linear rise, then as `optimization.schedule` says.

        The two stages of ResViT have a schedule each.
        """
        spent, first = self.spent(state), self._baseline.first_stage
        if spent < first:
            return self._within_stage(spent / first)
        return self._baseline.second_rate * self._within_stage((spent - first) / (1 - first))

    def _within_stage(self, spent: float) -> float:
        warm_up = self._plan.warm_up
        if spent < warm_up:
            # never zero, or a budget counted in minutes would waste its first step
            return max(spent / warm_up, 0.01)
        if self._plan.schedule == "constant":
            return 1.0
        if self._plan.schedule == "linear":
            return min(1.0, 2 * (1 - spent))
        return (1 + math.cos(math.pi * (spent - warm_up) / (1 - warm_up))) / 2

    @property
    def validate_every(self) -> int:
        """Steps between validations; 0 where each checkpoint is one."""
        if self._plan.validate_every or self.total_steps is None:
            return self._plan.validate_every
        if self._plan.epochs:
            return self.steps_an_epoch
        return max(1, self.total_steps // _VALIDATIONS)

    def validation_due(self, state: TrainingState, checkpoint_due: bool) -> bool:
        """Whether the run is measured now."""
        if state.finished:
            return True
        every = self.validate_every
        return state.step % every == 0 if every else checkpoint_due

    def take_in(self, state: TrainingState, measures: Measures) -> bool:
        """Note a validation.

        Returns:
            Whether it is the best one so far.
        """
        scores = [of_target["brain_nrmse"] for of_target in measures.values()]
        score = sum(scores) / len(scores)
        state.validation, state.validated_step = measures, state.step
        if score < state.best_score:
            state.best_score, state.best_step, state.best = score, state.step, measures
            state.validations_since_best = 0
            return True
        state.validations_since_best += 1
        return False
