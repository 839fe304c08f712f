"""The order and the options in which the packages are installed."""

import subprocess
from collections.abc import Callable, Collection, Sequence
from typing import Any

from packaging.requirements import Requirement

from SAMI2IPanel import packages
from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.i18n import _
from SAMI2IPanel.pip_environment import pipEnvironment
from SAMI2IPanel.pip_log import PipLog


class PackagesInstaller:
    """Installs requirements without touching what Slicer brings along.

    Args:
        services: What is asked of Slicer.
        versions: Gives the installed distributions.
        log: Gets what pip says.
    """

    def __init__(self, services: Any, versions: Callable[[], dict[str, str]], log: PipLog) -> None:
        self._services = services
        self._versions = versions
        self._log = log

    def install(self, requirements: Sequence[Requirement], again: Collection[str] = ()) -> None:
        """Install the requirements.

        Args:
            requirements: What is to be installed.
            again: Names of those that are there and are to be replaced by the same version.

        Raises:
            DependencyError: Slicer is too old, pip failed, or it changed Slicer's own packages.
        """
        before = self._versions()
        names = [packages.canonicalName(r) for r in requirements]
        if old := [name for name in names if name in packages.SLICERS_OWN and name in before]:
            raise DependencyError(
                _("Slicer's own packages are too old: {names}.").format(names=", ".join(old)),
                _("Install Slicer 5.10 or newer."),
            )
        with pipEnvironment(packages.pins(before, names), before.get("pip", "0")):
            self._translated(lambda: self._installInOrder(requirements, again, before))
        if changed := packages.changedPackages(before, self._versions()):
            raise DependencyError(
                _("The installation changed Slicer's own packages: {changes}.").format(
                    changes=", ".join(changed)
                ),
                _("Install Slicer again, and please report this."),
            )

    def installBelow(self, requirements: Sequence[Requirement]) -> None:
        """Install what others need: what is there in the same version, what is missing as needed.

        Raises:
            DependencyError: pip failed.
        """
        before = self._versions()
        with pipEnvironment(packages.pins(before), before.get("pip", "0")):
            self._translated(lambda: self._installOrReplace(requirements, requirements, before))

    def uninstallTorch(self) -> None:
        """Remove PyTorch.

        Raises:
            DependencyError: pip failed.
        """
        self._log(_("Removing PyTorch."))
        self._translated(lambda: self._services.uninstallTorch(self._log))

    def _installInOrder(
        self, requirements: Sequence[Requirement], again: Collection[str], before: dict[str, str]
    ) -> None:
        if packages.needTorch(requirements):
            self._installTorch()
        rest = [r for r in requirements if r.name not in (*packages.TORCH, packages.SAM2)]
        self._installOrReplace(rest, [r for r in rest if r.name in again], before)
        if any(r.name == packages.SAM2 for r in requirements):
            self._installSam2(packages.SAM2 in again)

    def _installOrReplace(
        self,
        requirements: Sequence[Requirement],
        again: Sequence[Requirement],
        before: dict[str, str],
    ) -> None:
        """Replace those of `again` that are there by the same version; install the rest."""
        there = [r for r in again if packages.canonicalName(r) in before]
        if new := [str(r) for r in requirements if r not in there]:
            self._log(_("Installing {names}.").format(names=", ".join(new)))
            self._services.pipInstall(["--prefer-binary", *new], self._log)
        if there:
            names = ", ".join(r.name for r in there)
            self._log(_("Installing again: {names}.").format(names=names))
            same = [f"{r.name}=={before[packages.canonicalName(r)]}" for r in there]
            self._services.pipInstall(["--force-reinstall", "--no-deps", *same], self._log)

    def _installTorch(self) -> None:
        if not self._services.hasTorchExtension():
            raise DependencyError(
                _("The PyTorch extension is not installed."),
                _("Install PyTorch in the Extensions Manager, restart Slicer, and try again."),
            )
        self._log(_("Installing PyTorch. Some minutes without a message are normal."))
        ranges = {r.name: str(r.specifier) for r in packages.readRequirements("torch.txt")}
        try:
            self._services.installTorch(ranges["torch"], ranges["torchvision"], self._log)
        except ImportError as error:
            # The extension imports what it has installed; whether that loads is checked later.
            self._log(str(error))
        absent = packages.missingRequirements(self._versions())
        if names := [r.name for r in absent if r.name in packages.TORCH]:
            # Its installer can fail without an exit code.
            raise DependencyError(
                _("The PyTorch extension did not install {names}: {reason}").format(
                    names=", ".join(names), reason=self._log.reason()
                ),
                _("Install PyTorch in the module PyTorch Utils, then try again."),
            )

    def _installSam2(self, again: bool) -> None:
        # It builds only beside torch, hence not in isolation. It is pinned by its hash, and pip
        # wants hashes of all or of none, hence without dependencies.
        self._log(_("Building sam2."))
        options = ["--no-deps", "--no-build-isolation", "--require-hashes"]
        if again:
            options.append("--force-reinstall")
        self._services.pipInstall(
            [*options, "--requirement", str(packages.sam2RequirementFile())], self._log
        )

    def _translated(self, step: Callable[[], None]) -> None:
        """Run a step; say what went wrong as the user can act on it."""
        try:
            step()
        except subprocess.CalledProcessError as error:
            raise DependencyError(
                _("pip could not install the packages: {reason}").format(reason=self._log.reason()),
                self._log.hint(),
            ) from error
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise DependencyError(
                _("The packages could not be installed: {reason}").format(reason=reason),
                _("Read the log, and try again after a restart of Slicer."),
            ) from error
