"""Whatever stands in a header, reading ends in a sound volume or in a sentence of ours."""

import bz2
import gzip
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from SAMI2ILib.errors import InputError, OutOfMemoryError
from SAMI2ILib.imaging import header_checks, read_volume

few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
int16 = st.integers(-(2**15), 2**15 - 1)
float32 = st.floats(width=32)
small = st.integers(1, 6)
DIRECTIONS = {
    "nrrd": "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n",
    "mha": "TransformMatrix = 1 0 0 0 1 0 0 0 1\n",
}


def read_or_refuse(path):
    try:
        volume = read_volume(path)
    except InputError as error:
        check_line(str(error))
        return
    assert np.isfinite(volume.array_kji).all()
    assert np.isfinite(volume.ijk_to_ras).all()
    assert volume.array_kji.nbytes <= 8 * path.stat().st_size + 4


def check_line(text):
    assert "\n" not in text
    assert 10 < len(text) < 600


@given(
    dim=st.tuples(st.integers(0, 8), small | int16, small | int16, small | int16, small | int16),
    datatype=st.sampled_from([2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024]) | int16,
    bits=st.sampled_from([8, 16, 32, 64]) | int16,
    pixdim=st.lists(float32, min_size=8, max_size=8) | st.just([1.0] * 8),
    offset=st.just(352.0) | float32,
    codes=st.tuples(st.integers(-1, 5), st.integers(-1, 5)),
    forms=st.lists(float32, min_size=18, max_size=18),
)
@few
def test_nifti_header_of_any_numbers(tmp_path, dim, datatype, bits, pixdim, offset, codes, forms):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *dim, 1, 1, 1)
    struct.pack_into("<2h", header, 70, datatype, bits)
    struct.pack_into("<9f", header, 76, *pixdim, offset)
    struct.pack_into("<2h", header, 252, *codes)
    struct.pack_into("<18f", header, 256, *forms)
    header[344:348] = b"n+1\0"
    path = tmp_path / "x.nii"
    path.write_bytes(bytes(header) + bytes(range(1, 241)) * 4)
    read_or_refuse(path)


line = st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=20)
numbers = st.lists(st.integers() | st.floats(), max_size=5).map(lambda n: " ".join(map(str, n)))


@given(
    fields=st.dictionaries(
        st.sampled_from(["type", "dimension", "sizes", "encoding", "endian", "space origin",
                         "kinds", "line skip", "byte skip", "data file", "spacings"]),
        st.sampled_from(["short", "float", "3", "4", "4 5 6", "raw", "gzip", "ascii", "hex",
                         "little", "none", "(0,0,0)"]) | numbers | line,
        max_size=8,
    )
)  # fmt: skip
@few
def test_nrrd_header_of_any_words(tmp_path, fields):
    usual = {"type": "short", "dimension": "3", "sizes": "4 5 6", "encoding": "raw"}
    text = "".join(f"{name}: {value}\n" for name, value in {**usual, **fields}.items())
    path = tmp_path / "x.nrrd"
    path.write_bytes(f"NRRD0004\n{text}{DIRECTIONS['nrrd']}\n".encode() + bytes(range(240)))
    read_or_refuse(path)


@given(
    fields=st.dictionaries(
        st.sampled_from(["NDims", "DimSize", "ElementType", "ElementSpacing", "Offset",
                         "HeaderSize", "ElementNumberOfChannels", "BinaryData", "CompressedData",
                         "CompressedDataSize", "BinaryDataByteOrderMSB", "TransformMatrix"]),
        st.sampled_from(["3", "4 5 6", "MET_SHORT", "MET_DOUBLE", "True", "False", "1 1 1",
                         "1 0 0 0 1 0 0 0 1"]) | numbers | line,
        max_size=8,
    )
)  # fmt: skip
@few
def test_metaimage_header_of_any_words(tmp_path, fields):
    usual = {"NDims": "3", "DimSize": "4 5 6", "ElementType": "MET_SHORT"}
    usual |= {"TransformMatrix": "1 0 0 0 1 0 0 0 1"}
    text = "".join(f"{name} = {value}\n" for name, value in {**usual, **fields}.items())
    path = tmp_path / "x.mha"
    path.write_bytes(f"{text}ElementDataFile = LOCAL\n".encode() + bytes(range(240)))
    read_or_refuse(path)


