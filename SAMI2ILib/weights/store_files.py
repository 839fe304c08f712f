"""The files of a store, one dataclass for each kind, and how one is read, checked and copied."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from SAMI2ILib.atomic import atomic_path, make_folder, move_into_place
from SAMI2ILib.errors import InputError, MissingError, ModelError, OutputError
from SAMI2ILib.weights.model_file import (
    file_sha256,
    is_encoder_file,
    read_encoder_spec,
    read_spec,
    read_tensors,
)
from SAMI2ILib.weights.public_checkpoints import (
    PUBLIC_CHECKPOINTS,
    check_checkpoint,
    find_checkpoint,
)
from SAMI2ILib.weights.spec import EncoderReference, EncoderSpec, ModelSpec

Origin = Literal["bundled", "user", "file"]
FileKind = Literal["model", "encoder", "checkpoint"]

MODEL_SUFFIX: Final = ".safetensors"
CHECKPOINT_SUFFIX: Final = ".pt"


@dataclass(frozen=True)
class StoredModel:
    """A model that can be used.

    Attributes:
        spec: Its description.
        path: Its file.
        origin: "bundled", "user" (in the store), or "file" (named by its path).
    """

    spec: ModelSpec
    path: Path
    origin: Origin

    @property
    def id(self) -> str:
        """The name that it goes by."""
        return self.spec.id


@dataclass(frozen=True)
class StoredEncoder:
    """An encoder that models share."""

    spec: EncoderSpec
    path: Path
    origin: Origin

    @property
    def id(self) -> str:
        """The name that models refer to."""
        return self.spec.id


@dataclass(frozen=True)
class DamagedFile:
    """A `.safetensors` file in a store that cannot be used, and why."""

    path: Path
    origin: Origin
    problem: str

    @property
    def id(self) -> str:
        """The file's name, as the description cannot be read."""
        return self.path.stem


@dataclass(frozen=True)
class AddedFile:
    """What `Store.add` did.

    Attributes:
        kind: What the file is.
        id: The name that it goes by.
        path: Where it lies now.
        sha256: Of the file.
        was_there: Whether the same file had been in the store before.
    """

    kind: FileKind
    id: str
    path: Path
    sha256: str
    was_there: bool


@dataclass(frozen=True)
class Verification:
    """What `Store.verify` found in a file that reads well.

    Attributes:
        path: The file.
        sha256: Its hash now.
        recorded_sha256: Its hash when it was added; None where no record is left.
    """

    path: Path
    sha256: str
    recorded_sha256: str | None


Entry = StoredModel | StoredEncoder | DamagedFile


def read_entry(path: Path, origin: Origin) -> Entry:
    """Read the description of a `.safetensors` file in a store; never raises for a bad file."""
    try:
        if is_encoder_file(path):
            return StoredEncoder(read_encoder_spec(path), path, origin)
        return StoredModel(read_spec(path), path, origin)
    except (ModelError, InputError, MissingError) as error:
        return DamagedFile(path, origin, str(error))


def check_file(path: Path) -> tuple[FileKind, str]:
    """Read a file in full.

    Args:
        path: A model, a shared encoder, or an official checkpoint under its own name.

    Returns:
        What it is, and the id that it goes by.

    Raises:
        InputError: It is a `.pt` file that is not on the list of public checkpoints.
        ModelError: It is damaged or not ours.
    """
    if path.suffix.lower() == CHECKPOINT_SUFFIX:
        checkpoint = find_checkpoint(path.stem)
        check_checkpoint(path, checkpoint)
        return "checkpoint", checkpoint.name
    if is_encoder_file(path):
        encoder = read_encoder_spec(path)
        read_tensors(path)
        return "encoder", encoder.id
    model = read_spec(path)
    read_tensors(path)
    return "model", model.id


def copy_checked(path: Path, target: Path, sha256: str) -> None:
    """Copy a file, atomically, and see that the copy is what was checked.

    Raises:
        InputError: The file changed in between.
        OutputError: The copy cannot be written.
    """
    make_folder(target.parent)
    with atomic_path(target) as temporary:
        shutil.copyfile(path, temporary)
        if file_sha256(temporary) != sha256:
            raise InputError(f"The file {path} changed while it was copied.", "Try again.")


def move_file(path: Path, target: Path) -> None:
    """Rename a file within one file system; what is in its new place is replaced, atomically.

    Raises:
        OutputError: It cannot be moved.
    """
    try:
        move_into_place(path, target)
    except OSError as error:
        raise OutputError(
            f"The file {target} cannot be written ({error.strerror}).",
            "Close the programs that use it and check the folder's permission.",
        ) from error


def remove_file(path: Path) -> None:
    """Delete a file.

    Raises:
        OutputError: It cannot be deleted, e.g. because another program holds it open.
    """
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(
            f"The file {path} cannot be removed ({error.strerror}).",
            "Close the programs that use it and check the folder's permission.",
        ) from error


def is_path(reference: str | Path) -> bool:
    """Say whether a reference names a file rather than an id."""
    text = str(reference)
    return (
        isinstance(reference, Path)
        or "/" in text
        or "\\" in text
        or text.lower().endswith(MODEL_SUFFIX)
    )


def how_to_get(reference: EncoderReference) -> str:
    """Give the command that brings an encoder into the store."""
    if reference.kind == "public" and reference.name in PUBLIC_CHECKPOINTS:
        return f"Get it with `sami2i models download {reference.name}`."
    return (
        f"Get the encoder file {reference.name}{MODEL_SUFFIX} from where the model came from and "
        "run `sami2i models add FILE`."
    )
