"""Systems measured on the subjects of a dataset, as values that a file can keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from SAMI2ILib.data.dataset import SubjectSlices
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.metrics import Measurement, NotMeasurableError
from SAMI2ILib.evaluation.prepared_pairs import read_prepared_pair
from SAMI2ILib.evaluation.report import Row, flat_row
from SAMI2ILib.evaluation.systems import System


@dataclass(frozen=True)
class MeasuredSubject:
    """The figures of one system on one subject.

    Attributes:
        figures: Under flat names, see `report.flat_row`.
        slices: The figures of each slice, with its number `k`.
        left_out: Slices with enough brain in which the target is 0, which were not measured.
        region: Where the figures named `brain_...` look: "brain", or "head" for a subject without
            a brain mask.
    """

    figures: Row
    slices: tuple[Row, ...]
    left_out: tuple[int, ...] = ()
    region: str = "brain"

    @classmethod
    def of(cls, measurement: Measurement, has_brain: bool = True) -> Self:
        """Flatten a measurement."""
        slices = tuple(
            {
                "k": one.k,
                **{f"full_{name}": value for name, value in asdict(one.full).items()},
                **{f"brain_{name}": value for name, value in asdict(one.brain).items()},
            }
            for one in measurement.slices
        )
        region = "brain" if has_brain else "head"
        return cls(flat_row(measurement.scores), slices, measurement.left_out, region)


@dataclass(frozen=True)
class MeasuredSystem:
    """The figures of one system.

    Attributes:
        system: Its name.
        subjects: By name, those that were measured.
        not_measured: By name, why a subject could not be measured.
        facts: What else a reader wants to know of the system; JSON values.
    """

    system: str
    subjects: Mapping[str, MeasuredSubject]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        subjects = {
            name: MeasuredSubject(
                dict(one["figures"]), tuple(one["slices"]), tuple(one["left_out"]), one["region"]
            )
            for name, one in values["subjects"].items()
        }
        return cls(values["system"], subjects, values["not_measured"], values["facts"])

    @property
    def rows(self) -> dict[str, Row]:
        """The figures of each subject, as the statistics take them."""
        return {name: subject.figures for name, subject in self.subjects.items()}


def measure_systems(
    systems: Sequence[System],
    subjects: Sequence[SubjectSlices],
    source: str,
    target: str,
    *,
    keep_background: bool = False,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[MeasuredSystem]:
    """Measure systems on the same subjects, one subject in memory at a time.

    Args:
        systems: With different names.
        subjects: Of a dataset; each has both contrasts.
        source: The contrast that goes in.
        target: The contrast that comes out.
        keep_background: As in `read_prepared_pair`.
        facts: Of each system, by its name.
        on_progress: Called with how many of all translations are done.

    Returns:
        In the order of the systems. A subject whose target cannot be measured, because it shows no
        brain or is black there, is in none of them, but in `not_measured` of all.

    Raises:
        InputError: Two systems have one name, a subject lacks a contrast, or a file is damaged.
        ModelError: A network computed NaN or infinity.
        OutOfMemoryError: One slice does not fit anywhere.
    """
    names = [system.name for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two systems are called '{name}'.", "Give one of them another name.")
    found: dict[str, dict[str, MeasuredSubject]] = {name: {} for name in names}
    refused: dict[str, str] = {}
    total = len(systems) * len(subjects)
    for number, subject in enumerate(subjects):
        pair = read_prepared_pair(subject, source, target, keep_background=keep_background)
        for n, system in enumerate(systems):
            on_progress(number * len(systems) + n, total)
            try:
                measurement = pair.measure(system.predict(pair))
            except NotMeasurableError as error:  # for the next system it would be the same
                refused[subject.name] = error.message
                break
            measured = MeasuredSubject.of(measurement, pair.has_brain)
            found[system.name][subject.name] = measured
    on_progress(total, total)
    return [
        MeasuredSystem(name, found[name], dict(refused), dict((facts or {}).get(name, {})))
        for name in names
    ]


def measure_system(
    system: System, subjects: Sequence[SubjectSlices], source: str, target: str, **options: Any
) -> MeasuredSystem:
    """Measure one system; as `measure_systems`."""
    return measure_systems([system], subjects, source, target, **options)[0]
