"""Model files: safetensors with one JSON description in the metadata. No pickle, no torch."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from SAMI2ILib.atomic import atomic_path, make_folder
from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.weights.header import MAX_DESCRIPTION_BYTES, read_metadata
from SAMI2ILib.weights.spec import EncoderSpec, ModelSpec

MODEL_KEY: Final = "sami2i-model"
ENCODER_KEY: Final = "sami2i-encoder"

# int64 is for the step counters of batch normalization.
ALLOWED_DTYPES: Final = ("float16", "float32", "int64")


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
    metadata = read_metadata(Path(path))
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


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the weights of a model or encoder file.

    Args:
        path: A `.safetensors` file.

    Returns:
        The tensors by name, in the dtype they are stored in (float16, float32, int64).

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: It is not a whole safetensors file, or a tensor has another dtype or holds NaN
            or infinity.
    """
    path = Path(path)
    read_metadata(path)
    try:
        tensors: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        # KeyError and the next two: a dtype that NumPy does not have, such as bfloat16.
        raise ModelError(
            f"The tensors of {path} cannot be read ({type(error).__name__}: {error}).",
            "Copy or download it again.",
        ) from error
    for name, tensor in tensors.items():
        problem = _tensor_problem(tensor)
        if problem:
            raise ModelError(f"The tensor {name!r} of {path} {problem}.", "Get the file again.")
    return tensors


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


def _write(path: Path, key: str, text: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    if not tensors:
        raise InputError("tensors must hold the weights, but it is empty.")
    if len(text) > MAX_DESCRIPTION_BYTES:
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
