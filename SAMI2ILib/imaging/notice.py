"""A notice: something about the input that the user should hear, with a code for programs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One warning that goes into the result, the sidecar and the panel.

    Attributes:
        code: Short and stable, for programs: `thick-slices-oblique`.
        message: One sentence for the user, with the reason.
    """

    code: str
    message: str
