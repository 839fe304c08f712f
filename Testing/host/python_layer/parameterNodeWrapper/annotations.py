"""What may stand in `typing.Annotated[type, ...]` of a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Validator:
    """Refuses a value by raising ValueError."""

    def validate(self, value: Any) -> None:
        """Raise ValueError if the value is not allowed."""
        raise NotImplementedError


class NotNone(Validator):
    """A node must be chosen."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("The value must not be None.")


@dataclass(frozen=True)
class WithinRange(Validator):
    """Both ends belong to the range."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} to {self.maximum}.")


@dataclass(frozen=True)
class Minimum(Validator):
    """The smallest value allowed."""

    minimum: float

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}.")


@dataclass(frozen=True)
class Maximum(Validator):
    """The greatest value allowed."""

    maximum: float

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}.")


@dataclass(frozen=True)
class Choice(Validator):
    """One of some values; a combo box shows them in this order."""

    choices: Sequence[Any]

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {list(self.choices)}.")


@dataclass(frozen=True)
class Exclude(Validator):
    """Any value but these."""

    excludedValues: Sequence[Any]

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is one of {list(self.excludedValues)}.")


class Default:
    """The value of a parameter that was never set."""

    def __init__(self, value: Any = None, *, generator: Any = None) -> None:
        self._value = value
        self._generator = generator

    @property
    def value(self) -> Any:
        """The default, made anew if there is a generator."""
        return self._generator() if self._generator is not None else self._value


@dataclass(frozen=True)
class Decimals:
    """How many decimals a spin box or slider shows."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """The step of a spin box or slider."""

    value: float
