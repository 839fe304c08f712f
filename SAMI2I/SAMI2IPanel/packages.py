"""Which Python packages a translation needs, which are missing, and which must stay as they are.

Plain Python: it reads metadata and imports none of the packages.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from SAMI2ILib.assets import asset_path

# PyTorch comes through the PyTorch extension, which knows the build for the graphics card.
TORCH = ("torch", "torchvision")
SAM2 = "sam2"

# What Slicer brings along and other modules rely on: it keeps its exact version, whatever a package
# of ours or its dependencies may ask for. The names are those that imports use where they differ.
SLICERS_OWN = {
    "certifi": "certifi",
    "charset-normalizer": "charset_normalizer",
    "idna": "idna",
    "numpy": "numpy",
    "pillow": "PIL",
    "pydicom": "pydicom",
    "requests": "requests",
    "scipy": "scipy",
    "simpleitk": "SimpleITK",
    "urllib3": "urllib3",
}


def canonicalName(requirement: Requirement | str) -> str:
    """Give a distribution's name as metadata and pip compare it."""
    return canonicalize_name(getattr(requirement, "name", requirement))


def installedVersions() -> dict[str, str]:
    """Give the version of every installed distribution by its canonical name."""
    importlib.invalidate_caches()
    versions = {}
    for distribution in importlib.metadata.distributions():
        # An uninstallation that was cut off leaves a folder without a name.
        name = distribution.metadata["Name"]
        if name:
            versions.setdefault(canonicalName(name), distribution.version)
    return versions


def isImportable(module: str) -> bool:
    """Whether Python finds a module of this name; it is not imported."""
    return importlib.util.find_spec(module) is not None


def readRequirements(name: str) -> list[Requirement]:
    """Read one of the library's requirement files; options such as hashes are left out."""
    lines = asset_path("requirements", name).read_text(encoding="utf-8").splitlines()
    texts = [line.split("#")[0].split(" --")[0].strip() for line in lines]
    return [Requirement(text) for text in texts if text]


def allRequirements() -> list[Requirement]:
    """Read what a translation needs, PyTorch first, SAM2's trunk last."""
    names = ("torch.txt", "library.txt", "sam2-dependencies.txt", "sam2.txt")
    return [requirement for name in names for requirement in readRequirements(name)]


def missingRequirements(
    versions: dict[str, str], importable: Callable[[str], bool] = isImportable
) -> list[Requirement]:
    """Name what is not installed or has a version that does not serve.

    A package that Slicer built itself may lie there without metadata; pip would put another one
    over it, so it counts as present when it can be imported.
    """
    missing = {}
    for requirement in allRequirements():
        name = canonicalName(requirement)
        installed = versions.get(name)
        if installed is None:
            present = name in SLICERS_OWN and importable(SLICERS_OWN[name])
        else:
            present = requirement.specifier.contains(installed, prereleases=True)
        if not present:
            missing.setdefault(name, requirement)
    return list(missing.values())


def named(names: Collection[str]) -> list[Requirement]:
    """Give the requirements with these canonical names, in the order of installation."""
    found = {canonicalName(r): r for r in allRequirements() if canonicalName(r) in names}
    return list(found.values())


def distributionRequirements(name: str) -> list[Requirement]:
    """Read what an installed distribution needs here, without its extras."""
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    requirements = [Requirement(text) for text in texts]
    return [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]


def below(
    names: Collection[str], requires: Callable[[str], list[Requirement]] = distributionRequirements
) -> list[Requirement]:
    """Name what packages need, and what that needs.

    Args:
        names: Canonical names of the packages.
        requires: Gives what a distribution needs.

    Returns:
        Without the packages themselves, Slicer's own and PyTorch.
    """
    apart = {*names, *SLICERS_OWN, *TORCH}
    found: dict[str, Requirement] = {}
    waiting = list(names)
    while waiting:
        for requirement in requires(waiting.pop()):
            name = canonicalName(requirement)
            if name not in apart and name not in found:
                requirement.marker = None  # it has been looked at
                found[name] = requirement
                waiting.append(name)
    return list(found.values())


def needTorch(requirements: Iterable[Requirement]) -> bool:
    """Whether PyTorch is among the requirements."""
    return any(requirement.name in TORCH for requirement in requirements)


def pins(versions: dict[str, str], changing: Collection[str] = ()) -> list[str]:
    """Write the constraints that keep Slicer's packages, and a PyTorch that serves, as they are.

    Args:
        versions: What is installed.
        changing: Canonical names that are to be replaced and so get no constraint.
    """
    fixed = [name for name in (*SLICERS_OWN, *TORCH) if name in versions]
    return [f"{name}=={versions[name]}" for name in fixed if name not in changing]


def changedPackages(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Say which of Slicer's own packages are not as they were, e.g. "numpy 2.0.2 -> 2.4.6"."""
    return [
        f"{name} {before[name]} -> {after.get(name, 'removed')}"
        for name in SLICERS_OWN
        if name in before and after.get(name) != before[name]
    ]


def sam2RequirementFile() -> Path:
    """Find the file that pins SAM2's trunk by its hash."""
    return asset_path("requirements", "sam2.txt")
