"""What Slicer's Extensions Catalog checks before it lists an extension."""

import json
import re
import struct

from SAMI2ILib.about import REPOSITORY_URL
from Testing.repo.listing import REPOSITORY, tracked_files

DESCRIPTION = REPOSITORY / "docs/reference/extensions-index/SAMI2I.json"
CMAKE = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
RAW_URL = REPOSITORY_URL.replace("//github.com/", "//raw.githubusercontent.com/") + "/main/"


def description():
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))


def cmake_text(variable):
    """Read a variable as the catalog's checker does: by its text, without running CMake."""
    (value,) = re.findall(rf'set\({variable} "([^"]+)"\)', CMAKE)
    return value


def test_description_has_the_fields_of_its_schema():
    fields = description()
    assert fields.pop("$schema").endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert fields == {
        "build_dependencies": ["PyTorch"],
        "build_subdirectory": ".",
        "category": "Image Synthesis",
        "scm_revision": "main",
        "scm_url": REPOSITORY_URL + ".git",
        "tier": 1,
    }


def test_description_ends_its_lines_as_unix_does():
    assert b"\r" not in DESCRIPTION.read_bytes()


def test_description_agrees_with_cmake():
    fields = description()
    assert re.findall(r"^project\(([^)]+)\)", CMAKE, flags=re.M) == [DESCRIPTION.stem]
    assert re.findall(r"set\(EXTENSION_DEPENDS ([^)]+)\)", CMAKE) == fields["build_dependencies"]
    assert cmake_text("EXTENSION_CATEGORY") == fields["category"]
    assert cmake_text("EXTENSION_HOMEPAGE") + ".git" == fields["scm_url"]


def test_names_follow_the_catalogs_rule():
    assert REPOSITORY_URL.rsplit("/", 1)[1] == "Slicer" + DESCRIPTION.stem
    assert not DESCRIPTION.stem.lower().startswith("slicer")


def test_pictures_of_the_catalog_are_files_of_this_repository():
    addresses = [cmake_text("EXTENSION_ICONURL"), *cmake_text("EXTENSION_SCREENSHOTURLS").split()]
    assert len(addresses) >= 2
    files = {path.as_posix() for path in tracked_files()}
    for address in addresses:
        assert address.startswith(RAW_URL)
        assert address.removeprefix(RAW_URL) in files
        assert address.endswith(".png")


def test_icon_has_the_catalogs_size():
    name = cmake_text("EXTENSION_ICONURL").removeprefix(RAW_URL)
    header = (REPOSITORY / name).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:24])
    assert (width, height) == (128, 128)


def test_license_is_in_the_root():
    assert "Apache License" in (REPOSITORY / "LICENSE.txt").read_text(encoding="utf-8")


def test_clone_stays_far_below_the_catalogs_limit():
    # The limit is 100 MB for the clone with its history; the tree itself has to stay small.
    total = sum((REPOSITORY / path).stat().st_size for path in tracked_files())
    assert total < 30_000_000
