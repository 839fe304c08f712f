"""A small Slicer that installs packages by writing their versions down, and remembers its calls."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from SAMI2IPanel import packages

from Testing.slicer.published_wheels import NEWEST, SLICER

# The packages of a Slicer, and of one in which everything is installed.
OWN = {name: version for name, (version, _) in SLICER["5.12"].items()} | {"pip": "26.1.1"}
ALL = OWN | {
    name: version for name, (version, _) in NEWEST.items() if name not in OWN
} | {"sam2": "1.1.0"}  # fmt: skip


class SmallSlicer:
    """Installs by writing versions down, and answers the check from `broken`."""

    def __init__(self, folder, versions):
        self.folder = folder
        self.installed = dict(versions)
        self.calls = []
        self.constraints = []
        self.broken = {}
        self.onMainThread = True
        self.pipRuns = False
        self.hasExtension = True
        self.failure = None
        self.sideEffect = {}
        self.answer = None

    def versions(self):
        return dict(self.installed)

    def isMainThread(self):
        return self.onMainThread

    def isPipRunning(self):
        return self.pipRuns

    def hasTorchExtension(self):
        return self.hasExtension

    def packageFolder(self):
        return self.folder

    def installTorch(self, torchVersion, torchvisionVersion, log):
        self._pip(["torch extension", torchVersion, torchvisionVersion], log)
        for name in ("torch", "torchvision"):
            self.installed[name] = NEWEST[name][0]
            self.broken.pop(name, None)

    def uninstallTorch(self, log):
        self._pip(["uninstall torch"], log)
        self.installed = {k: v for k, v in self.installed.items() if not k.startswith("torch")}

    def pipInstall(self, arguments, log):
        self._pip(arguments, log)
        names = [a for a in arguments if not a.startswith("-") and not a.endswith(".txt")]
        if "--requirement" in arguments:
            names.append("sam2")
        for name in (packages.canonicalName(Requirement(text)) for text in names):
            self.installed[name] = ALL[name]
            self.broken.pop(name, None)
        self.installed |= self.sideEffect

    def runPython(self, arguments, limitSeconds):
        self.calls.append("check")
        if self.answer is not None:
            return self.answer
        absent = [name for name in ("torch", "sam2", "scikit-image") if name not in self.installed]
        broken = dict.fromkeys(self.broken, "DLL load failed")
        device = None if "torch" in absent or "torch" in broken else {"name": "cpu"}
        status = "Not ready." if absent or broken else "Ready on the CPU."
        report = {"missing": absent, "broken": broken, "device": device, "status": status}
        return 0, json.dumps(report) + "\n", ""

    def _pip(self, call, log):
        self.calls.append(call)
        self.environment = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SAM2_"))}
        if address := self.environment.get("PIP_CONSTRAINT"):
            path = Path(url2pathname(urlsplit(address.split()[-1]).path))
            self.constraints = path.read_text(encoding="utf-8").split()
        log("Collecting what was asked for")
        if self.failure:
            log(self.failure)
            raise subprocess.CalledProcessError(1, "pip")
