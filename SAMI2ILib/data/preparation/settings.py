"""How scans become slices: the choices that a dataset folder records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from SAMI2ILib.data.dataset import MAX_CONTRASTS
from SAMI2ILib.data.dataset_writer import check_contrast
from SAMI2ILib.errors import InputError

# Raise it when the preparation changes: subjects that were prepared before are then made again.
PREPARATION_VERSION = 1


@dataclass(frozen=True)
class PreparationSettings:
    """How one subject is prepared.

    Attributes:
        contrasts: What is asked for, the reference included.
        grid: The reference: the slices lie on its grid, the others are brought onto it.
        follows: Contrasts that move with another one by their header, as the PD of a double echo
            with its T2: {"PD": "T2"}.
        register: `auto` registers what does not share the reference's grid, `always` also what
            does, `never` trusts all headers.
        spacing_mm: In-plane; a scan within 10 % of it keeps its own.
        n4: Correct the bias field of each scan (N4).
        brain: Find the brain; without it slices are chosen by the head and there is no mask.
        skull_strip: Set what is outside the brain to 0.
        slices_by: A slice is chosen by what it shows of the "brain" or of the "head".
        smallest_part: A slice is chosen where that fills more than this part of its pixels.
        fewest_slices: A subject with fewer chosen slices is refused.
        check_sides: Look for left and right exchanged; costs two coarse registrations a pair.

    Raises:
        InputError: A value that cannot be.
    """

    contrasts: tuple[str, ...]
    grid: str
    follows: Mapping[str, str] = field(default_factory=dict)
    register: str = "auto"
    spacing_mm: float = 1.0
    n4: bool = False
    brain: bool = True
    skull_strip: bool = False
    slices_by: str = "brain"
    smallest_part: float = 0.05
    fewest_slices: int = 8
    check_sides: bool = True

    def __post_init__(self) -> None:
        for contrast in self.contrasts:
            check_contrast(contrast)
        # Their files differ in more than the case of letters: Windows and macOS see no other.
        names = {contrast.lower() for contrast in self.contrasts}
        several = 2 <= len(names) == len(self.contrasts) <= MAX_CONTRASTS
        asked = ", ".join(self.contrasts)
        part, fewest = self.smallest_part, self.fewest_slices
        rules = (
            (several, f"contrasts must be two to {MAX_CONTRASTS} different ones, not {asked}"),
            (self.grid in self.contrasts, f"the grid must be one of {asked}, not {self.grid}"),
            (self.register in ("auto", "always", "never"), "register is auto, always or never"),
            (self.spacing_mm > 0, f"the spacing must be above 0 mm, not {self.spacing_mm:g}"),
            (self.slices_by in ("brain", "head"), "slices are chosen by the brain or the head"),
            (0 <= part < 1, f"the smallest part must be at least 0 and below 1, not {part:g}"),
            (fewest >= 1, f"the fewest slices must be at least 1, not {fewest}"),
            (self.brain or not self.skull_strip, "skull stripping needs the brain mask"),
            (self._follows_are_right(), "a contrast can only follow another that is registered"),
        )
        for holds, message in rules:
            if not holds:
                raise InputError(f"The preparation cannot be done: {message}.", "Correct it.")

    def _follows_are_right(self) -> bool:
        return all(
            leader in self.contrasts
            and follower in self.contrasts
            and leader not in self.follows
            and follower != self.grid
            for follower, leader in self.follows.items()
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values, for the manifest and to tell one request from another."""
        return {
            **asdict(self),
            "contrasts": list(self.contrasts),
            "follows": dict(self.follows),
            "version": PREPARATION_VERSION,
        }
