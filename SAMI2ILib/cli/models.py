"""`sami2i models`: list, info, add, remove, verify, download."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.errors import InputError, MissingError, ModelError

if TYPE_CHECKING:
    from SAMI2ILib.cli.console import Console
    from SAMI2ILib.weights.store import Store
    from SAMI2ILib.weights.store_files import AddedFile, StoredModel

HELP = "The models on this computer: list, describe, add, remove, verify, download."

# Short names keep the table within a terminal's width; `info` shows the rest.
_TITLE_WIDTH = 56


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    commands = parser.add_subparsers(dest="models_command", required=True, metavar="ACTION")

    listing = commands.add_parser("list", help="show models, shared encoders and checkpoints")
    listing.add_argument("--json", action="store_true", help="write one JSON object")

    info = commands.add_parser("info", help="show what a model file says of itself")
    info.add_argument("model", metavar="ID or PATH", help="an id of `models list`, or a file")
    info.add_argument("--json", action="store_true", help="write one JSON object")

    add = commands.add_parser("add", help="check a file and copy it into the store")
    add.add_argument(
        "file", type=Path, help="a model, a shared encoder, or an official SAM2 checkpoint (.pt)"
    )
    add.add_argument("--replace", action="store_true", help="replace a different file of this id")

    remove = commands.add_parser("remove", help="delete a file from the store")
    remove.add_argument("id", metavar="ID", help="of a model, encoder or checkpoint of yours")

    verify = commands.add_parser("verify", help="read files in full and compare their SHA-256")
    verify.add_argument("ids", metavar="ID", nargs="*", help="default: every file")

    download = commands.add_parser("download", help="get a public checkpoint, or a model by URL")
    download.add_argument(
        "what",
        metavar="NAME or URL",
        help="a checkpoint of `models list`, as sam2.1_hiera_base_plus, or an HTTPS address",
    )
    download.add_argument(
        "--sha256", type=str, default="", help="expected hash; needed with a URL, and for one only"
    )
    download.add_argument("--replace", action="store_true", help="replace a different file")


def run(args: argparse.Namespace, console: "Console") -> int:
    """Run one subcommand and return its exit code."""
    # Here, not above: `sami2i --help` must not wait for NumPy.
    from SAMI2ILib.weights.store import Store

    actions: dict[str, Callable[[Store, argparse.Namespace, Console], int]] = {
        "list": _list,
        "info": _info,
        "add": _add,
        "remove": _remove,
        "verify": _verify,
        "download": _download,
    }
    store = Store()
    problem = store.index_problem()
    if problem:
        console.warn(
            "store-index", f"{problem} The hashes that were recorded for the files are lost."
        )
    return actions[args.models_command](store, args, console)


def _list(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    fields = _describe_store(store)
    _tell(console, fields, _list_text(fields), as_json=args.json)
    return 0


def _describe_store(store: "Store") -> dict[str, Any]:
    from SAMI2ILib.weights.public_checkpoints import PUBLIC_CHECKPOINTS
    from SAMI2ILib.weights.store_files import DamagedFile

    entries = store.list()
    present = {path.stem for path in store.checkpoints()}
    return {
        "store": str(store.root),
        "models": [
            _describe_model(store, entry) for entry in entries if not isinstance(entry, DamagedFile)
        ],
        "damaged": [
            {"id": entry.id, "origin": entry.origin, "path": str(entry.path), "why": entry.problem}
            for entry in entries
            if isinstance(entry, DamagedFile)
        ],
        "encoders": [
            {"id": entry.id, "title": entry.spec.title, "origin": entry.origin}
            for entry in store.encoders()
        ],
        "checkpoints": [
            {
                "id": checkpoint.name,
                "present": checkpoint.name in present,
                "megabytes": checkpoint.megabytes,
                "license": checkpoint.license,
            }
            for checkpoint in PUBLIC_CHECKPOINTS.values()
        ],
    }


def _describe_model(store: "Store", model: "StoredModel") -> dict[str, Any]:
    spec = model.spec
    return {
        "id": spec.id,
        "title": spec.title,
        "family": spec.family,
        "source_contrast": spec.source_contrast,
        "target_contrast": spec.target_contrast,
        "license": spec.license,
        "intended_use": spec.intended_use,
        "encoder": spec.encoder.name or spec.encoder.kind,
        "encoder_kind": spec.encoder.kind,
        "training_data": [asdict(data) for data in spec.training.data],
        "metrics": [asdict(metric) for metric in spec.metrics],
        "origin": model.origin,
        "path": str(model.path),
        "encoder_problem": _encoder_problem(store, model),
    }


def _encoder_problem(store: "Store", model: "StoredModel") -> str:
    """Say why a model's encoder cannot be used; empty when it can."""
    if model.spec.encoder.kind not in ("public", "store"):
        return ""
    try:
        store.encoder_path(model.spec.encoder, beside=model.path.parent)
    except (MissingError, ModelError) as error:
        return str(error)
    return ""