MILLION = "1000000 1000000 1000000"
PROMISES = {
    "x.nrrd": f"NRRD0004\ntype: short\ndimension: 3\nsizes: {MILLION}\nencoding: raw\n"
    f"endian: little\n{DIRECTIONS['nrrd']}\n",
    "x.mha": f"ObjectType = Image\nNDims = 3\nDimSize = {MILLION}\nElementType = MET_SHORT\n"
    f"{DIRECTIONS['mha']}ElementDataFile = LOCAL\n",
}


@pytest.mark.parametrize("name", PROMISES)
def test_header_that_promises_a_million_cubed_voxels_is_refused_by_number(tmp_path, name):
    (tmp_path / name).write_text(PROMISES[name])
    with pytest.raises(InputError, match="1000000 x 1000000 x 1000000 voxels, more than the limit"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii", "hex"])
def test_nrrd_that_promises_more_than_it_holds_is_refused(tmp_path, encoding):
    header = PROMISES["x.nrrd"].replace(MILLION, "1000 1000 1000").replace(
        "encoding: raw", f"encoding: {encoding}"
    )  # fmt: skip
    data = {"gzip": zlib.compress(bytes(240)), "bzip2": b"BZh9 no bzip2"}.get(encoding, bytes(240))
    (tmp_path / "x.nrrd").write_bytes(header.encode() + data)
    with pytest.raises(
        InputError, match=r"is truncated: its (header promises|compressed)|damaged compressed"
    ):
        read_volume(tmp_path / "x.nrrd")


@pytest.mark.parametrize("sizes", ["4 5 six", "4 0 6", ""])
def test_nrrd_with_broken_sizes_is_refused(tmp_path, sizes):
    (tmp_path / "x.nrrd").write_text(PROMISES["x.nrrd"].replace(MILLION, sizes))
    with pytest.raises(InputError, match="has a broken header"):
        read_volume(tmp_path / "x.nrrd")


@pytest.mark.parametrize("data_file", ["%s%s%s%n", "slice%03d.raw 1 6 1", "LIST", "list 2"])
@pytest.mark.parametrize("name", ["x.mhd", "x.nhdr"])
def test_header_over_many_data_files_is_refused(tmp_path, name, data_file):
    """A pattern would go to `printf` as it stands."""
    if name == "x.mhd":
        text = PROMISES["x.mha"].replace(MILLION, "4 5 6").replace("LOCAL", data_file)
    else:
        text = PROMISES["x.nrrd"].replace(MILLION, "4 5 6").rstrip("\n")
        text += f"\ndata file: {data_file}\n"
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="spread over many data files"):
        read_volume(tmp_path / name)


def test_nrrd_whose_data_file_is_missing_is_refused(tmp_path):
    text = PROMISES["x.nrrd"].replace(MILLION, "4 5 6").rstrip("\n") + "\ndata file: no.raw\n"
    (tmp_path / "x.nhdr").write_text(text)
    with pytest.raises(InputError, match=r"names the data file 'no\.raw', which is not there"):
        read_volume(tmp_path / "x.nhdr")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii", "hex"])
def test_nrrd_of_every_encoding_is_read(tmp_path, encoding):
    array = np.arange(120, dtype="<i2")
    data = {
        "raw": array.tobytes(),
        "gzip": gzip.compress(array.tobytes()),
        "ascii": " ".join(map(str, array)).encode(),
        "hex": array.tobytes().hex().encode(),
    }[encoding]
    header = PROMISES["x.nrrd"].replace(MILLION, "4 5 6").replace("raw", encoding)
    (tmp_path / "x.nrrd").write_bytes(header.encode() + data)
    assert np.array_equal(read_volume(tmp_path / "x.nrrd").array_kji.ravel(), array)


