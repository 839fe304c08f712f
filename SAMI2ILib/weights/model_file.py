"""Model files: safetensors with one JSON description in the metadata. No pickle, no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from SAMI2ILib.atomic import atomic_path, make_folder
from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.weights.header import (
    MAX_DESCRIPTION_BYTES,
    parse_metadata,
    read_metadata,
    readable,
)
from SAMI2ILib.weights.schema import CONTENT_FIELD
from SAMI2ILib.weights.spec import EncoderSpec, ModelSpec

MODEL_KEY: Final = "sami2i-model"
ENCODER_KEY: Final = "sami2i-encoder"

# `"content_sha256":"<64 digits>",`
_CONTENT_BYTES: Final = 100

# int64 is for the step counters of batch normalization.
ALLOWED_DTYPES: Final = ("float16", "float32", "int64")


@dataclass(frozen=True)
class ModelContent:
    """A model file, read once: what belongs together even if the file changes meanwhile.

    Attributes:
        spec: The description, checked against the schema.
        sha256: Of the file.
        tensors: The weights by name, in the dtype they are stored in (float16, float32, int64).
    """

    spec: ModelSpec
    sha256: str
    tensors: dict[str, NDArray[Any]]


def read_model(path: Path) -> ModelContent:
    """Read a model in full.

    Args:
        path: A `.safetensors` file.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: As for `read_spec` and `read_tensors`.
    """
    path = Path(path)
    with readable(path):
        content = path.read_bytes()
    spec = _model_spec(parse_metadata(content, path), path)
    return ModelContent(spec, hashlib.sha256(content).hexdigest(), _tensors(content, path))


def read_spec(path: Path) -> ModelSpec:
    """Read the description of a model; its tensors stay on disk.

    Args:
        path: A `.safetensors` file.

    Returns:
        The description, checked against the schema.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: It is not safetensors, truncated, another tool's, from a newer version, or its
            description breaks the schema.
    """
    return _model_spec(read_metadata(Path(path)), Path(path))


def read_encoder_spec(path: Path) -> EncoderSpec:
    """Read the description of a shared encoder file; its tensors stay on disk.

    Args:
        path: A `.safetensors` file.

    Returns:
        The description, checked against the schema.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: As for `read_spec`.
    """
    metadata = read_metadata(Path(path))
    if ENCODER_KEY not in metadata:
        raise ModelError(
            f"The file {path} is not a SAM-I2I encoder: its metadata has no '{ENCODER_KEY}'.",
            "It was made by another tool, or it is a model.",
        )
    return EncoderSpec.from_json(metadata[ENCODER_KEY], str(path))


def is_encoder_file(path: Path) -> bool:
    """Say whether a safetensors file calls itself a shared encoder.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: It is not a whole safetensors file.
    """
    return ENCODER_KEY in read_metadata(Path(path))


def write_model(path: Path, spec: ModelSpec, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a model file, atomically; the same arguments give the same bytes.

    Args:
        path: Where to; an existing file is replaced.
        spec: The description.
        tensors: The weights by name; float16 or float32 (int64 for counters), any shape.

    Raises:
        ModelError: The description breaks the schema.
        InputError: There are no tensors, or one has another dtype, or holds NaN or infinity.
        OutputError: The file cannot be written.
    """
    _write(Path(path), MODEL_KEY, spec.to_json(), tensors)


def write_encoder(path: Path, spec: EncoderSpec, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a shared encoder file, atomically; the same arguments give the same bytes.

    Args:
        path: Where to; an existing file is replaced.
        spec: The description.
        tensors: The weights by name; float16 or float32 (int64 for counters), any shape.

    Raises:
        ModelError: The description breaks the schema.
        InputError: There are no tensors, or one has another dtype, or holds NaN or infinity.
        OutputError: The file cannot be written.
    """
    _write(Path(path), ENCODER_KEY, spec.to_json(), tensors)


def read_tensors(path: Path, sha256: str = "") -> dict[str, NDArray[Any]]:
    """Read the weights of a model or encoder file.

    Args:
        path: A `.safetensors` file.
        sha256: What the file must be; any file where left out.

    Returns:
        The tensors by name, in the dtype they are stored in (float16, float32, int64).

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: It is another file, not a whole safetensors file, or not what was written; or a
            tensor has another dtype or holds NaN or infinity.
    """
    path = Path(path)
    with readable(path):
        content = path.read_bytes()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"The file {path} changed while it was read.", "Try again.")
    return _tensors(content, path)


def file_sha256(path: Path) -> str:
    """Hash a file.

    Args:
        path: Any file.

    Returns:
        Its SHA-256 as 64 hexadecimal digits in lower case.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"The file {path} cannot be read ({error.strerror}).", "Check the path."
        ) from error


