import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from SAMI2ILib.evaluation.subject_statistics import compare_systems
from SAMI2ILib.study.page import SMOKE_BANNER, Page, Picture, write_page
from SAMI2ILib.study.paper import DIRECTIONS, TABLE_1
from SAMI2ILib.study.results import BRAIN, FULL, Table, TableCell, show

T1_T2 = DIRECTIONS[0]


class Cells(HTMLParser):
    """The text of each table cell and each line's class."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, list[str], list[str]]] = []
        self._open = False

    def handle_starttag(self, tag, attrs):
        kind = dict(attrs).get("class") or ""
        if tag == "tr":
            self.rows.append((kind, [], []))
        elif tag in ("td", "th"):
            self.rows[-1][1].append("")
            self.rows[-1][2].append(kind)
            self._open = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data):
        if self._open:
            self.rows[-1][1][-1] += data


def figures(offset: float) -> dict[str, dict[str, float]]:
    """Two subjects; a larger offset is better in PSNR and SSIM and worse in NRMSE."""
    return {
        name: dict.fromkeys((*FULL, *BRAIN), 0.5 + shift + offset)
        for name, shift in (("anna", 0.0), ("bert", 0.1))
    }


@pytest.fixture
def table() -> Table:
    results = {name: figures(0.01 * n) for n, name in enumerate(TABLE_1[:-1])}
    cells = {}
    for name in TABLE_1:
        cells[name, T1_T2] = TableCell(name, T1_T2, {}, {}, 0, float("nan"), "failed: <no> data")
    for summary in compare_systems(results, (*FULL, *BRAIN)):
        cell = cells[summary.system, T1_T2]
        best = (*cell.best, summary.metric) if summary.rank == 1 else cell.best
        cells[summary.system, T1_T2] = replace(
            cell, summaries={**cell.summaries, summary.metric: summary}, best=best, seeds=1,
            target_rms=0.2, why_not="",
        )  # fmt: skip
    return Table(1, TABLE_1, (T1_T2,), cells)


def parse(page: Page) -> tuple[str, Cells]:
    text = write_page(page)
    cells = Cells()
    cells.feed(text)
    return text, cells


def test_page_has_no_empty_cell_and_says_why_a_figure_is_missing(table):
    text, cells = parse(Page("Trial", "One line.", [table], facts={"Data": {"id": ""}}))
    header = next(n for n, row in enumerate(cells.rows) if "PSNR (dB) ↑" in row[1])
    texts = [cell for row in cells.rows[header + 1 :] for cell in row[1]]
    assert all(text.strip() for text in texts)
    assert "failed: <no> data" in texts
    assert "<no>" not in text


def test_paper_s_figures_stand_in_lines_of_their_own(table):
    _, cells = parse(Page("Trial", "One line.", [table]))
    theirs = {row[1][0]: row[1][1:] for row in cells.rows if row[0] == "paper"}
    assert theirs["UNet, the paper"] == ["27.00", "0.914", "0.2132"]
    assert theirs["SAM-I2I, the paper"] == ["28.01", "0.931", "0.1904"]
    ours = {row[1][0]: row[1][1:] for row in cells.rows if row[0] == "ours"}
    assert ours["UNet"] == ["0.55 ± 0.07", "0.550 ± 0.071", "0.5500 ± 0.0707"]
    assert ours["RMS of the target, test subjects"] == ["0.200, 2"]


def test_cell_that_lacks_a_seed_says_so_beside_its_figures(table):
    whole = table.cells["unet", T1_T2]
    lacking = replace(whole, why_not="seed 1 failed: <no> memory")
    page = Page("Trial", "", [replace(table, cells={**table.cells, ("unet", T1_T2): lacking})])
    _, cells = parse(page)
    ours = {row[1][0]: row[1][1:] for row in cells.rows if row[0] == "ours"}
    assert ours["UNet"][0] == "0.55 ± 0.07 seed 1 failed: <no> memory"
    assert ours["Pix2Pix"][0] == "0.56 ± 0.07"


def test_best_of_ours_is_marked_in_a_real_run_only(table):
    _, cells = parse(Page("Trial", "One line.", [table]))
    marked = {
        row[1][0]: ["best" in kind for kind in row[2][1:]] for row in cells.rows if row[0] == "ours"
    }
    assert marked["ResViT"] == [True, True, False]
    assert marked["UNet"] == [False, False, True]
    smoke, cells = parse(Page("Trial", "One line.", [table], is_smoke=True))
    assert not any("best" in kind for row in cells.rows for kind in row[2])
    assert SMOKE_BANNER in smoke
    assert SMOKE_BANNER not in write_page(Page("Trial", "One line.", [table]))


def test_whatever_text_comes_in_is_shown_and_not_run(table):
    evil = '<script>alert("x")</script>'
    lists = {evil: [[evil], [evil]]}
    page = Page(evil, evil, [table], [Picture('a".png', evil)], {evil: {evil: evil}}, lists)
    text = write_page(page)
    assert "<script" not in text
    # title, heading, lead, picture twice, three of the facts, three of the lists
    assert text.count("&lt;script&gt;") == 11
    assert 'src="a&quot;.png"' in text


def test_page_asks_for_nothing_from_the_network(table):
    text = write_page(Page("Trial", "One line.", [table], [Picture("figures/a.png", "A")]))
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["figures/a.png"]
    assert "url(" not in text
    assert "@import" not in text


def test_figures_have_as_many_digits_as_the_paper_s():
    assert show(27.0, "full_psnr") == "27.00"
    assert show(0.9284, "ssim") == "0.928"
    assert show(0.21324, "brain_nrmse") == "0.2132"
    assert show(None, "psnr") == "n/a"
