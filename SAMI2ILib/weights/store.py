"""The user's models, and those that come with the software.

A store is one folder. Models and the encoders that they share are `.safetensors` files that say
themselves what they are; official SAM2 checkpoints lie beside them as `.pt`. The bundled folder is
built the same way and is only read.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from SAMI2ILib.assets import asset_path
from SAMI2ILib.atomic import remove_leftovers
from SAMI2ILib.errors import InputError, MissingError, ModelError
from SAMI2ILib.weights.model_file import file_sha256, read_spec
from SAMI2ILib.weights.public_checkpoints import PUBLIC_CHECKPOINTS
from SAMI2ILib.weights.spec import FAMILIES, EncoderReference
from SAMI2ILib.weights.store_files import (
    CHECKPOINT_SUFFIX,
    MODEL_SUFFIX,
    AddedFile,
    DamagedFile,
    Entry,
    FileKind,
    Origin,
    StoredEncoder,
    StoredModel,
    Verification,
    check_file,
    copy_checked,
    how_to_get,
    is_path,
    move_file,
    read_entry,
    remove_file,
)
from SAMI2ILib.weights.store_index import (
    FileRecord,
    StoreIndex,
    changed_index,
    check_recorded,
    read_index,
    utc_now,
)

ROOT_VARIABLE: Final = "SAMI2I_MODELS"


def default_root() -> Path:
    """Find the user's store: `SAMI2I_MODELS`, else `SAMI2I/models` in the user's data folder."""
    chosen = os.environ.get(ROOT_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("SAMI2I", appauthor=False) / "models"


class Store:
    """The model files on this computer.

    Args:
        root: The user's folder; `default_root()` when None. It is made when something is added.
        bundled: The folder of the models that come with the software; found when None.

    Raises:
        InputError: `root` is a file.
    """

    def __init__(self, root: Path | None = None, bundled: Path | None = None) -> None:
        self.root = default_root() if root is None else Path(root).absolute()
        if self.root.exists() and not self.root.is_dir():
            raise InputError(
                f"The model store must be a folder, but {self.root} is a file.",
                f"Change {ROOT_VARIABLE} or move the file away.",
            )
        self.bundled = _bundled_folder() if bundled is None else Path(bundled)

    def list(self) -> Sequence[StoredModel | DamagedFile]:
        """Give every model, bundled ones first, and the damaged files with their reasons."""
        return tuple(entry for entry in self._entries() if not isinstance(entry, StoredEncoder))

    def encoders(self) -> Sequence[StoredEncoder]:
        """Give every shared encoder, those of the user first."""
        found = [entry for entry in self._entries() if isinstance(entry, StoredEncoder)]
        return sorted(found, key=lambda encoder: encoder.origin == "bundled")

    def find(self, reference: str | Path) -> StoredModel:
        """Find one model.

        Args:
            reference: An id, or the path of a `.safetensors` file anywhere.

        Raises:
            MissingError: There is no such model or file; the hint lists the ids.
            ModelError: It is damaged, or two different models have this id.
        """
        if is_path(reference):
            path = Path(reference).expanduser()
            return StoredModel(read_spec(path), path, "file")
        matches = [entry for entry in self.list() if entry.id == reference]
        models = [entry for entry in matches if isinstance(entry, StoredModel)]
        if len(models) > 1 and len({file_sha256(model.path) for model in models}) > 1:
            paths = " and ".join(str(model.path) for model in models)
            raise ModelError(
                f"Two different models have the id {reference!r}: {paths}.",
                "Name one by its path, or remove one.",
            )
        if models:
            return models[0]
        for entry in matches:
            if isinstance(entry, DamagedFile):
                raise ModelError(entry.problem)
        raise MissingError(f"There is no model {str(reference)!r}.", self._what_there_is())

    def candidates(self, source: str | None, target: str) -> Sequence[StoredModel]:
        """Give the models for a pair of contrasts, the preferred one first.

        Bundled models come before the user's: what a command without `--model` does must not
        change because a file was added. Within each, SAM-I2I comes before the other families, then
        the newest file, then the id.

        Args:
            source: The contrast that goes in; None takes any.
            target: The contrast that comes out. Case does not matter.
        """
        added = {name: record.added for name, record in read_index(self.root).files.items()}
        matching = [
            entry
            for entry in self.list()
            if isinstance(entry, StoredModel)
            and entry.spec.target_contrast.casefold() == target.casefold()
            and (source is None or entry.spec.source_contrast.casefold() == source.casefold())
        ]
        # Three stable sorts, the last one counts most.
        matching.sort(key=lambda model: model.id)
        matching.sort(key=lambda model: added.get(model.path.name, ""), reverse=True)
        matching.sort(
            key=lambda model: (model.origin != "bundled", FAMILIES.index(model.spec.family))
        )
        return matching

    def choose(self, source: str | None, target: str) -> StoredModel:
        """Take the first of `candidates`.

        Raises:
            MissingError: There is none; the message says what there is.
        """
        found = self.candidates(source, target)
        if not found:
            pair = f"makes {target}" if source is None else f"turns {source} into {target}"
            raise MissingError(f"There is no model that {pair}.", self._what_there_is())
        return found[0]

    def add(
        self, path: Path, *, replace: bool = False, move: bool = False, source: str = ""
    ) -> AddedFile:
        """Check a file and put it into the store.

        Args:
            path: A model, a shared encoder, or an official SAM2 checkpoint under its own name.
            replace: Whether a different file of the same id gives way.
            move: Move instead of copy; for files below `root`.
            source: Where it came from, for the record; the file's name when empty.

        Raises:
            MissingError: There is no such file.
            ModelError: It is damaged, not ours, or not the checkpoint that was seen before.
            InputError: It cannot be read, is no model, or its id is taken by another file.
            OutputError: The store cannot be written.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingError(f"There is no file {path}.", "Check the path.")
        remove_leftovers(self.root)
        kind, file_id = check_file(path)
        sha256 = file_sha256(path)
        index = read_index(self.root)
        if kind == "checkpoint":
            target = self.root / f"{file_id}{CHECKPOINT_SUFFIX}"
            _compare_with_first(index, file_id, sha256)
        else:
            target = self.root / f"{file_id}{MODEL_SUFFIX}"
        record = FileRecord(sha256, utc_now(), source or path.name)
        same = self._find_same(file_id, kind, target, sha256, replace=replace)
        if same is not None:
            if same.parent == self.root and same.name not in index.files:
                self._write_record(kind, same, record)
            return AddedFile(kind, file_id, same, sha256, was_there=True)
        if move:
            move_file(path, target)
        else:
            copy_checked(path, target, sha256)
        replaced = [old for old in self._paths(file_id, "user") if old != target]
        for old in replaced:
            remove_file(old)
        self._write_record(kind, target, record, replaced)
        return AddedFile(kind, file_id, target, sha256, was_there=False)

    def remove(self, file_id: str) -> Path:
        """Delete a file from the user's store; a checkpoint's hash stays on record.

        Args:
            file_id: Of a model, a shared encoder, a checkpoint, or a damaged file.

        Returns:
            The path that is gone.

        Raises:
            InputError: It comes with the software, or models need the encoder.
            MissingError: There is nothing of that name.
        """
        paths = [*self._paths(file_id, "user")]
        if not paths:
            if any(self._paths(file_id, "bundled")):
                raise InputError(f"{file_id!r} comes with the software and cannot be removed.")
            raise MissingError(f"There is no model {file_id!r}.", self._what_there_is())
        self._refuse_if_needed(file_id)
        with changed_index(self.root) as index:
            for path in paths:
                remove_file(path)
                index.files.pop(path.name, None)
        return paths[0]

    def verify(self, file_id: str) -> Verification:
        """Read a file in full and compare its hash with the one recorded when it came.

        Args:
            file_id: Of a model, a shared encoder or a checkpoint.

        Raises:
            MissingError: There is nothing of that name.
            ModelError: The file is damaged or has changed.
        """
        for origin, _folder in self._folders():
            for path in self._paths(file_id, origin):
                sha256 = file_sha256(path)
                recorded = check_recorded(path, sha256)
                check_file(path)
                return Verification(path, sha256, recorded)
        raise MissingError(f"There is no model {file_id!r}.", self._what_there_is())

    def encoder_path(self, reference: EncoderReference, beside: Path | None = None) -> Path:
        """Find the file that holds a model's encoder.

        Args:
            reference: `ModelSpec.encoder`, of kind "public" or "store".
            beside: Folder of the model file, where a training run leaves the encoder; looked at
                first.

        Returns:
            A file with the SHA-256 of the reference: `.pt` in the official layout for "public",
            `.safetensors` for "store".

        Raises:
            InputError: The kind is "none" or "embedded": there is no such file.
            MissingError: It is not there; the hint says how to get it.
            ModelError: A file of that name is there with another hash.
        """
        if reference.kind not in ("public", "store"):
            raise InputError(
                f"An encoder of kind {reference.kind!r} has no file of its own.",
                "Its weights are in the model file, or there are none.",
            )
        suffix = CHECKPOINT_SUFFIX if reference.kind == "public" else MODEL_SUFFIX
        folders = [self.root] if beside is None else [beside, self.root]
        paths = [folder / f"{reference.name}{suffix}" for folder in folders]
        if reference.kind == "store":
            paths += [entry.path for entry in self.encoders() if entry.id == reference.name]
        paths = [path for path in paths if path.is_file()]
        for path in paths:
            if file_sha256(path) == reference.sha256:
                return path
        hint = how_to_get(reference)
        if paths:
            raise ModelError(
                f"The encoder {reference.name!r} at {paths[0]} is not the one that the model was "
                f"trained with: expected SHA-256 {reference.sha256}.",
                f"Remove it first. {hint}",
            )
        raise MissingError(f"The encoder {reference.name!r} of the model is not there.", hint)

    def record_of(self, name: str) -> FileRecord | None:
        """Give what is known of a public checkpoint from its first download."""
        return read_index(self.root).checkpoints.get(name)

    def checkpoints(self) -> Sequence[Path]:
        """Give the official checkpoints that are in the store."""
        paths = (self.root / checkpoint.file_name for checkpoint in PUBLIC_CHECKPOINTS.values())
        return tuple(path for path in paths if path.is_file())

    def index_problem(self) -> str:
        """Say why the user's index cannot be used; empty when it can, or there is none."""
        return read_index(self.root).problem

    def _folders(self) -> Iterator[tuple[Origin, Path]]:
        # A store on the bundled folder itself is how the bundled files get their index.
        if self.bundled is not None and self.bundled.resolve() != self.root.resolve():
            yield "bundled", self.bundled
        yield "user", self.root

    def _entries(self) -> Iterator[Entry]:
        for origin, folder in self._folders():
            for path in sorted(folder.glob(f"*{MODEL_SUFFIX}")):
                if not path.name.startswith("."):  # a file that is being written
                    yield read_entry(path, origin)

    def _paths(self, file_id: str, origin: Origin) -> Iterator[Path]:
        """Give the files of one id, whatever they are."""
        for entry in self._entries():
            if entry.id == file_id and entry.origin == origin:
                yield entry.path
        if origin == "user":
            yield from (path for path in self.checkpoints() if path.stem == file_id)

    def _write_record(
        self, kind: FileKind, path: Path, record: FileRecord, replaced: Sequence[Path] = ()
    ) -> None:
        with changed_index(self.root) as index:
            for old in replaced:
                index.files.pop(old.name, None)
            index.files[path.name] = record
            if kind == "checkpoint":
                index.checkpoints.setdefault(path.stem, record)

    def _find_same(
        self, file_id: str, kind: FileKind, target: Path, sha256: str, *, replace: bool
    ) -> Path | None:
        """Give the file that is the same already, or None if nothing stands in the way."""
        taken = {*self._paths(file_id, "user"), *([target] if target.exists() else [])}
        bundled = [*self._paths(file_id, "bundled")]
        for path in (*bundled, *sorted(taken)):
            if file_sha256(path) == sha256:
                return path
        if bundled:
            raise InputError(
                f"The id {file_id!r} belongs to a {kind} that comes with the software.",
                "Give yours another id.",
            )
        if taken and not replace:
            raise InputError(
                f"A different file with the id {file_id!r} is in the store.",
                "Remove it first, or add with --replace.",
            )
        return None

    def _refuse_if_needed(self, file_id: str) -> None:
        users = [
            entry.id
            for entry in self.list()
            if isinstance(entry, StoredModel)
            and entry.origin == "user"
            and entry.spec.encoder.kind == "store"
            and entry.spec.encoder.name == file_id
        ]
        if users:
            raise InputError(
                f"The models {', '.join(users)} need the encoder {file_id!r}.",
                "Remove them first.",
            )

    def _what_there_is(self) -> str:
        there = [
            f"{model.id} ({model.spec.source_contrast} to {model.spec.target_contrast})"
            for model in self.list()
            if isinstance(model, StoredModel)
        ]
        listed = f"There are: {', '.join(there)}." if there else "There are no models yet."
        return f"{listed} Train one with `sami2i train`, or add a file with `sami2i models add`."


def _bundled_folder() -> Path | None:
    try:
        return asset_path("models")
    except MissingError:
        return None  # a build without bundled models; `list` shows that there are none


def _compare_with_first(index: StoreIndex, name: str, sha256: str) -> None:
    first = index.checkpoints.get(name)
    if first is not None and first.sha256 != sha256:
        raise ModelError(
            f"This {name} is not the file that was seen first on {first.added[:10]}: its SHA-256 "
            f"is {sha256}, recorded was {first.sha256}.",
            "Get it again from the official address with `sami2i models download`.",
        )
