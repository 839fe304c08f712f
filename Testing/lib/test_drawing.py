"""Figures with a canvas of their own and the PNG files that they become."""

import sys

import pytest
from PIL import Image

from SAMI2ILib.drawing import new_figure, save_png
from SAMI2ILib.errors import MissingError, OutputError


def test_saved_figure_has_the_size_and_the_color_that_were_asked_for(tmp_path):
    save_png(new_figure(1.5, 2.0, color="black"), tmp_path / "figure.png", dots_per_inch=100)
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size == (150, 200)
        assert picture.convert("RGB").getcolors() == [(150 * 200, (0, 0, 0))]


def test_figure_leaves_pyplot_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    new_figure(1, 1)
    assert "matplotlib.pyplot" not in sys.modules


def test_figure_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingError, match=r"needs matplotlib.*pip install matplotlib"):
        new_figure(1, 1)


def test_figure_that_cannot_be_saved_is_said(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        save_png(new_figure(1, 1), tmp_path / "missing" / "figure.png", dots_per_inch=10)
