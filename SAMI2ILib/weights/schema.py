"""Checks the JSON object in a model or encoder file against its published schema."""

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import ModelError

FORMAT_VERSION = 1
# What a file says of its own content; the description as such does not know it.
CONTENT_FIELD = "content_sha256"

_LONGEST_QUOTE = 160


def parse_document(text: str, schema: str, name: str) -> dict[str, Any]:
    """Parse and check a metadata object.

    Args:
        text: JSON.
        schema: "model" or "encoder".
        name: What error messages call the object, e.g. the file's path.

    Returns:
        The object; it satisfies the schema.

    Raises:
        ModelError: Not JSON, from a newer format version, or against the schema; the message names
            the field.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{name}: the {schema} description is not valid JSON ({_shorten(str(error))}).",
            "Get the file again.",
        ) from error
    if not isinstance(document, dict):
        raise ModelError(
            f"{name}: the {schema} description must be a JSON object, not "
            f"{type(document).__name__}.",
            "Get the file again.",
        )
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelError(
            f"{name} was made by a newer version of the software (format {version}; this one reads "
            f"{FORMAT_VERSION}).",
            "Update SAM-I2I.",
        )
    _validate(document, schema, name)
    return document


def _validate(document: dict[str, Any], schema: str, name: str) -> None:
    try:
        error = best_match(_validator(schema).iter_errors(document))
    except RecursionError as too_deep:
        raise ModelError(
            f"{name}: the {schema} description is nested too deeply.", "Get the file again."
        ) from too_deep
    if error is not None:
        raise ModelError(
            f"{name}: the {schema} description is not valid: {_describe(error)}.",
            "Get the file again, or update SAM-I2I if it is from a newer version.",
        )


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    documents: dict[str, Any] = {
        kind: json.loads(
            asset_path("schema", f"{kind}-{FORMAT_VERSION}.json").read_text(encoding="utf-8")
        )
        for kind in ("model", "encoder")
    }
    registry: Any = Registry().with_resources(
        (document["$id"], Resource.from_contents(document)) for document in documents.values()
    )
    return Draft202012Validator(documents[schema], registry=registry)


def _describe(error: ValidationError) -> str:
    field = error.json_path.removeprefix("$").removeprefix(".") or "the whole object"
    return f"{field}: {_shorten(error.message)}"


def _shorten(text: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in text)
    if len(printable) <= _LONGEST_QUOTE:
        return printable
    # Both ends: jsonschema puts the instance first and the rule last.
    half = _LONGEST_QUOTE // 2
    return f"{printable[:half]} ... {printable[-half:]}"


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")
