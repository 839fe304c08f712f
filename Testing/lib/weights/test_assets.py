"""Run-time files are found in the source tree, in Slicer's extension folder and in a wheel."""

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import InputError, MissingError

REPOSITORY = Path(__file__).resolve().parents[3]
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")

# Prints where the schema was found, and checks a description with it.
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from SAMI2ILib.assets import asset_path
from SAMI2ILib.weights.spec import ModelSpec
print(asset_path("schema", "model-1.json"))
ModelSpec(family="unet", id="a", title="A", source_contrast="T1", target_contrast="T2",
          license="MIT").to_json()
"""


def schema_found_from(folder, elsewhere):
    ended = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, str(folder)],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return Path(ended.stdout.strip()).resolve()


def test_asset_path_finds_the_schema_in_the_source_tree():
    found = asset_path("schema", "model-1.json")
    assert found == REPOSITORY / "SAMI2ILib" / "assets" / "schema" / "model-1.json"
    assert json.loads(found.read_text(encoding="utf-8"))["$id"] == "urn:sami2i:model-1"


def test_asset_path_finds_the_schema_in_a_copied_extension_folder(tmp_path):
    modules = tmp_path / "lib with space" / "qt-scripted-modules"
    shutil.copytree(REPOSITORY / "SAMI2ILib", modules / "SAMI2ILib", ignore=IGNORED)
    expected = modules / "SAMI2ILib" / "assets" / "schema" / "model-1.json"
    assert schema_found_from(modules, tmp_path) == expected.resolve()


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="builds a wheel with pip")
@pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None, reason="builds a wheel with setuptools"
)
def test_asset_path_finds_the_schema_in_an_unpacked_wheel(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "SAMI2ILib", source / "SAMI2ILib", ignore=IGNORED)
    shutil.copy(REPOSITORY / "pyproject.toml", source)
    shutil.copy(REPOSITORY / "LICENSE.txt", source)
    (source / "README.md").write_text("# For the build\n", encoding="utf-8")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    installed = tmp_path / "site"
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(installed)
    expected = installed / "SAMI2ILib" / "assets" / "schema" / "model-1.json"
    assert schema_found_from(installed, tmp_path) == expected.resolve()
    in_tree = {p.relative_to(source) for p in (source / "SAMI2ILib").rglob("*") if p.is_file()}
    only_for_slicer = {Path("SAMI2ILib/CMakeLists.txt")}
    assert {path for path in in_tree if not (installed / path).is_file()} == only_for_slicer
    (metadata,) = installed.glob("*.dist-info/METADATA")
    needs = metadata.read_text(encoding="utf-8")
    assert "Requires-Dist: torch>=2.5.1" in needs
    assert "Requires-Dist: scikit-image>=0.22" in needs


def test_asset_path_says_which_file_is_missing():
    with pytest.raises(MissingError, match="'models/nothing' of the software is missing"):
        asset_path("models", "nothing")


@pytest.mark.parametrize("parts", [("..", "errors.py"), ("schema", "..", "..", "errors.py")])
def test_asset_path_does_not_leave_its_folder(parts):
    with pytest.raises(InputError, match="below the assets folder"):
        asset_path(*parts)


def test_asset_path_does_not_take_an_absolute_path(tmp_path):
    with pytest.raises(InputError, match="below the assets folder"):
        asset_path(str(tmp_path))
