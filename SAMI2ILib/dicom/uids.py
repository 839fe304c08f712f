"""Unique identifiers under the root 2.25, which needs no registration (PS3.5, annex B.2)."""

import uuid
from typing import Final

_ROOT = "2.25."
_NAMESPACE = uuid.UUID("0c1f0d5a-3a0e-4d55-9b36-0d2f6f8c8f19")
# Names this software as the writer of a file; never changes.
IMPLEMENTATION_CLASS_UID: Final = f"{_ROOT}{uuid.uuid5(_NAMESPACE, 'implementation').int}"


def new_uid() -> str:
    """An identifier that nobody has used before."""
    return f"{_ROOT}{uuid.uuid4().int}"


def uid_for(name: str) -> str:
    """The same identifier for the same name, at any time on any machine."""
    return f"{_ROOT}{uuid.uuid5(_NAMESPACE, name).int}"
