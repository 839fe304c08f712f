"""Reads a training configuration from TOML or flags, key by key; an error names the key."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.baseline_recipes import merge_tables
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_rules import check_config
from SAMI2ILib.training.recipes import with_preset

T = TypeVar("T")


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: The file is missing or no TOML.
    """
    try:
        # Some editors for Windows begin a file with a mark of its encoding.
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"The configuration {path} cannot be read: {reason}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", "Save the TOML file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path} is not valid TOML: {error}.",
            "Correct that line; a path with backslashes stands in single quotes.",
        ) from error


def parse_config(table: Mapping[str, Any]) -> TrainingConfig:
    """Build a checked configuration from a parsed TOML table.

    Args:
        table: Keys that it lacks come from the preset that its `recipe` names.

    Raises:
        InputError: A key is unknown, missing, of the wrong type or out of range.
    """
    config: TrainingConfig = build(TrainingConfig, with_preset(table))
    check_config(config)
    return config


def with_assignments(table: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Change a table by flags like `optimization.batch=4`; the values are TOML, or a bare word.

    Raises:
        InputError: An assignment is no KEY=VALUE.
    """
    changed = dict(table)
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not (key.strip() and sign and text.strip()):
            raise InputError(f"--set {assignment}: expected KEY=VALUE.", "Add the missing part.")
        try:
            value = tomllib.loads(f"value = {text.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()  # a bare word, as in --set encoder.variant=tiny
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        changed = merge_tables(changed, value)
    return changed


def with_folders(config: TrainingConfig, folders: Mapping[str, str]) -> TrainingConfig:
    """Fill in where the data lie on this machine.

    Args:
        config: The recipe.
        folders: Folder of each data source, by its name.

    Raises:
        InputError: A name is not one of the recipe's, or a source is left without a folder.
    """
    names = [source.name for source in config.data]
    for name in folders:
        if name not in names:
            raise InputError(
                f"--data {name}=...: the configuration has no data source '{name}'.",
                f"It has {', '.join(names)}.",
            )
    data = tuple(
        replace(source, folder=folders.get(source.name, source.folder)) for source in config.data
    )
    for source in data:
        if not source.folder:
            raise InputError(
                f"The data source '{source.name}' has no folder.",
                f"Pass --data {source.name}=FOLDER.",
            )
    return replace(config, data=data)


def build(kind: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    """Make a dataclass from a TOML table, and those inside it from the tables in it.

    Args:
        kind: Its fields are plain values, dataclasses, or tuples of either.
        table: Values by the names of the fields.
        prefix: What error messages put before a key.

    Raises:
        InputError: A key is unknown, missing or of the wrong type; the message names it.
    """
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise InputError(
                f"The configuration has an unknown key '{prefix}{key}'.",
                f"Known here: {', '.join(hints)}.",
            )
    values = {key: _value(hints[key], value, prefix + key) for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        required = [f.name for f in fields(kind) if f.name not in values]  # type: ignore[arg-type]
        raise InputError(
            f"The configuration lacks a required key: one of {', '.join(required)}"
            f"{' in ' + prefix.rstrip('.') if prefix else ''}.",
            "See docs/reference/recipes for complete examples.",
        ) from error


def _value(hint: Any, value: object, key: str) -> Any:
    if NoneType in get_args(hint):  # TOML has no null: what is given is the other type
        hint = next(option for option in get_args(hint) if option is not NoneType)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise _wrong_type(key, "a list", value)
        item = get_args(hint)[0]
        return tuple(_value(item, entry, f"{key}[{n}]") for n, entry in enumerate(value))
    if get_origin(hint) is dict:  # checked by whoever takes it
        if not isinstance(value, Mapping):
            raise _wrong_type(key, "a table", value)
        return dict(value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise _wrong_type(key, f"one of {', '.join(get_args(hint))}", value)
        return value
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise _wrong_type(key, "a table", value)
        return build(hint, value, key + ".")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise _wrong_type(key, f"a value of type {getattr(hint, '__name__', hint)}", value)
    return value


def _wrong_type(key: str, expected: str, value: object) -> InputError:
    return InputError(
        f"'{key}' in the configuration must be {expected}, not {value!r}.", "Correct that key."
    )
