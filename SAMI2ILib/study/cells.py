"""The cells of the paper's tables as trainings: a system, a direction and a seed each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from SAMI2ILib.errors import InputError
from SAMI2ILib.study.paper import SYSTEMS, ComparedSystem, Direction

if TYPE_CHECKING:
    from SAMI2ILib.training.config import TrainingConfig

RECIPES: Final = ("paper", "native")

# Key of the trainer's configuration and factor, by the unit of a budget.
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "steps": ("steps", 1.0),
    "epochs": ("epochs", 1.0),
    "hours": ("minutes", 60.0),
    "minutes": ("minutes", 1.0),
    "seconds": ("minutes", 1 / 60),
}


@dataclass(frozen=True)
class Budget:
    """How long each cell is trained, in place of the recipe's own length."""

    amount: float
    unit: str

    @property
    def key(self) -> str:
        """Of the table `optimization`."""
        return _UNITS[self.unit][0]

    @property
    def value(self) -> float | int:
        """For that key."""
        amount = self.amount * _UNITS[self.unit][1]
        return int(amount) if self.key == "steps" else amount

    @property
    def seconds(self) -> float:
        """Of training; 0 for a budget that is no time."""
        return 60.0 * self.value if self.key == "minutes" else 0.0

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Cell:
    """One training of the study.

    Attributes:
        system: A name of `SYSTEMS`.
        direction: What is translated.
        seed: Of every random choice.
    """

    system: str
    direction: Direction
    seed: int = 0

    @property
    def id(self) -> str:
        """Part of the jobs' names."""
        return f"{self.system}-{self.direction}-s{self.seed}".lower()

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.compared.title}, {self.direction.title}, seed {self.seed}"

    @property
    def compared(self) -> ComparedSystem:
        """The row of the tables."""
        return SYSTEMS[self.system]


def parse_budget(words: Sequence[str]) -> Budget:
    """Read ("20", "epochs").

    Raises:
        InputError: No number above zero, or another unit than steps, epochs, hours, minutes,
            seconds.
    """
    amount, unit = words
    try:
        budget = Budget(float(amount), unit)
    except ValueError:
        budget = Budget(0.0, unit)
    if unit not in _UNITS or not budget.amount > 0 or not budget.value > 0:
        raise InputError(
            f"--budget {amount} {unit}: expected a number and one of {', '.join(_UNITS)}.",
            "As in --budget 20 epochs.",
        )
    return budget


def training_table(cell: Cell, recipe: str, budget: Budget | None = None) -> dict[str, Any]:
    """The training configuration of a cell at full size, without its data.

    Args:
        cell: What is trained.
        recipe: "paper" trains all systems as SAM-I2I's authors did, "native" each as its own; for
            SAM-I2I both are the same.
        budget: Instead of the recipe's.
    """
    system = cell.compared
    recipe = "paper" if system.family == "sam-i2i" else recipe
    table: dict[str, Any] = {
        "name": f"{recipe}-{cell.system}-s{cell.seed}",
        "title": f"{system.title}, recipe {recipe}",
        "family": system.family,
        "recipe": recipe,
        "source": cell.direction.source,
        "targets": [cell.direction.target],
        "seed": cell.seed,
    }
    if system.encoder:
        table["encoder"] = {"variant": system.encoder, "checkpoint": ""}
    if budget is not None:
        table["optimization"] = {budget.key: budget.value}
    return table


def what_decides(config: "TrainingConfig") -> dict[str, Any]:
    """The part of a configuration that decides what is learned, as JSON values.

    Left out are where the data lie and where the weights to start from do, all that says how a
    run is computed or shown, and what is at its default: a key that a later version brings does not
    make a finished training another one.
    """
    from SAMI2ILib.training.config import MACHINE_KEYS, TrainingConfig

    table: dict[str, Any] = asdict(config)
    for key in MACHINE_KEYS:
        del table[key]
    del table["optimization"]["accumulate"]
    for source in table["data"]:
        del source["folder"]
    for part in ("encoder", "discriminator", "baseline"):
        table[part]["checkpoint"] = Path(table[part]["checkpoint"]).name
    return _departures(table, asdict(TrainingConfig(name="", data=())))


def _departures(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are not at their defaults, table by table."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if inner := _departures(value, default):
                found[key] = inner
        elif value != default:
            found[key] = value
    return found
