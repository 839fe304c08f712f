"""`sami2i doctor`: what works on this machine, and one line for the panel's status."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.about import VERSION
from SAMI2ILib.errors import InputError, MissingError, Sami2iError, first_line

if TYPE_CHECKING:
    from SAMI2ILib.cli.console import Console
    from SAMI2ILib.inference.device import Device

HELP = "Say what works on this machine: PyTorch, device, models, disk."

# Import name: name of the distribution. What a translation needs, then what adds to it.
REQUIRED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "sam2": "sam2",
    "hydra": "hydra-core",
    "iopath": "iopath",
    "PIL": "pillow",
    "SimpleITK": "SimpleITK",
    "numpy": "numpy",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "safetensors": "safetensors",
    "jsonschema": "jsonschema",
    "platformdirs": "platformdirs",
    "pydicom": "pydicom",
    "requests": "requests",
    "tqdm": "tqdm",
}
OPTIONAL = {
    "open_clip": "open_clip_torch",
    "openvino": "openvino",
    "nilearn": "nilearn",
    "matplotlib": "matplotlib",
}
# Some packages load their parts when they are used: these are the parts that the library uses.
_PARTS = {
    "sam2": ("sam2.modeling.backbones.hieradet",),
    "safetensors": ("safetensors.numpy",),
    "scipy": ("scipy.ndimage",),
    "skimage": ("skimage.filters", "skimage.metrics"),
}
# A library that does not load is an OSError on Windows and an ImportError elsewhere; a torch that
# is too old lacks attributes.
_LOADING_FAILURES = (ImportError, OSError, RuntimeError, AttributeError, Sami2iError)
_STORE_NEEDS = ("numpy", "safetensors", "jsonschema", "platformdirs")

_PRECISIONS = {
    "fp32": "fp32",
    "bf16": "bf16, gray levels in fp32",
    "fp16": "fp16, gray levels in fp32",
}

MACOS_INTEL = (
    "Not supported: for Intel programs on macOS, as Slicer is one, PyTorch stops at 2.2 and sam2 "
    "asks for 2.5.1."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.add_argument(
        "--verify", action="store_true", help="import every package and compute on the device, too"
    )


def run(args: argparse.Namespace, console: "Console") -> int:
    """Examine the machine; 0 if a translation can run on it, 3 if something is missing."""
    fields = examine(verify=args.verify)
    console.say(json.dumps(fields) if args.json else _text(fields))
    console.result(fields)
    return 0 if fields["ready"] else MissingError.exit_code


def examine(*, verify: bool = False) -> dict[str, Any]:
    """Collect what the command prints; a missing or broken package is a finding, not an error.

    Args:
        verify: Import every package and run one small convolution on the device.

    Returns:
        JSON-ready facts; `ready` says whether a translation can run, `status` says it in a line.
    """
    packages = {name: _version(name, REQUIRED[name]) for name in REQUIRED}
    extras = {name: _version(name, OPTIONAL[name]) for name in OPTIONAL}
    missing = [REQUIRED[name] for name, version in packages.items() if version is None]
    broken = _broken(packages) if verify else {}
    device, device_problem = _device(verify) if packages["torch"] else (None, "")
    can_load = device is not None and not missing and not broken
    placed, placed_problem = _back_ends() if can_load else ({}, "")
    device = placed.get("device", device)
    store, store_problem = _store() if all(packages[name] for name in _STORE_NEEDS) else (None, "")
    found = [f"{name} does not load: {reason}" for name, reason in broken.items()]
    found += [device_problem, placed_problem, store_problem]
    problems = [text for text in found if text]
    status, ready = _status(missing, device, problems, store)
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "packages": packages | extras,
        "missing": missing,
        "broken": broken,
        "back_ends": placed.get("back_ends", []),
        "back_end": placed.get("back_end"),
        "advice": placed.get("advice", ""),
        "device": device,
        "gpu": None if device is None else _gpu(device["name"]),
        "bf16": None if device is None else device["precision"] == "bf16",
        "store": store,
        "problems": problems,
        "ready": ready,
        "status": status,
    }


def _version(module: str, distribution: str) -> str | None:
    """Give a package's version without importing it; None if it is not installed."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ValueError:  # a module that another program put in place without a spec
        found = False
    if not found:
        return None
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _broken(packages: Mapping[str, str | None]) -> dict[str, str]:
    """Import the installed packages; give the distributions that fail, each with the reason."""
    broken = {}
    for name in (name for name, version in packages.items() if version is not None):
        try:
            for module in (name, *_PARTS.get(name, ())):
                importlib.import_module(module)
        except (ImportError, OSError, RuntimeError, AttributeError, TypeError, ValueError) as error:
            # What half an installation, or a library built for another version, raises.
            broken[REQUIRED[name]] = first_line(error)
    return broken