def _model_spec(metadata: Mapping[str, str], path: Path) -> ModelSpec:
    if MODEL_KEY not in metadata:
        if ENCODER_KEY in metadata:
            raise ModelError(
                f"The file {path} is an encoder that models share, not a model.",
                "Name a model; `sami2i models list` shows them.",
            )
        raise ModelError(
            f"The file {path} is not a SAM-I2I model: its metadata has no '{MODEL_KEY}'.",
            "It was made by another tool.",
        )
    return ModelSpec.from_json(metadata[MODEL_KEY], str(path))


def _tensors(content: bytes, path: Path) -> dict[str, NDArray[Any]]:
    metadata = parse_metadata(content, path)
    try:
        tensors: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        # KeyError and the next two: a dtype that NumPy does not have, such as bfloat16.
        raise ModelError(
            f"The tensors of {path} cannot be read ({type(error).__name__}: {error}).",
            "Copy or download it again.",
        ) from error
    for name, tensor in tensors.items():
        problem = _tensor_problem(tensor)
        if problem:
            raise ModelError(f"The tensor {name!r} of {path} {problem}.", "Get the file again.")
    _compare_content(metadata, tensors, path)
    return tensors


def _compare_content(
    metadata: Mapping[str, str], tensors: Mapping[str, NDArray[Any]], path: Path
) -> None:
    """Find what has changed since the file was written, where it says what was written."""
    text = metadata.get(MODEL_KEY) or metadata.get(ENCODER_KEY) or "{}"
    try:
        document = json.loads(text)
        written = document.pop(CONTENT_FIELD, "")
    except (ValueError, AttributeError, RecursionError):
        return  # not a description: whoever reads it says so
    if written and written != _content_sha256(document, tensors):
        raise ModelError(
            f"The file {path} is damaged: it is not what was written.", "Copy or download it again."
        )


def _content_sha256(document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    """Hash a description without this hash, and the tensors in the order of their names."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, tensor.dtype.name, tensor.shape]).encode())
        digest.update(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _write(path: Path, key: str, text: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    if not tensors:
        raise InputError("tensors must hold the weights, but it is empty.")
    if len(text) + _CONTENT_BYTES > MAX_DESCRIPTION_BYTES:
        raise ModelError(
            f"The description has {len(text)} characters; at most {MAX_DESCRIPTION_BYTES} fit.",
            "Shorten its training recipe.",
        )
    for name, tensor in tensors.items():
        problem = _tensor_problem(tensor)
        if problem:
            raise InputError(f"tensors[{name!r}] {problem}.")
    # safetensors copies raw memory: a transposed view would be written in the wrong order. One
    # metadata key only: it does not keep the order of several, and the bytes must not vary.
    ordered = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    document = json.loads(text)
    document[CONTENT_FIELD] = _content_sha256(document, ordered)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        # Not save_file: it gives the file to its owner alone.
        temporary.write_bytes(save(ordered, metadata={key: text}))


def _tensor_problem(tensor: NDArray[Any]) -> str:
    """Say why a tensor cannot be a weight; an empty string when it can."""
    if tensor.dtype.name not in ALLOWED_DTYPES:
        return f"has dtype {tensor.dtype.name}; expected one of {', '.join(ALLOWED_DTYPES)}"
    if not np.isfinite(tensor).all():
        return "holds NaN or infinity"
    return ""
