"""Where a run goes on: its checkpoint, checked against the configuration, or another's weights."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.training.checkpoint import BEST_NAME, load_checkpoint, read_checkpoint
from SAMI2ILib.training.config import BUDGET_KEYS, MACHINE_KEYS, DataSource, TrainingConfig
from SAMI2ILib.training.schedule import TrainingState
from SAMI2ILib.training.selection import Selection
from SAMI2ILib.training.session import TERMS, Session
from SAMI2ILib.training.starting_weights import StartingWeights

_ABSENT = object()


def facts_of(selection: Selection, weights: StartingWeights) -> dict[str, Any]:
    """Hashes of the data and of the weights that a run starts from."""
    return {
        "datasets": [dataset.id for dataset in selection.datasets],
        "weights": weights.sha256,
    }


def identity_of(config: TrainingConfig, facts: dict[str, Any]) -> str:
    """What must not change between two calls of one run, as JSON.

    What may differ is the machine, how a batch is divided, how models are written and, so that a
    run can be made longer, the budget.

    Args:
        config: The recipe.
        facts: As `facts_of` gives them.
    """
    table: dict[str, Any] = asdict(config)
    for key in MACHINE_KEYS:
        del table[key]
    for key in (*BUDGET_KEYS, "accumulate"):
        del table["optimization"][key]
    for source in table["data"]:
        del source["folder"]
    for part in ("encoder", "discriminator", "baseline"):
        del table[part]["checkpoint"]  # the file's hash is among the facts
    del table["encoder"]["separate"]  # only what is written at the end depends on it
    return json.dumps(table | facts, sort_keys=True)


def changed_keys(before: str, now: str) -> list[str]:
    """Name the keys in which two identities differ.

    An option that is newer than the first of them was at its default then.

    Args:
        before: Of a checkpoint, perhaps of an older version.
        now: Of the configuration that asks.

    Returns:
        Names like "seed" or "decoder.depth"; an entry of a list by its number.
    """
    old, new = _flat(json.loads(before)), _flat(json.loads(now))
    sources = (DataSource(""),) * len(json.loads(now)["data"])
    defaults = _flat(json.loads(json.dumps(asdict(TrainingConfig("", sources)))))
    changed = [key for key, value in old.items() if new.get(key, _ABSENT) != value]
    newer = [key for key in new if key not in old]
    return changed + [key for key in newer if new[key] != defaults.get(key, _ABSENT)]


def resume(
    session: Session, content: dict[str, Any] | None, identity: str, folder: Path
) -> tuple[TrainingState, Tensor]:
    """Bring a session to where its checkpoint was written.

    Args:
        session: Newly built.
        content: Of the checkpoint; None begins a run.
        identity: Of the configuration that asks.
        folder: Of the run, for the message.

    Returns:
        How far the run has come, and the sums of the terms since the last row of its log.

    Raises:
        InputError: The folder holds a run of another configuration, or one that was written by an
            older version.
    """
    targets = len(session.config.targets)
    if content is None:
        return TrainingState(), torch.zeros(len(TERMS) + 1, targets, device=session.device)
    changed = changed_keys(content["identity"], identity)
    if changed:
        raise InputError(
            f"{folder} holds a run of another configuration: {', '.join(changed)} differ.",
            "Give another output folder, or delete its checkpoints to begin anew.",
        )
    session.load(content)
    sums = content["sums"].to(session.device)
    if len(sums) != len(TERMS) + 1:  # an older version had fewer terms: the next means begin anew
        sums = torch.zeros(len(TERMS) + 1, targets, device=session.device)
    return TrainingState(**content["state"]), sums


def start_with(session: Session, folder: Path) -> None:
    """Let a new session begin with the weights that another run would export.

    Args:
        session: Newly built.
        folder: Of the other run.

    Raises:
        InputError: It holds no checkpoint, or one of another network.
    """
    content, _ = load_checkpoint(folder)
    if content is None:
        raise InputError(f"{folder} holds no checkpoint to start from.", "Name another run.")
    weights: dict[str, Tensor] = content["network"] | (content["average"] or {})
    exports_best = json.loads(content["identity"])["optimization"]["export"] == "best"
    if exports_best and content["state"]["best_step"]:
        weights = read_checkpoint(folder / BEST_NAME)["network"]
    try:
        session.load_weights(weights)
    except ModelError as error:
        raise InputError(
            f"The run in {folder} trained another network: {error.message}",
            "Start from a run with the same encoder, decoder and targets.",
        ) from error
    if session.average is not None:
        session.average.load(session.trained_weights(), steps=0)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """The plain values in nested tables, and lists of tables, by dotted names."""
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value)}
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        flat |= _flat(entry, f"{name}.{key}" if name else key)
    return flat
