"""The extension is configured, built and installed by plain CMake, and works where it lands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from SAMI2ILib.about import REPOSITORY_URL
from Testing.host import whyUnavailable
from Testing.repo.listing import REPOSITORY, packaged_files

STAND_IN = REPOSITORY / "Testing" / "cmake"
MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")


def tool(name):
    """Find CMake's programs beside this Python, where pip puts them, or on the PATH."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command, cwd=None, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def configure(source, build, *options):
    return run(tool("cmake"), "-S", source, "-B", build, f"-DSlicer_DIR={STAND_IN}", *options)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extension") / "build with space"
    configured = configure(REPOSITORY, folder)
    if "No CMAKE_C" in configured.stderr:
        pytest.skip("CMake finds no compiler")
    assert configured.returncode == 0, configured.stdout + configured.stderr
    return folder


@pytest.fixture(scope="module")
def installed(build):
    prefix = build.parent / "Slicer 5.12"
    for step in (["--build", build], ["--install", build, "--prefix", prefix]):
        ended = run(tool("cmake"), *step)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return prefix


def test_package_holds_exactly_the_files_of_module_and_library(installed):
    expected = {MODULES / "SAMI2ILib" / path for path in packaged_files("SAMI2ILib")}
    expected |= {MODULES / path for path in packaged_files("SAMI2I")}
    expected.add(Path("share/Slicer-5.12/SAMI2I.s4ext"))
    found = {p.relative_to(installed) for p in installed.rglob("*") if p.is_file()}
    assert found == expected


def test_package_describes_itself(installed):
    text = (installed / "share/Slicer-5.12/SAMI2I.s4ext").read_text(encoding="utf-8")
    fields = dict(line.split(" ", 1) for line in text.splitlines())
    assert fields["depends"] == "PyTorch"
    assert fields["homepage"] == REPOSITORY_URL
    assert fields["category"] == "Image Synthesis"


def test_library_works_from_the_package(installed, tmp_path):
    # -P keeps the working folder off sys.path: only the package can be what is imported.
    paths = os.pathsep.join([str(installed / MODULES), str(REPOSITORY / "Testing" / "installed")])
    ended = run(
        sys.executable, "-P", "-m", "unittest", "-v", "SAMI2ILibTest",
        cwd=tmp_path, PYTHONPATH=paths, PYTHONDONTWRITEBYTECODE="1", SAMI2I_MODELS=str(tmp_path),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "skipped" not in ended.stderr
    assert ended.stderr.count("... ok") == 4


OPEN_MODULE = """
import sys
sys.path.append(sys.argv[1])  # for Testing.host alone; the package has to come before it
from Testing.host.start import start
host = start()
with host.catching():
    host.openModule(sys.argv[2])
    assert host.takeExceptions() == []
    assert host.takeVtkErrors() == []
    for name in ("SAMI2I", "SAMI2IPanel", "SAMI2IPanel.dependencies", "SAMI2ILib"):
        print(sys.modules[name].__file__)
"""


def test_module_opens_from_the_package(installed, tmp_path):
    if reason := whyUnavailable():
        pytest.skip(reason)
    ended = run(
        sys.executable, "-P", "-c", OPEN_MODULE, REPOSITORY, installed / MODULES / "SAMI2I.py",
        cwd=tmp_path, PYTHONDONTWRITEBYTECODE="1", SAMI2I_MODELS=str(tmp_path),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    *_, module, panel, dependencies, library = ended.stdout.splitlines()
    modules = installed / MODULES
    assert Path(module) == modules / "SAMI2I.py"
    assert Path(panel) == modules / "SAMI2IPanel" / "__init__.py"
    assert Path(dependencies) == modules / "SAMI2IPanel" / "dependencies.py"
    assert Path(library) == modules / "SAMI2ILib" / "__init__.py"


def test_slicers_tests_are_registered_and_not_run(build):
    listed = run(tool("ctest"), "-N", cwd=build).stdout
    names = {line.split(": ")[1] for line in listed.splitlines() if "Test #" in line}
    # ctest marks what it will not run.
    assert names == {
        "py_SAMI2I (Disabled)",
        "py_SAMI2ILibTest (Disabled)",
        "py_nomainwindow_qSlicerSAMI2IModuleGenericTest (Disabled)",
    }


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("slicerMacroBuildScriptedModule(SCRIPTS a.py)", "needs NAME"),
        ("slicerMacroBuildScriptedModule(NAME A SCRIPTS no.py)", "does not exist: 'no.py'"),
        ("slicerMacroBuildScriptedModule(NAME A RESOURCES no.png)", "does not exist: 'no.png'"),
        ("slicerMacroBuildScriptedModule(NAME A SCRIPTS a.py a.py)", "listed twice"),
        ("slicerMacroBuildScriptedModule(NAME A SCRIPTS CMakeLists.txt)", "must be Python files"),
        ("slicerMacroBuildScriptedModule(NAME A SUBDIR)", "Unknown arguments"),
        ("slicer_add_python_unittest(SCRIPT no.py)", "'no.py' does not exist"),
        ("slicer_add_python_unittest(FILE a.py)", "Unknown arguments"),
        ("include(${Slicer_EXTENSION_CPACK})", "EXTENSION_HOMEPAGE is not set"),
    ],
)  # fmt: skip
def test_stand_in_for_slicer_refuses_a_wrong_list(tmp_path, call, complaint):
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16.3...3.31)\nproject(Trial LANGUAGES NONE)\n"
        f"find_package(Slicer REQUIRED)\ninclude(${{Slicer_USE_FILE}})\n{call}\n",
        encoding="utf-8",
    )
    configured = configure(tmp_path, tmp_path / "build")
    assert configured.returncode != 0
    assert complaint in " ".join(configured.stderr.split())
