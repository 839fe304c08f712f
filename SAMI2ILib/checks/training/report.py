"""How often the checks are right: counts with exact intervals, as a table of Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from SAMI2ILib.checks.training.cases import CONTRASTS, OTHER


@dataclass(frozen=True)
class Judged:
    """What the checks said of one case.

    Attributes:
        kind: What it is.
        group: The head or family.
        no_head: Whether it was called no head.
        likely: The contrast that it looks like; empty where none could be measured.
        unlike: Whether its contrast was called unlike a T1.
    """

    kind: str
    group: str
    no_head: bool
    likely: str
    unlike: bool

    @property
    def is_caught(self) -> bool:
        """Whether any of the two warnings was given."""
        return self.no_head or self.unlike


def exact_interval(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion.

    Args:
        hits: Successes.
        count: Trials, at least 1.
        level: Coverage, at least.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(1 - tail, hits + 1, count - hits))
    return low, high


def table(title: str, judged: Sequence[Judged]) -> str:
    """Lines of Markdown: for each kind how many cases were warned of, and as what."""
    lines = [
        f"### {title}\n",
        "| input | n | warned | share | 95 % interval | as no head | contrast named rightly |",
        "|---|---|---|---|---|---|---|",
    ]
    rows: list[tuple[str, list[Judged]]] = [
        (kind, [case for case in judged if case.kind == kind]) for kind in CONTRASTS
    ]
    others = [case for case in judged if case.kind == OTHER]
    families = dict.fromkeys(case.group for case in others)
    rows += [(f"no MR head: {name}", [c for c in others if c.group == name]) for name in families]
    wrong = [case for case in judged if case.kind != "T1"]
    rows += [("all but T1", wrong)]
    lines += [_row(name, cases) for name, cases in rows if cases]
    return "\n".join(lines) + "\n"


def _row(name: str, cases: Sequence[Judged]) -> str:
    hits, count = sum(case.is_caught for case in cases), len(cases)
    low, high = exact_interval(hits, count)
    no_head = sum(case.no_head for case in cases)
    named = sum(case.likely == case.kind for case in cases)
    told = f"{named} of {count}" if name in CONTRASTS else ""
    share, interval = f"{100 * hits / count:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %"
    cells = (name, str(count), str(hits), share, interval, str(no_head), told)
    return f"| {' | '.join(cells)} |"
