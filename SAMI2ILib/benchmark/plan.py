"""What a benchmark measures, and in which order the arms take turns."""

from dataclasses import dataclass

from SAMI2ILib.benchmark.arms import ARM_NAMES, NAIVE
from SAMI2ILib.benchmark.subject_names import TRUNKS
from SAMI2ILib.errors import InputError

MIN_SLICES, MAX_SLICES = 3, 8
DEFAULT_MINUTES = 30.0


@dataclass(frozen=True)
class Plan:
    """What a benchmark measures.

    Attributes:
        models: Names of subjects, see `subject.open_subject`.
        arms: Names of arms that take part; the naive one always does.
        slices: How many slices each arm runs at most, after one that does not count.
        minutes: The whole benchmark ends by then.
        threads: Of the CPU.
        heads: Translate a whole head with each model on its fastest arm.
        growth: Measure how time and memory grow.
        training: Trunk size whose training step is measured; empty measures none.
        training_steps: Steps of each training loop, after one that does not count.
        ceiling_size: Rows of the matrices whose product is the ceiling.

    Raises:
        InputError: A value is out of range, or an arm is unknown.
    """

    models: tuple[str, ...]
    arms: tuple[str, ...] = ARM_NAMES
    slices: int = 5
    minutes: float = DEFAULT_MINUTES
    threads: int = 1
    heads: bool = True
    growth: bool = True
    training: str = ""
    training_steps: int = 3
    ceiling_size: int = 2048

    def __post_init__(self) -> None:
        if not MIN_SLICES <= self.slices <= MAX_SLICES:
            raise InputError(
                f"--slices must be {MIN_SLICES} to {MAX_SLICES}, got {self.slices}.",
                "Medians of fewer say little, more say no more.",
            )
        if unknown := [name for name in self.arms if name not in ARM_NAMES]:
            raise InputError(
                f"There is no arm {unknown[0]!r}.", f"There are {', '.join(ARM_NAMES)}."
            )
        if len(set(self.models)) != len(self.models):
            raise InputError("A model is named twice in --models.", "Name each once.")
        if self.training and self.training not in TRUNKS:
            raise InputError(
                f"--training must be {', '.join(TRUNKS[:-1])} or {TRUNKS[-1]}, got "
                f"{self.training!r}."
            )
        if self.threads < 1:
            raise InputError(f"--threads must be at least 1, got {self.threads}.")

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms in the order of the tables, with the naive one."""
        wanted = {NAIVE, *self.arms}
        return tuple(name for name in ARM_NAMES if name in wanted)


def turn_order(names: list[str], turn: int) -> list[str]:
    """Let another arm begin each turn, so that a slow drift of the machine favors none."""
    first = turn % len(names) if names else 0
    return names[first:] + names[:first]
