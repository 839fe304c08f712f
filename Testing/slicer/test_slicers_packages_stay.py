"""Slicer's own packages stay as they are: the installer with the real pip and empty wheels."""

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from SAMI2IPanel import packages
from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.packages_installer import PackagesInstaller
from SAMI2IPanel.pip_log import PipLog

from Testing.slicer.published_wheels import NEWEST, SLICER, write_wheel


class PythonOfSlicer:
    """A virtual environment that holds what a Slicer brings along, and the services on it."""

    def __init__(self, folder, version, wheels):
        venv.create(folder, with_pip=False)
        self._python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        (self._site,) = folder.rglob("site-packages")
        self._wheels = wheels
        for name, (number, requires) in SLICER[version].items():
            with zipfile.ZipFile(write_wheel(folder, name, number, requires)) as wheel:
                wheel.extractall(self._site)
        self.said = []

    def versions(self):
        found = importlib.metadata.distributions(path=[str(self._site)])
        return {canonicalize_name(d.metadata["Name"]): d.version for d in found}

    def install(self):
        missing = packages.missingRequirements(self.versions(), importable=lambda _module: False)
        PackagesInstaller(self, self.versions, PipLog(self.said.append)).install(missing)

    def hasTorchExtension(self):
        return True

    def installTorch(self, torchVersion, torchvisionVersion, log):
        self._pip([f"torch{torchVersion}", f"torchvision{torchvisionVersion}"], log)

    def pipInstall(self, arguments, log):
        if "--requirement" in arguments:
            # sam2 is published as source and is built; without dependencies it changes nothing.
            assert "--no-deps" in arguments
            return
        self._pip(arguments, log)

    def dryRun(self, requirements):
        """Name what pip would install, with its version."""
        report = self._site / "report.json"
        self._pip(["--dry-run", "--quiet", "--report", str(report), *requirements], print)
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
        return {canonicalize_name(i["metadata"]["name"]): i["metadata"]["version"] for i in items}

    def _pip(self, arguments, log):
        command = [sys.executable, "-m", "pip", "--python", str(self._python), "install"]
        offline = ["--no-index", "--find-links", str(self._wheels)]
        ended = subprocess.run(
            [*command, *offline, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        for line in ended.stdout.splitlines():
            log(line)
        ended.check_returncode()


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    for stack in (NEWEST, *SLICER.values()):
        for name, (version, requires) in stack.items():
            write_wheel(folder, name, version, requires)
    return folder


@pytest.fixture
def make_slicer(tmp_path, wheels):
    return lambda version: PythonOfSlicer(tmp_path / version, version, wheels)


@pytest.mark.parametrize("version", SLICER)
def test_installation_changes_nothing_that_slicer_brings_along(make_slicer, version):
    slicer = make_slicer(version)
    before = slicer.versions()
    slicer.install()
    after = slicer.versions()
    assert {name: after[name] for name in before} == before
    assert after["torch"] == NEWEST["torch"][0]
    assert after["scikit-image"] == NEWEST["scikit-image"][0]
    still_missing = packages.missingRequirements(after, importable=lambda _module: False)
    assert [r.name for r in still_missing] == ["sam2"]


def test_installation_takes_an_older_release_rather_than_another_numpy(make_slicer, wheels):
    write_wheel(wheels, "scikit-image", "99.0", ["numpy>=2.4"])
    slicer = make_slicer("5.10")
    # Without constraints pip would change Slicer's numpy, so this test can fail.
    would_install = slicer.dryRun(["scikit-image>=0.22"])
    assert would_install["numpy"] == "2.4.6"
    slicer.install()
    assert slicer.versions()["numpy"] == "2.0.2"
    assert slicer.versions()["scikit-image"] == NEWEST["scikit-image"][0]


def test_installation_fails_rather_than_change_numpy(make_slicer, wheels):
    for path in Path(wheels).glob("scikit_image-*"):
        path.unlink()
    write_wheel(wheels, "scikit-image", "99.0", ["numpy>=2.4"])
    slicer = make_slicer("5.10")
    with pytest.raises(DependencyError, match=r"ResolutionImpossible.*another extension"):
        slicer.install()
    assert slicer.versions()["numpy"] == "2.0.2"


def test_torch_that_serves_stays_when_torchvision_is_added(make_slicer, wheels):
    write_wheel(wheels, "torch", "2.9.0", [])
    write_wheel(wheels, "torchvision", "0.24.0", ["torch==2.9.0", "numpy"])
    slicer = make_slicer("5.12")
    slicer._pip(["torch==2.9.0"], print)
    slicer.install()
    assert slicer.versions()["torch"] == "2.9.0"
    assert slicer.versions()["torchvision"] == "0.24.0"
