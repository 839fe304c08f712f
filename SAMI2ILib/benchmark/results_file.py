"""Reads the file of a benchmark and checks it against its schema."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import InputError

_LONGEST_QUOTE = 160


def read_results(path: Path) -> dict[str, Any]:
    """Read what `sami2i bench --json` wrote.

    Raises:
        InputError: The file cannot be read, or is not one of a benchmark.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The benchmark file {path.name!r} cannot be read as JSON: {reason}.",
            "Give a file that `sami2i bench --json` wrote.",
        ) from error
    if trouble := find_trouble(results):
        raise InputError(
            f"{path.name!r} is not a file of a benchmark: {trouble}.",
            "Give a file that `sami2i bench --json` of this version wrote.",
        )
    return dict(results)


def find_trouble(results: object) -> str:
    """Say where an object leaves the schema; empty where it does not."""
    schema = json.loads(asset_path("schema", "benchmark-1.json").read_text(encoding="utf-8"))
    error = best_match(Draft202012Validator(schema).iter_errors(results))
    if error is None:
        return ""
    place = ".".join(str(part) for part in error.absolute_path)
    message = error.message
    if len(message) > _LONGEST_QUOTE:
        message = message[:_LONGEST_QUOTE] + "..."
    return f"{place}: {message}" if place else message