def _list_text(fields: dict[str, Any]) -> str:
    rows = [
        (
            model["id"],
            f"{model['source_contrast']} to {model['target_contrast']}",
            model["family"],
            model["origin"],
            _cut(model["title"]),
        )
        for model in fields["models"]
    ]
    lines = _table(rows) or ["No models yet."]
    lines += [
        f"{model['id']} cannot be used yet: {model['encoder_problem']}"
        for model in fields["models"]
        if model["encoder_problem"]
    ]
    lines += [f"damaged ({file['origin']}): {file['why']}" for file in fields["damaged"]]
    if fields["encoders"]:
        lines += ["", "Encoders that models share:"]
        lines += _table(
            [(entry["id"], entry["origin"], _cut(entry["title"])) for entry in fields["encoders"]]
        )
    lines += ["", "Official SAM2 checkpoints:"]
    lines += _table(
        [
            (
                checkpoint["id"],
                "here" if checkpoint["present"] else f"about {checkpoint['megabytes']} MB",
                checkpoint["license"],
            )
            for checkpoint in fields["checkpoints"]
        ]
    )
    return "\n".join([*lines, "", f"Store: {fields['store']}"])


def _info(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    from SAMI2ILib.weights.model_file import file_sha256

    model = store.find(args.model)
    fields = {
        **asdict(model.spec),
        "origin": model.origin,
        "path": str(model.path),
        "sha256": file_sha256(model.path),
        "encoder_problem": _encoder_problem(store, model),
    }
    _tell(console, fields, _info_text(fields), as_json=args.json)
    return 0


def _info_text(fields: dict[str, Any]) -> str:
    preprocessing, encoder = fields["preprocessing"], fields["encoder"]
    rows = [
        ("id", fields["id"]),
        ("title", fields["title"]),
        ("contrasts", f"{fields['source_contrast']} to {fields['target_contrast']}"),
        ("family", fields["family"]),
        ("encoder", f"{encoder['kind']} {encoder['name']}".strip()),
        (
            "input",
            f"{preprocessing['orientation']}, {preprocessing['spacing_mm']:g} mm in plane, "
            f"tiles of {preprocessing['size']}, {preprocessing['context_slices']} slice(s), "
            f"skull {preprocessing['skull']}",
        ),
        *[
            ("trained on", f"{data['name']} ({data['subjects']} subjects; {data['license']})")
            for data in fields["training"]["data"]
        ],
        *[("measured", _metric_text(metric)) for metric in fields["metrics"]],
        ("license", fields["license"]),
        ("made with", f"version {fields['software_version']}"),
        ("file", f"{fields['path']} ({fields['origin']})"),
        ("SHA-256", fields["sha256"]),
        ("use", fields["intended_use"]),
    ]
    if fields["encoder_problem"]:
        rows.append(("problem", fields["encoder_problem"]))
    return "\n".join(_table(rows))


def _metric_text(metric: dict[str, Any]) -> str:
    spread = metric["standard_deviation"]
    value = f"{metric['value']:.4g}" + ("" if spread is None else f" +- {spread:.2g}")
    region = metric["region"] or "full field"
    return f"{metric['name']} {value} {metric['unit']}".strip() + f", {region}, {metric['data']}"


def _add(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    added = store.add(args.file, replace=args.replace)
    if added.kind == "model":
        _add_encoder(store, added, args.file.parent, console)
    _say_added(console, added)
    return 0


def _add_encoder(store: "Store", added: "AddedFile", folder: Path, console: "Console") -> None:
    """Take along the shared encoder that lies beside a model, or say that it is missing."""
    from SAMI2ILib.weights.model_file import read_spec

    reference = read_spec(added.path).encoder
    if reference.kind not in ("public", "store"):
        return
    try:
        encoder = store.add(store.encoder_path(reference, beside=folder))
    except (MissingError, ModelError) as error:
        console.warn("encoder-missing", str(error))
        return
    if not encoder.was_there:
        console.note(f"Its encoder {encoder.id} was added as well.")


def _remove(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    path = store.remove(args.id)
    console.say(f"Removed {args.id}.")
    console.result({"id": args.id, "path": str(path)})
    return 0


def _verify(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    ids = args.ids or [
        *(entry.id for entry in store.list()),
        *(entry.id for entry in store.encoders()),
        *(path.stem for path in store.checkpoints()),
    ]
    files: list[dict[str, Any]] = []
    for file_id in ids:
        try:
            found = store.verify(file_id)
        except ModelError as error:
            files.append({"id": file_id, "ok": False, "why": str(error)})
            console.say(f"FAILED  {file_id}: {error}")
            continue
        recorded = found.recorded_sha256 is not None
        files.append({"id": file_id, "ok": True, "sha256": found.sha256, "recorded": recorded})
        remark = "" if recorded else "  (whole, but no hash was recorded to compare with)"
        console.say(f"ok      {file_id}  {found.sha256}{remark}")
    console.result({"files": files})
    return 0 if all(file["ok"] for file in files) else ModelError.exit_code


def _download(store: "Store", args: argparse.Namespace, console: "Console") -> int:
    from SAMI2ILib.weights.fetch import fetch_checkpoint, fetch_model
    from SAMI2ILib.weights.public_checkpoints import find_checkpoint

    progress = _Percent(console)
    if "://" in args.what:
        if not args.sha256:
            raise InputError(
                "A download by address needs --sha256.", "The page that offers the file gives it."
            )
        added = fetch_model(
            store, args.what, args.sha256, replace=args.replace, on_progress=progress
        )
    else:
        checkpoint = find_checkpoint(args.what)
        if args.sha256:
            raise InputError(
                "--sha256 is for a download by address; a checkpoint is compared with its first "
                "download.",
                "Leave it out.",
            )
        console.note(
            f"Getting {checkpoint.name} (about {checkpoint.megabytes} MB, {checkpoint.license})."
        )
        added = fetch_checkpoint(store, checkpoint, on_progress=progress)
    _say_added(console, added)
    return 0


class _Percent:
    """Passes on a download's progress when a whole percent, or a megabyte, has been added."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._told = -1

    def __call__(self, done: int, total: int | None) -> None:
        step = done // 10**6 if not total else 100 * done // total
        if step != self._told:
            self._told = step
            self._console.progress("download", done, total or 0)


def _say_added(console: "Console", added: "AddedFile") -> None:
    state = "was there already" if added.was_there else "added"
    console.say(f"The {added.kind} {added.id} {state}: {added.path}\nSHA-256 {added.sha256}")
    console.result({**asdict(added), "path": str(added.path)})


def _tell(console: "Console", fields: dict[str, Any], text: str, *, as_json: bool) -> None:
    console.say(json.dumps(fields) if as_json else text)
    console.result(fields)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the columns of rows of equal length."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _TITLE_WIDTH else f"{text[: _TITLE_WIDTH - 3]}..."
