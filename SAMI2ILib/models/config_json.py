"""Configurations as JSON: how a frozen dataclass enters and leaves a model file."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from SAMI2ILib.errors import InputError


@dataclasses.dataclass(frozen=True)
class JsonConfig:
    """Base of the frozen dataclasses of numbers, booleans, texts and tuples in model files."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; tuples become lists."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            n: list(value) if isinstance(value, tuple) else value for n, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration from what `to_json` returned.

        A field that has a default may be absent, so that files written before the field existed
        stay readable.

        Args:
            values: One entry per field, lists where the field is a tuple.

        Returns:
            The validated configuration.

        Raises:
            InputError: An entry is unknown or missing, or the dataclass refuses a value.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
        if not isinstance(values, Mapping):
            raise InputError(
                f"{cls.__name__} must be a JSON object of its fields, got {type(values).__name__}."
            )
        if unknown := sorted(set(values) - set(fields)):
            raise InputError(
                f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(fields)}.",
                "Update this software if the file comes from a newer version.",
            )
        if missing := sorted(required - set(values)):
            raise InputError(f"{cls.__name__} lacks the field {', '.join(missing)}.")
        return cls(
            **{n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        )


def check_integer(name: str, value: object, minimum: int) -> None:
    """Refuse a value that is not an integer of at least `minimum`.

    Args:
        name: The field's name, for the message.
        value: The field's value.
        minimum: The smallest allowed value.

    Raises:
        InputError: The value is of another type (a boolean is not an integer) or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InputError(f"{name} must be an integer of at least {minimum}, got {value!r}.")


def check_integers(name: str, value: object, minimum: int, length: int | None = None) -> None:
    """Refuse a value that is not a tuple of integers of at least `minimum`.

    Args:
        name: The field's name, for the message.
        value: The field's value.
        minimum: The smallest allowed entry.
        length: How many entries there must be; None allows any number.

    Raises:
        InputError: The value is no tuple, has another length, or an entry is no such integer.
    """
    if not isinstance(value, tuple) or (length is not None and len(value) != length):
        count = "" if length is None else f"{length} "
        raise InputError(f"{name} must be a tuple of {count}integers, got {value!r}.")
    for position, entry in enumerate(value):
        check_integer(f"{name}[{position}]", entry, minimum)


def check_boolean(name: str, value: object) -> None:
    """Refuse a value that is neither True nor False.

    Args:
        name: The field's name, for the message.
        value: The field's value.

    Raises:
        InputError: The value is of another type.
    """
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {value!r}.")
