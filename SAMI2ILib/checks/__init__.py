"""Checks of an input before it is translated: a doubt is said, with its reason and a number.

Every check is a rule on a coarse copy of the scan (`overview`, `appearance`); two small logistic
regressions (`classifier`) say whether it shows a head and in which contrast. The checks only warn:
they can be wrong in both directions, as often as docs/reference/input-checks.md says.
"""

from SAMI2ILib.checks.check import Checks, Expectation, check_volume, with_doubts

__all__ = ["Checks", "Expectation", "check_volume", "with_doubts"]