def _device(verify: bool) -> tuple[dict[str, str] | None, str]:
    try:
        from SAMI2ILib.inference.device import device_trouble, select_device

        device = select_device("auto")
        trouble = device_trouble(device) if verify else ""
    except _LOADING_FAILURES as error:
        return None, f"PyTorch does not work: {first_line(error)}"
    if trouble:
        return None, f"PyTorch does not work: {trouble}"
    return _device_facts(device), ""


def _back_ends() -> tuple[dict[str, Any], str]:
    """Say what a SAM-I2I model would run on here: the device again, in that back end's precision.

    A translation holds the back end against the reference on one slice of its model before it
    uses it; that alone is not done here.
    """
    try:
        from SAMI2ILib.inference.back_ends import (
            expected_back_end,
            openvino_trouble,
            select_inference_device,
        )

        device = select_inference_device()
        name, reason = expected_back_end(device)
        trouble = openvino_trouble()
    except _LOADING_FAILURES as error:
        return {}, f"The back ends do not load: {first_line(error)}"
    return {
        "device": _device_facts(device),
        "back_end": {"name": name, "reason": reason},
        "back_ends": ["torch", "openvino"] if trouble is None else ["torch"],
        "advice": "" if trouble is None else trouble.hint,
    }, ""


def _device_facts(device: "Device") -> dict[str, str]:
    fields = ("name", "description", "reason", "precision")
    return {field: str(getattr(device, field)) for field in fields}


def _gpu(name: str) -> dict[str, Any] | None:
    """Facts about a GPU; None where the device is none, or does not tell."""
    if name == "cpu":
        return None
    from SAMI2ILib.inference.device import describe_gpu

    try:
        return describe_gpu(name)
    except RuntimeError:
        return None


def _store() -> tuple[dict[str, Any] | None, str]:
    from SAMI2ILib.weights.store import Store
    from SAMI2ILib.weights.store_files import DamagedFile

    try:
        store = Store()
    except InputError as error:
        return None, str(error)
    entries = store.list()
    whole = [entry for entry in entries if not isinstance(entry, DamagedFile)]
    facts = {
        "folder": str(store.root),
        "free_bytes": _free_bytes(store.root),
        "bundled": [entry.id for entry in whole if entry.origin == "bundled"],
        "user": [entry.id for entry in whole if entry.origin == "user"],
        "damaged": [entry.problem for entry in entries if isinstance(entry, DamagedFile)],
        "checkpoints": [path.stem for path in store.checkpoints()],
    }
    return facts, ""


def _free_bytes(folder: Path) -> int | None:
    for parent in (folder, *folder.parents):
        if parent.is_dir():
            return shutil.disk_usage(parent).free
    return None


def _status(
    missing: Sequence[str],
    device: dict[str, str] | None,
    problems: Sequence[str],
    store: dict[str, Any] | None,
) -> tuple[str, bool]:
    """Give the one line for the panel, and whether a translation can run."""
    trouble = ""
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        trouble = MACOS_INTEL
    elif "torch" in missing:
        trouble = "PyTorch is not installed."
    elif missing:
        trouble = f"Not installed: {', '.join(missing)}."
    elif problems:
        trouble = problems[0]
    elif store is None or not (store["bundled"] or store["user"]):
        trouble = "There is no model yet."
    if trouble or device is None:
        return trouble, False
    if device["name"] == "cpu":
        return f"Ready on the {device['description']} because {device['reason']}.", True
    return f"Ready: {device['description']}", True


def _text(fields: dict[str, Any]) -> str:
    device, store = fields["device"], fields["store"]
    rows = [
        ("status", fields["status"]),
        ("SAM-I2I", fields["version"]),
        ("Python", f"{fields['python']} on {fields['platform']}"),
    ]
    if device is not None:
        rows.append(("device", f"{device['description']}: {device['reason']}"))
        rows.append(("precision", _PRECISIONS[device["precision"]]))
    if (gpu := fields["gpu"]) is not None:
        free, total = (gpu[name] / 10**9 for name in ("free_bytes", "memory_bytes"))
        memory = f"{free:.1f} of {total:.1f} GB free"
        rows.append(("GPU", f"{memory}, compute capability {gpu['capability']}, {gpu['runtime']}"))
    if fields["back_end"] is not None:
        first = fields["back_end"]
        rows.append(("back end", f"{first['name']}: {first['reason']}"))
    rows.append(("back ends", ", ".join(fields["back_ends"]) or "none"))
    if fields["advice"]:
        rows.append(("advice", fields["advice"]))
    rows += [(name, version or "not installed") for name, version in fields["packages"].items()]
    if store is not None:
        free = store["free_bytes"]
        rows += [
            ("bundled", ", ".join(store["bundled"]) or "none"),
            ("your models", ", ".join(store["user"]) or "none"),
            *[("damaged", problem) for problem in store["damaged"]],
            ("checkpoints", ", ".join(store["checkpoints"]) or "none"),
            ("store", store["folder"]),
            ("free disk", "unknown" if free is None else f"{free / 10**9:.1f} GB"),
        ]
    rows += [("problem", problem) for problem in fields["problems"]]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
