"""`slicer.packaging` of Slicer 5.12: checks are real, installing is asked for and recorded.

The host never installs anything: a test gives `installer`, a function that stands for pip.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
from packaging.requirements import InvalidRequirement, Requirement

installer: Callable[[list[str]], None] | None = None


def load_requirements(path: str | Path) -> list[Requirement]:
    """The requirements of a requirements.txt; comments and pip options are left out."""
    lines = (line.split(" #")[0].strip() for line in Path(path).read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def _requirements(given: Any) -> list[Requirement]:
    if isinstance(given, Requirement):
        return [given]
    if isinstance(given, str):
        try:
            return [Requirement(given)]
        except InvalidRequirement:
            given = given.split()
    return [item if isinstance(item, Requirement) else Requirement(item) for item in given]


def pip_check(req: Any) -> bool:
    """Whether every requirement that applies here is installed at a fitting version."""
    return all(_isSatisfied(requirement) for requirement in _requirements(req))


def _isSatisfied(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def pip_install(
    requirements: str | Sequence[str],
    constraints: str | Path | None = None,
    no_deps_requirements: str | Sequence[str] | None = None,
    skip_packages: Sequence[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> None:
    """Hand pip's arguments to the test's `installer`.

    Raises:
        RuntimeError: The test gave no installer, or the call is not on the main thread.
    """
    import qt

    if qt.QThread.currentThread() != slicer.app.thread():
        raise RuntimeError("pip_install must be called on the main thread.")
    if installer is None:
        raise RuntimeError("The test host installs nothing: set slicer.packaging.installer first.")
    if no_deps_requirements is not None:
        installer(["install", "--no-deps", *_arguments(no_deps_requirements)])
    extra = ["-c", str(constraints)] if constraints is not None else []
    arguments = ["install", *_arguments(requirements), *extra]
    installer(arguments)
    if logCallback is not None:
        logCallback("pip " + " ".join(arguments))
    if not blocking and completedCallback is not None:
        completedCallback(0)


def _arguments(given: str | Sequence[str]) -> list[str]:
    return given.split() if isinstance(given, str) else list(given)


def pip_uninstall(requirements: str | Sequence[str]) -> None:
    """Hand pip's arguments to the test's `installer`."""
    if installer is None:
        raise RuntimeError("The test host removes nothing: set slicer.packaging.installer first.")
    installer(["uninstall", "--yes", *_arguments(requirements)])


def pip_ensure(
    requirements: Any,
    constraints: str | Path | None = None,
    skip_packages: Sequence[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    """Ask, then install what is missing; in testing mode nothing happens by default.

    Raises:
        RuntimeError: The user said no.
    """
    missing = [item for item in _requirements(requirements) if not _isSatisfied(item)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    names = [str(item) for item in missing]
    question = f"{requester or 'This module'} needs: {', '.join(names)}. Install?"
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question):
        raise RuntimeError("The user chose not to install the packages.")
    pip_install(names, constraints, None, skip_packages, True, show_progress, requester)


def isPipInstallInProgress() -> bool:
    """Whether a background installation runs: here never."""
    return False
