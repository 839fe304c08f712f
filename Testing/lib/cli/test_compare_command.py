"""`sami2i compare` as its user sees it."""

import json

import numpy as np
import pytest

from SAMI2ILib.imaging.io import read_volume, write_volume


@pytest.fixture
def pair(tmp_path, make_head):
    """A synthetic volume of 500 in the head, and a real scan of it in another unit."""
    head = make_head()
    inside = head.array_kji > 0
    synthetic, real = tmp_path / "synthetic.nii.gz", tmp_path / "real.nrrd"
    write_volume(head.with_array(np.where(inside, 500.0, 0)), synthetic)
    write_volume(head.with_array(np.where(inside, 70.0, 0)), real)
    return synthetic, real


def test_figures_and_error_map_are_those_of_the_pair(sami2i, pair, tmp_path):
    outcome = sami2i("compare", *pair, "--error-map", tmp_path / "error.nrrd", "--progress", "json")
    assert outcome.code == 0, outcome.err
    result = outcome.events[-1]
    # Everywhere in the head 0.5 stands for 1.0.
    assert result["head"]["nrmse"] == pytest.approx(0.5, abs=1e-6)
    assert result["head"]["psnr"] == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert result["registration"] is None
    error = read_volume(tmp_path / "error.nrrd")
    assert error.grid.is_same(read_volume(pair[0]).grid)
    assert sorted(np.unique(error.array_kji).round(3)) == [-500.0, 0.0]


def test_text_says_what_was_measured(sami2i, pair):
    outcome = sami2i("compare", *pair, "--register")
    assert "in the head: PSNR 6.0" in outcome.out
    assert "the real scan was moved by 0.0 mm" in outcome.out


def test_volume_that_does_not_say_it_is_synthetic_is_measured_with_a_warning(sami2i, pair):
    outcome = sami2i("compare", *pair)
    assert outcome.code == 0
    assert "warning (no-record): synthetic.nii.gz has no record" in outcome.err
    pair[0].with_name("synthetic.json").write_text('{"synthetic": true}')
    assert "warning" not in sami2i("compare", *pair).err


def test_error_map_does_not_replace_a_scan(sami2i, pair):
    before = pair[1].read_bytes()
    outcome = sami2i("compare", *pair, "--error-map", pair[1])
    assert outcome.code == 2
    assert "is not replaced. Choose another name for --error-map" in outcome.error_line
    assert pair[1].read_bytes() == before


def test_error_map_replaces_its_own_earlier_one(sami2i, pair, tmp_path):
    for _ in range(2):
        outcome = sami2i("compare", *pair, "--error-map", tmp_path / "error.nrrd")
        assert outcome.code == 0, outcome.err
    record = json.loads((tmp_path / "error.json").read_text(encoding="utf-8"))
    assert (record["synthetic"], record["quantity"]) == (True, "error")
    assert record["error_of"]["file"] == "synthetic.nii.gz"
    assert str(tmp_path) not in json.dumps(record)


def test_an_error_map_is_not_compared(sami2i, pair, tmp_path):
    sami2i("compare", *pair, "--error-map", tmp_path / "error.nrrd")
    outcome = sami2i("compare", tmp_path / "error.nrrd", pair[1])
    assert outcome.code == 2
    assert "is a map of the error and no synthetic image" in outcome.error_line


def test_the_wrong_order_is_explained(sami2i, pair, make_head, tmp_path):
    scan = make_head()
    write_volume(scan.with_array(scan.array_kji * 10), tmp_path / "scan.nii")
    outcome = sami2i("compare", tmp_path / "scan.nii", pair[0])
    assert outcome.code == 2
    assert "Give the synthetic volume first" in outcome.error_line
