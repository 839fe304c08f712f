"""What the library imports, asks for, examines and installs is one list."""

import ast
import sys
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from SAMI2ILib.cli.doctor import _PARTS, OPTIONAL, REQUIRED
from Testing.repo.listing import REPOSITORY

# Named by an import of the library, brought along by a package that it asks for.
COME_ALONG = {"huggingface_hub": "open_clip", "referencing": "jsonschema"}
REQUIREMENTS = REPOSITORY / "SAMI2ILib/assets/requirements"


def requirement_names(*files):
    lines = [
        line.split("#")[0].split(" --")[0].strip()
        for name in files
        for line in (REQUIREMENTS / name).read_text(encoding="utf-8").splitlines()
    ]
    return {canonicalize_name(Requirement(line).name) for line in lines if line}


def imported_by_the_library():
    """Name the third-party modules that any file of the library imports, at any depth."""
    modules = set()
    for path in (REPOSITORY / "SAMI2ILib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} has a relative import"
                modules.add(node.module)
    own = {"SAMI2ILib", *sys.stdlib_module_names}
    return {module for module in modules if module.split(".")[0] not in own}


def test_doctor_knows_every_package_that_the_library_imports():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [text for name in ("train", "figures", "cpu", "bench") for text in extras[name]]
    packages = {module.split(".")[0] for module in imported_by_the_library()}
    known = set(REQUIRED) | set(OPTIONAL) | {Requirement(text).name for text in texts}
    assert packages - known == set(COME_ALONG)
    assert set(COME_ALONG.values()) <= known


def test_doctor_and_the_requirement_files_name_the_same_packages():
    files = [path.name for path in REQUIREMENTS.glob("*.txt")]
    assert {canonicalize_name(name) for name in REQUIRED.values()} == requirement_names(*files)


def test_parts_that_doctor_imports_are_parts_that_the_library_uses():
    used = imported_by_the_library()
    assert {part for parts in _PARTS.values() for part in parts} <= used | {"scipy.ndimage"}


def test_package_depends_on_what_the_installer_installs():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"] == [
        "SAMI2ILib/assets/requirements/library.txt",
        "SAMI2ILib/assets/requirements/torch.txt",
    ]
