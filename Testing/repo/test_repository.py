"""The repository as a whole: what is packaged, how large it is, what stands in one place."""

import re
import tomllib

import pytest
import yaml

from SAMI2ILib.about import REPOSITORY_URL, VERSION
from Testing.repo.listing import REPOSITORY, cmake_list, packaged_files, tracked_files

MEGABYTE = 1_000_000
LARGE_FILES_ALLOWED = {"SAMI2ILib/assets/models": 12, "SAMI2ILib/assets/sample": 2}
PACKAGED = ["SAMI2I", "SAMI2ILib"]


@pytest.mark.parametrize("folder", PACKAGED)
def test_every_script_is_in_the_package_list(folder):
    scripts = {path.as_posix() for path in packaged_files(folder) if path.suffix == ".py"}
    assert cmake_list(f"{folder}/CMakeLists.txt", "MODULE_PYTHON_SCRIPTS") == scripts


@pytest.mark.parametrize("folder", PACKAGED)
def test_every_data_file_is_in_the_package_list(folder):
    data = {path.as_posix() for path in packaged_files(folder) if path.suffix != ".py"}
    assert cmake_list(f"{folder}/CMakeLists.txt", "MODULE_PYTHON_RESOURCES") == data


def test_every_package_has_an_init_file():
    library = REPOSITORY / "SAMI2ILib"
    folders = {path.parent for path in packaged_files("SAMI2ILib") if path.suffix == ".py"}
    assert [f for f in folders if not (library / f / "__init__.py").is_file()] == []


def test_files_are_small():
    sizes = {path: (REPOSITORY / path).stat().st_size for path in tracked_files()}
    for folder, limit in LARGE_FILES_ALLOWED.items():
        total = sum(size for path, size in sizes.items() if path.is_relative_to(folder))
        assert total <= limit * MEGABYTE, folder
    large = [
        path.as_posix()
        for path, size in sizes.items()
        if size > MEGABYTE and not any(path.is_relative_to(f) for f in LARGE_FILES_ALLOWED)
    ]
    assert large == []


def test_repository_address_stands_in_one_place():
    found = {
        path.as_posix()
        for path in tracked_files()
        if REPOSITORY_URL.encode() in (REPOSITORY / path).read_bytes()
    }
    # The Extensions Catalog reads two files as text; test_extensions_index.py keeps them equal.
    copies = {"CMakeLists.txt", "docs/reference/extensions-index/SAMI2I.json"}
    assert found == {"SAMI2ILib/about.py"} | copies


def test_citation_names_the_version_of_the_software():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    assert citation["license"] == "Apache-2.0"
    assert citation["preferred-citation"]["notes"] == "arXiv:2411.12755"


def test_extras_are_those_that_the_documentation_names():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"train", "cpu", "test", "host"} <= set(project["optional-dependencies"])


def test_sam2_is_pinned_by_hash():
    pin = (REPOSITORY / "SAMI2ILib/assets/requirements/sam2.txt").read_text(encoding="utf-8")
    assert re.search(r"^sam2==1\.1\.0 .*--hash=sha256:[0-9a-f]{64}", pin.replace("\\\n", ""), re.M)


def test_only_the_ci_script_names_the_shared_scans():
    needle = b"shared" + b"/data"
    found = [p.as_posix() for p in tracked_files() if needle in (REPOSITORY / p).read_bytes()]
    assert found == [".ci/run"]


def test_links_between_documents_lead_somewhere():
    broken = []
    for path in tracked_files():
        if path.suffix != ".md":
            continue
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        broken += [
            f"{path.as_posix()}: {target}"
            for target in targets
            if "://" not in target and not (REPOSITORY / path.parent / target).exists()
        ]
    assert broken == []
