"""`sami2i report` as its user sees it: one page, which needs nothing but itself."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.weights import file_sha256

NASTY = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Collects a page's elements, their attributes and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def scans(tmp_path, make_head):
    """A synthetic volume of 500 in the head with its record, a real scan of it, and its T1."""
    head = make_head()
    inside = head.array_kji > 0
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("synthetic", "real", "t1", "brain")}
    write_volume(head.with_array(np.where(inside, 500.0, 0)), paths["synthetic"])
    write_volume(head.with_array(np.where(inside, head.array_kji, 0)), paths["real"])
    write_volume(head, paths["t1"])
    write_volume(head.with_array(head.array_kji > 400), paths["brain"])
    record = {
        "synthetic": True,
        "target_contrast": "T2",
        "source": {"file": "SMITH_JOHN.nii", "sha256": "5" * 64},
        "model": {"id": NASTY, "title": "A model", "sha256": "0" * 64},
        "software": {"name": "SAM-I2I", "version": "1"},
        "warnings": [{"code": "x", "message": f"Few slices {NASTY}"}],
        "PatientName": "SMITH^JOHN",
        "volume": {"file": "x", "sha256": file_sha256(paths["synthetic"])},
    }
    (tmp_path / "synthetic.json").write_text(json.dumps(record), encoding="utf-8")
    return paths


@pytest.fixture
def report(sami2i, scans, tmp_path):
    def run(*options):
        path = tmp_path / "out" / "report.html"
        outcome = sami2i(
            "report", scans["synthetic"], "--target", scans["real"], "-o", path, *options
        )
        assert outcome.code == 0, outcome.err
        return Page(path.read_text(encoding="utf-8")), outcome

    return run


def test_page_holds_pictures_figures_and_where_it_comes_from(report, scans):
    page, outcome = report("--source", scans["t1"], "--brain", scans["brain"], "--progress", "json")
    assert page.text.count("SYNTHETIC IMAGE. Research use only") == 1
    assert page.tags.count("img") == 4
    assert "Both lie on one grid" in page.text
    result = outcome.events[-1]
    for region in ("brain", "head"):
        figures = result[region]
        said = f"{figures['psnr']:.2f} {figures['ssim']:.3f} {figures['nrmse']:.3f}"
        assert said in page.text
    assert "A model" in page.text
    assert "0" * 64 in page.text
    assert result["registered"] is False


def test_page_asks_for_nothing_from_elsewhere_and_runs_nothing(report, scans):
    page, _ = report("--source", scans["t1"], "--brain", scans["brain"])
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(page.tags)
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset")]
    assert len(sources) == 4
    assert all(value.startswith("data:image/png;base64,") for value in sources)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    policies = [value for _, name, value in page.attributes if name == "content"]
    assert any(value.startswith("default-src 'none'") for value in policies)


def test_page_shows_nobody_and_escapes_what_others_wrote(report):
    page, _ = report()
    assert "SMITH" not in page.text
    assert NASTY in page.text  # as text
    assert "script" not in page.tags


def test_without_t1_or_mask_the_head_is_measured_and_three_columns_are_drawn(report):
    page, outcome = report("--progress", "json")
    assert outcome.events[-1]["brain"] is None
    assert "brain, " not in page.text
    assert "Voxels of the head." in page.text


def test_a_scan_on_another_grid_is_registered_unless_the_headers_are_trusted(
    report, scans, make_head
):
    head = make_head()
    matrix = head.ijk_to_ras.copy()
    matrix[:3, 3] += (3.0, 0, 0)
    write_volume(Volume(head.array_kji, matrix), scans["real"])
    page, outcome = report("--progress", "json")
    assert "laid onto the synthetic volume by a rigid registration" in page.text
    assert outcome.events[-1]["registered"] is True
    moved = float(re.search(r"moved by ([\d.]+) mm", page.text)[1])
    assert moved == pytest.approx(3, abs=1)
    page, outcome = report("--no-register", "--progress", "json")
    assert "by its header alone, without registration" in page.text
    assert outcome.events[-1]["registered"] is False


def test_an_uncertainty_map_of_the_same_run_is_shown_and_measured(
    sami2i, translate, head_file, tmp_path
):
    made, page_path = tmp_path / "x.nrrd", tmp_path / "r.html"
    translate(head_file, made, "--uncertainty")
    outcome = sami2i("report", made, "--target", head_file, "-o", page_path)
    assert outcome.code == 0, outcome.err
    page = Page(page_path.read_text(encoding="utf-8"))
    assert "rank correlation with the absolute error" in page.text
    assert "Passes 6" in page.text
    # another run without a map leaves the old one behind, which is not of this volume
    translate(head_file, made)
    assert sami2i("report", made, "--target", head_file, "-o", page_path).code == 0
    assert "rank correlation" not in page_path.read_text(encoding="utf-8")


def test_a_changed_volume_and_a_missing_record_are_said(report, scans, make_head):
    head = make_head()
    write_volume(head.with_array(np.where(head.array_kji > 0, 400.0, 0)), scans["synthetic"])
    page, outcome = report()
    assert "is not the file that its record describes" in page.text
    assert "volume-changed" in outcome.err
    scans["synthetic"].with_name("synthetic.json").unlink()
    page, outcome = report()
    assert "has no record beside it" in page.text
    assert "no-record" in outcome.err


def test_a_map_is_no_prediction(sami2i, scans, tmp_path):
    record = {"synthetic": True, "quantity": "uncertainty"}
    (tmp_path / "synthetic.json").write_text(json.dumps(record), encoding="utf-8")
    outcome = sami2i(
        "report", scans["synthetic"], "--target", scans["real"], "-o", tmp_path / "r.html"
    )
    assert outcome.code == 2
    assert "is a map of the uncertainty" in outcome.error_line


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.html", "<p>mine</p>", "is not a report of this software"),
        ("report.pdf", None, "is not the name of an HTML file"),
    ],
)
def test_other_files_are_not_replaced(sami2i, scans, tmp_path, name, content, message):
    path = tmp_path / name
    if content:
        path.write_text(content, encoding="utf-8")
    outcome = sami2i("report", scans["synthetic"], "--target", scans["real"], "-o", path)
    assert outcome.code == 2
    assert message in outcome.error_line
    assert (path.read_text(encoding="utf-8") if content else None) == content


def test_a_folder_is_no_page(sami2i, scans, tmp_path):
    (tmp_path / "x.html").mkdir()
    outcome = sami2i(
        "report", scans["synthetic"], "--target", scans["real"], "-o", tmp_path / "x.html"
    )
    assert outcome.code == 2
    assert "is a folder" in outcome.error_line


def test_page_that_cannot_be_written_is_refused_before_any_work(sami2i, tmp_path):
    (tmp_path / "taken").touch()
    page = tmp_path / "taken" / "report.html"
    outcome = sami2i("report", "nowhere.nii", "--target", "nowhere.nii", "-o", page)
    assert outcome.code == 1
    assert "'report.html' cannot be written: there is no folder" in outcome.error_line


def test_a_brain_elsewhere_is_refused(sami2i, scans, make_head, tmp_path):
    head = make_head()
    write_volume(head.with_array(np.zeros_like(head.array_kji)), scans["brain"])
    outcome = sami2i(
        "report", scans["synthetic"], "--target", scans["real"], "-o", tmp_path / "r.html",
        "--brain", scans["brain"],
    )  # fmt: skip
    assert outcome.code == 2
    assert "lies outside of" in outcome.error_line


@pytest.mark.slow
def test_a_browser_shows_the_page_with_its_pictures_and_asks_for_nothing(report, scans, tmp_path):
    """Chromium, as Qt carries it, in a process of its own: one may hold one Qt application."""
    import subprocess
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    if find_spec("PySide6") is None or find_spec("PySide6.QtWebEngineWidgets") is None:
        pytest.skip("needs PySide6_Addons, a browser of 160 MB: pip install '.[browser]'")
    report("--source", scans["t1"], "--brain", scans["brain"])
    program = Path(__file__).with_name("browser.py")
    shot = tmp_path / "page.png"
    ended = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "out/report.html"), str(shot)],
        capture_output=True, encoding="utf-8", timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert seen["images"] == [True] * 4
    assert seen["heading"] == "Synthetic T2 against a real scan"
    assert seen["banner_at_top"] is True
    assert seen["wider_than_window"] is False
    assert [url for url in seen["requests"] if not url.startswith(("file:", "data:"))] == []
    assert seen["messages"] == []
    assert shot.stat().st_size > 10_000
