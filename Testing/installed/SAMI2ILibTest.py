"""Checks an installed extension from inside: 3D Slicer's ctest runs it, and so does `make test`.

It uses the standard library alone, because it starts in a Slicer without any package of ours.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

# What listing the models needs; torch is not among it.
STORE_NEEDS = ("jsonschema", "numpy", "platformdirs", "safetensors")


class SAMI2ILibTest(unittest.TestCase):
    """The library as Slicer's package has it."""

    def setUp(self):
        import SAMI2ILib

        self.modulesFolder = Path(SAMI2ILib.__file__).resolve().parents[1]

    def test_library_lies_beside_the_modules(self):
        assert self.modulesFolder.name == "qt-scripted-modules"

    def test_bundled_data_are_found_beside_the_library(self):
        from SAMI2ILib.assets import asset_path

        assert asset_path().resolve().is_relative_to(self.modulesFolder)
        index = json.loads(asset_path("models", "index.json").read_text(encoding="utf-8"))
        for folder in ("schema", "sample", "requirements"):
            assert any(asset_path(folder).iterdir()), folder
        for name in index["files"]:
            assert asset_path("models", name).is_file(), name

    def test_importing_the_library_does_not_import_torch(self):
        answer = self._run("-c", "import SAMI2ILib, sys; print('torch' in sys.modules)")
        assert answer.strip() == "False"

    def test_command_line_lists_the_bundled_models(self):
        missing = [name for name in STORE_NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            self.skipTest(f"not installed in this Python: {', '.join(missing)}")
        listing = json.loads(self._run("-m", "SAMI2ILib", "models", "list", "--json"))
        bundled = [Path(m["path"]) for m in listing["models"] if m["origin"] == "bundled"]
        assert len(bundled) >= 1
        for path in bundled:
            assert path.resolve().is_relative_to(self.modulesFolder), path

    def _run(self, *arguments):
        python = shutil.which("PythonSlicer") or sys.executable
        environment = os.environ | {"PYTHONPATH": str(self.modulesFolder)}
        ended = subprocess.run(
            [python, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


if __name__ == "__main__":
    unittest.main()
