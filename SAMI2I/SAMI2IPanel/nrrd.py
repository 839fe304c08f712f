"""One volume to and from an NRRD file, its IJK-to-RAS matrix to the last digit.

Slicer's own writer would go through the node's storage: it names the file, marks the node as saved
and writes the node's local matrix. This one writes any array with any matrix and changes nothing.
"""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import PanelError

if TYPE_CHECKING:
    import numpy as np

_TYPES = {
    "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip
_READ_TYPES = {
    **{name: code for code, name in _TYPES.items()},
    "signed char": "i1", "unsigned char": "u1", "uchar": "u1", "short": "i2",
    "unsigned short": "u2", "ushort": "u2", "int": "i4", "unsigned int": "u4", "uint": "u4",
}  # fmt: skip
_TO_RAS = {
    "left-posterior-superior": (-1.0, -1.0, 1.0), "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0), "ras": (1.0, 1.0, 1.0),
}  # fmt: skip


def writeNrrd(path: Path, arrayKji: "np.ndarray", ijkToRas: "np.ndarray") -> None:
    """Write a volume.

    Args:
        path: Ends in .nrrd.
        arrayKji: (K, J, I), a number type.
        ijkToRas: (4, 4), index (i, j, k) to RAS mm; any orientation, handedness or shear.

    Raises:
        PanelError: The type of the voxels has no place in an NRRD file.
    """
    import numpy as np

    code = arrayKji.dtype.str[1:]
    if code not in _TYPES:
        raise PanelError(
            _("Voxels of type {kind} cannot be translated.").format(kind=arrayKji.dtype),
            _("Change their type in the module Cast Scalar Volume."),
        )
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(ijkToRas, dtype=np.float64)
    directions = " ".join(_vector(matrix[:3, axis]) for axis in range(3))
    header = [
        "NRRD0004",
        f"type: {_TYPES[code]}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in reversed(arrayKji.shape)),
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {_vector(matrix[:3, 3])}",
    ]
    voxels = np.ascontiguousarray(arrayKji, dtype=f"<{code}")
    with path.open("wb") as file:
        file.write(("\n".join(header) + "\n\n").encode("ascii"))
        file.write(voxels.data)


def readNrrd(path: Path) -> "tuple[np.ndarray, np.ndarray]":
    """Read a volume as `SAMI2ILib` writes it.

    Returns:
        (K, J, I) array in the file's own order, never flipped, and its (4, 4) IJK-to-RAS matrix.

    Raises:
        PanelError: The file is no NRRD volume, or shorter than it says.
    """
    import numpy as np

    with path.open("rb") as file:
        fields = _readHeader(file)
        data = file.read()
    try:
        code = _READ_TYPES[fields["type"].lower()]
        signs = _TO_RAS[fields["space"].lower()]
        sizes = [int(n) for n in fields["sizes"].split()]
        columns = [*_vectors(fields["space directions"]), *_vectors(fields["space origin"])]
        order = ">" if fields.get("endian", "little") == "big" else "<"
        if fields["encoding"].lower() in ("gzip", "gz"):
            data = gzip.decompress(data)
        elif fields["encoding"].lower() != "raw":
            raise ValueError(fields["encoding"])
        array = np.frombuffer(data, dtype=f"{order}{code}").reshape(sizes[::-1])
        matrix = np.eye(4)
        matrix[:3] = np.diag(signs) @ np.array(columns).T
    except (KeyError, ValueError, EOFError, OSError) as error:
        raise PanelError(
            _("The file {name} is damaged or no volume ({error}).").format(
                name=path.name, error=error
            )
        ) from error
    return array, matrix


def _readHeader(file) -> dict[str, str]:
    if not file.readline().startswith(b"NRRD"):
        return {}
    fields = {}
    while line := file.readline().decode("utf-8", errors="replace").strip():
        name, separator, value = line.partition(": ")
        if separator and not line.startswith("#"):
            fields[name] = value
    return fields


def _vector(values) -> str:
    # repr of a float is the shortest text that reads back as the same number.
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"


def _vectors(text: str) -> list[list[float]]:
    return [
        [float(number) for number in part.split(",")]
        for part in text.replace(" ", "").strip("()").split(")(")
    ]
