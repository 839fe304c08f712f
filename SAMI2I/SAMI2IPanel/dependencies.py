"""Installs, checks and repairs the Python packages that a translation needs.

PyTorch comes through the PyTorch extension, the rest through Slicer's pip. Nothing happens before
the user said yes: the panel asks `question()`, then calls `install`.
"""

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from SAMI2ILib.cli.doctor import MACOS_INTEL
from SAMI2IPanel import packages
from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.disk_space import checkRoom, gigabytes, installedBytes
from SAMI2IPanel.i18n import _
from SAMI2IPanel.packages_installer import PackagesInstaller
from SAMI2IPanel.pip_log import Log, PipLog
from SAMI2IPanel.protocol import PanelError
from SAMI2IPanel.slicer_services import SlicerServices

# Importing torch for the first time from a slow disk takes minutes.
_CHECK_SECONDS = 600


class CheckCrashError(DependencyError):
    """The check of the packages ended without an answer."""


class Dependencies:
    """The packages of a translation in Slicer's Python.

    Args:
        services: What is asked of Slicer.
        versions: Gives the installed distributions.
        freeBytes: Gives the free space of a folder's disk.
        machine: System and processor, as `platform` names them.
        requires: Gives what an installed distribution needs.
    """

    def __init__(
        self,
        services: Any = None,
        versions: Callable[[], dict[str, str]] = packages.installedVersions,
        freeBytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        machine: tuple[str, str] | None = None,
        requires: Callable[[str], list[Requirement]] = packages.distributionRequirements,
    ) -> None:
        self._services = services or SlicerServices()
        self._versions = versions
        self._freeBytes = freeBytes
        self._machine = machine or (platform.system(), platform.machine())
        self._requires = requires
        self._isBusy = False

    def platformProblem(self) -> str:
        """Say why no translation can run on this computer; an empty string where one can."""
        return MACOS_INTEL if self._machine == ("Darwin", "x86_64") else ""

    def missing(self) -> list[str]:
        """Name the packages that are missing or too old; reads metadata only, imports nothing."""
        return [r.name for r in packages.missingRequirements(self._versions())]

    def question(self) -> str:
        """Write what the user is asked before anything is installed."""
        requirements = packages.missingRequirements(self._versions())
        withTorch = packages.needTorch(requirements)
        parts = [
            _("SAM-I2I needs Python packages that are not there yet: {names}.").format(
                names=", ".join(r.name for r in requirements)
            ),
            _(
                "They are downloaded into Slicer and take up to {needed}; {free} are free. "
                "It can take half an hour, and Slicer responds slowly meanwhile."
            ).format(
                needed=gigabytes(installedBytes(withTorch)),
                free=gigabytes(self._freeBytes(self._services.packageFolder())),
            ),
            _(
                "Slicer's own packages, numpy, SimpleITK and requests among them, stay as they "
                "are. Nothing about you or your data is sent."
            ),
            _("Install them now?"),
        ]
        if withTorch:
            parts.insert(1, _("The PyTorch extension chooses the PyTorch that fits your GPU."))
        return "\n\n".join(parts)

    def install(self, log: Log) -> None:
        """Install what is missing, then check that all works; no network if nothing is missing.

        Args:
            log: Gets each line that pip says.

        Raises:
            DependencyError: The platform, the disk, the network or a package prevents it.
        """
        with self._exclusively():
            installer = PackagesInstaller(self._services, self._versions, PipLog(log))
            requirements = packages.missingRequirements(self._versions())
            if requirements:
                self._checkRoom(packages.needTorch(requirements))
                installer.install(requirements)
            self._requireThatAllWorks(
                self._check(log), _('Press "Repair packages", or read the log.')
            )

    def repair(self, log: Log) -> None:
        """Install again what is missing or does not load, then check; the rest is left alone.

        A package that still does not load is not broken itself: what it needs is installed again.

        Args:
            log: Gets each line that pip says.

        Raises:
            DependencyError: One of Slicer's own packages is damaged, or the repair does not help.
        """
        with self._exclusively():
            installer = PackagesInstaller(self._services, self._versions, PipLog(log))
            broken = self._brokenPackages(log)
            if own := sorted(broken & set(packages.SLICERS_OWN)):
                raise DependencyError(
                    _("Slicer's own packages do not load: {names}.").format(names=", ".join(own)),
                    _("Install Slicer again."),
                )
            torchIsBroken = bool(broken & set(packages.TORCH))
            absent = packages.missingRequirements(self._versions())
            self._checkRoom(torchIsBroken or packages.needTorch(absent))
            if torchIsBroken:
                installer.uninstallTorch()
                absent = packages.missingRequirements(self._versions())
            again = packages.named(broken - {packages.canonicalName(r) for r in absent})
            if absent or again:
                installer.install([*absent, *again], again=[r.name for r in again])
            report = self._check(log)
            still = {packages.canonicalName(name) for name in report["broken"]}
            below = packages.below(
                still.intersection(map(packages.canonicalName, again)), self._requires
            )
            if below:
                installer.installBelow(below)
                report = self._check(log)
            self._requireThatAllWorks(report, _("Read the log, or install Slicer again."))

    def _brokenPackages(self, log: Log) -> set[str]:
        """Give the canonical names of what is installed and does not load."""
        try:
            report = self._check(log)
        except CheckCrashError as error:
            # A library that ends the whole process can only be the large one.
            log(error.message)
            return set(packages.TORCH)
        broken = {packages.canonicalName(name) for name in report["broken"]}
        if report["device"] is None and "torch" not in report["missing"]:
            broken |= set(packages.TORCH)
        return broken

    def _requireThatAllWorks(self, report: dict[str, Any], hint: str) -> None:
        if report["missing"]:
            problem = _("Still not installed: {names}.").format(names=", ".join(report["missing"]))
        elif report["broken"] or report["device"] is None:
            problem = report["status"]
        else:
            return
        raise DependencyError(problem, hint)

    def _check(self, log: Log) -> dict[str, Any]:
        """Import everything and compute on the device, in a child process."""
        log(_("Checking that the packages load and compute."))
        try:
            code, output, errors = self._services.runPython(
                ["-m", "SAMI2ILib", "doctor", "--json", "--verify"], _CHECK_SECONDS
            )
        except (OSError, PanelError) as error:
            raise DependencyError(
                _("The check of the packages could not start: {reason}").format(reason=error),
                _("Check that Slicer is fully installed and may run programs."),
            ) from error
        for line in errors.splitlines():
            log(line)
        try:
            report: dict[str, Any] = json.loads(output.splitlines()[-1])
        except (IndexError, ValueError):
            raise CheckCrashError(
                _("The check of the packages ended early (exit code {code}).").format(code=code),
                _('Press "Repair packages", or read the log.'),
            ) from None
        log(report["status"])
        return report

    def _checkRoom(self, withTorch: bool) -> None:
        temporary = Path(tempfile.gettempdir())
        checkRoom(self._services.packageFolder(), temporary, withTorch, self._freeBytes)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        if problem := self.platformProblem():
            raise DependencyError(problem, _("Use Slicer on Linux or Windows."))
        if not self._services.isMainThread():
            raise DependencyError(
                _("Packages can be installed on Slicer's main thread only."),
                _("Press the button in the panel."),
            )
        if self._isBusy or self._services.isPipRunning():
            raise DependencyError(
                _("Packages are being installed already."), _("Wait until that is done.")
            )
        self._isBusy = True
        try:
            yield
        finally:
            self._isBusy = False