def test_inflated_bytes_of_bzip2_are_counted_and_bounded(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(bz2.compress(bytes(100_000)))
    with (tmp_path / "x").open("rb") as stream:
        assert header_checks._count_bzip2_bytes(stream, 100_000, "x") == 100_000
        stream.seek(0)
        monkeypatch.setattr(header_checks, "MOST_TRAILING_BYTES", 1000)
        with pytest.raises(InputError, match="far more data than the 240 bytes"):
            header_checks._count_bzip2_bytes(stream, 240, "x")


USUAL = {
    "x.nrrd": PROMISES["x.nrrd"].replace(MILLION, "4 5 6"),
    "x.mha": PROMISES["x.mha"].replace(MILLION, "4 5 6"),
}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("x.mha", "NDims = 3", "NDims = 65536"),  # each of these ended the process inside ITK
        ("x.mha", "NDims = 3", "NDims = 1e6 1e6 1e6"),
        ("x.nrrd", "encoding: raw\n", f"encoding: raw\nspace origin: {'A' * 5000}\n"),
        ("x.mha", "ElementType", "CenterOfRotation = G\nElementType"),
        ("x.nrrd", "dimension: 3", "dimension: 33"),
        ("x.nrrd", "sizes", "a\0b: c\nsizes"),
        ("x.mha", "ElementType = MET", f"Comment = {'A' * 20000}\nElementType = MET"),
        ("x.mha", "NDims = 3", "NDims = 3\nNDims = 3"),
        ("x.nrrd", "dimension: 3", "dimension: 3\ndimension: 3"),
        ("x.nrrd", "dimension: 3", "dimension: 3" + 1100 * "\n# remark"),
    ],
)
def test_header_that_breaks_the_grammar_is_refused(tmp_path, name, old, new):
    changed = USUAL[name].replace(old, new)
    assert changed != USUAL[name]
    (tmp_path / name).write_bytes(changed.encode() + bytes(240))
    with pytest.raises(InputError, match=r"has a (broken header|header of more than 1000 lines)"):
        read_volume(tmp_path / name)


def test_long_remarks_and_fields_of_other_tools_are_read(tmp_path):
    """3D Slicer writes the UIDs of all slices into one remark, ITK the tags of a DICOM series."""
    uids = " ".join(f"1.2.826.0.1.3680043.8.498.{n}" for n in range(2000))
    nrrd = USUAL["x.nrrd"].replace("encoding", f"DICOM.instanceUIDs:={uids}\n# a remark\nencoding")
    (tmp_path / "x.nrrd").write_bytes(nrrd.encode() + bytes(range(240)))
    tags = "0008|0060 = MR\nITK_InputFilterName = GDCMImageIO\nElementType"
    mha = USUAL["x.mha"].replace("ElementType", tags)
    (tmp_path / "x.mha").write_bytes(mha.encode() + bytes(range(240)))
    for name in USUAL:
        assert read_volume(tmp_path / name).array_kji.shape == (6, 5, 4)


@pytest.mark.fault("out-of-memory")
def test_image_for_which_there_is_no_memory_is_not_called_damaged(tmp_path, monkeypatch):
    """Some of ITK's readers say only that they failed."""

    def refuse(*_arguments):
        raise MemoryError

    (tmp_path / "x.nrrd").write_bytes(b"no NRRD, on which ITK fails")
    monkeypatch.setattr("SAMI2ILib.imaging.io.np.empty", refuse)
    with pytest.raises(OutOfMemoryError, match=r"x\.nrrd does not fit into memory"):
        read_volume(tmp_path / "x.nrrd")


def test_compressed_size_beyond_the_file_is_refused(tmp_path):
    text = USUAL["x.mha"].replace(
        "ElementData", "CompressedData = True\nCompressedDataSize = 2147483648\nElementData"
    )
    (tmp_path / "x.mha").write_bytes(text.encode() + zlib.compress(bytes(240)))
    with pytest.raises(InputError, match="promises 2,147,483,648 bytes of voxels, it holds"):
        read_volume(tmp_path / "x.mha")
