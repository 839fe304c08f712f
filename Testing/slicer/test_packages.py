"""What counts as missing, and what is kept at its version."""

import subprocess
import sys

import pytest
from SAMI2IPanel import packages

from Testing.repo.listing import REPOSITORY
from Testing.slicer.published_wheels import NEWEST, SLICER

ALL = {name: version for name, (version, _) in NEWEST.items()} | {"sam2": "1.1.0"}
NOWHERE = {"importable": lambda _module: False}


def missing(versions, **options):
    return [r.name for r in packages.missingRequirements(versions, **NOWHERE | options)]


def test_everything_is_missing_in_an_empty_python_pytorch_first_and_sam2_last():
    names = missing({})
    assert names[:2] == ["torch", "torchvision"]
    assert names[-1] == "sam2"
    assert {"SimpleITK", "scikit-image", "hydra-core", "iopath", "safetensors"} <= set(names)
    assert len(names) == len(set(names))


def test_nothing_is_missing_where_all_is_installed():
    assert missing(ALL) == []


@pytest.mark.parametrize("version", SLICER)
def test_slicer_lacks_no_package_that_it_brings_along(version):
    own = {name: number for name, (number, _) in SLICER[version].items()}
    assert not {name.lower() for name in missing(own)} & set(own)


def test_package_that_is_too_old_is_missing():
    assert missing(ALL | {"torch": "2.2.2", "sam2": "1.0"}) == ["torch", "sam2"]


def test_build_between_two_releases_counts():
    assert missing(ALL | {"simpleitk": "2.5.2.dev4+g0123abc", "torch": "2.9.0+cu128"}) == []


def test_package_that_slicer_built_without_metadata_is_present():
    without = {name: version for name, version in ALL.items() if name != "simpleitk"}
    assert missing(without) == ["SimpleITK"]
    assert missing(without, importable=lambda module: module == "SimpleITK") == []


def test_pins_keep_slicers_packages_and_a_pytorch_that_serves():
    pins = packages.pins({"numpy": "2.0.2", "torch": "2.9.0+cu128", "tqdm": "4.0", "pip": "25.1"})
    assert pins == ["numpy==2.0.2", "torch==2.9.0+cu128"]
    assert packages.pins({"numpy": "2.0.2", "torch": "2.2.0"}, ["torch"]) == ["numpy==2.0.2"]


def test_changed_packages_are_named_with_both_versions():
    before = {"numpy": "2.0.2", "requests": "2.32.3", "tqdm": "4.0"}
    after = {"numpy": "2.4.6", "tqdm": "5.0"}
    assert packages.changedPackages(before, before | {"torch": "2.9"}) == []
    assert packages.changedPackages(before, after) == [
        "numpy 2.0.2 -> 2.4.6",
        "requests 2.32.3 -> removed",
    ]


def test_installed_versions_have_canonical_names():
    versions = packages.installedVersions()
    assert versions["pytest"] == pytest.__version__
    assert all(name == name.lower() and "_" not in name for name in versions)


def test_folder_that_a_cut_off_uninstallation_left_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "~orch-2.9.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "pytest" in packages.installedVersions()


def test_module_is_looked_for_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "sami2i_trial.py").write_text("raise RuntimeError", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packages.isImportable("sami2i_trial")
    assert not packages.isImportable("no_such_module")


def test_installer_imports_none_of_the_packages_that_it_installs():
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; import SAMI2IPanel.dependencies as d;"
        "d.Dependencies(services=object()).missing();"
        "print(sorted({'torch', 'sam2', 'SimpleITK', 'scipy', 'skimage'} & set(sys.modules)))"
    )
    paths = [str(REPOSITORY), str(REPOSITORY / "SAMI2I")]
    ended = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
