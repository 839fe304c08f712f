"""Writing: bit for bit, whole or not at all, nothing left behind."""

import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from SAMI2ILib.errors import InputError, OutputError
from SAMI2ILib.imaging import io, read_volume, write_volume

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".mha"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR", "ASL"])
def test_written_volume_reads_back_bit_for_bit(ending, codes, noise, tmp_path):
    volume = noise((5, 6, 7), codes, (0.9, 1.1, 3.3), degrees=8.0)
    path = tmp_path / f"größe 1.5{ending}"
    write_volume(volume, path)
    back = read_volume(path)
    assert np.array_equal(back.array_kji, volume.array_kji)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape_ijk", [(1, 1, 1), (5, 6, 1), (1, 6, 7), (3, 3, 3)])
def test_single_slices_and_voxels_read_back(ending, shape_ijk, noise, tmp_path):
    volume = noise(shape_ijk, "PSR", (1.0, 1.0, 4.0))
    write_volume(volume, tmp_path / f"a{ending}")
    back = read_volume(tmp_path / f"a{ending}")
    assert np.array_equal(back.array_kji, volume.array_kji)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)


def test_nibabel_finds_every_voxel_in_the_same_place(noise, tmp_path):
    volume = noise((5, 6, 7), "ASL", (0.9, 1.1, 3.3), degrees=8.0)
    write_volume(volume, tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(image.affine, volume.ijk_to_ras, atol=1e-5)
    assert np.array_equal(image.get_fdata(dtype="f4").transpose(2, 1, 0), volume.array_kji)


def test_extreme_float32_values_survive(noise, tmp_path):
    volume = noise((2, 2, 2))
    values = np.array([1e-45, -1e-45, 3.4e38, -3.4e38, 0.1, -0.0, 1e-30, 16777217], "f4")
    volume = volume.with_array(values.reshape(2, 2, 2))
    for ending in ENDINGS:
        write_volume(volume, tmp_path / f"a{ending}")
        assert np.array_equal(read_volume(tmp_path / f"a{ending}").array_kji, volume.array_kji)


def test_an_existing_file_is_replaced(noise, tmp_path):
    path = tmp_path / "a.nrrd"
    write_volume(noise((3, 3, 3)), path)
    write_volume(noise((2, 2, 2)), path)
    assert read_volume(path).array_kji.shape == (2, 2, 2)


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")
def test_written_file_has_the_permissions_of_a_new_file(noise, tmp_path):
    (tmp_path / "plain").touch()
    write_volume(noise((2, 2, 2)), tmp_path / "a.mha")
    assert (tmp_path / "a.mha").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["a.txt", "a", "a.mhd", "a.gz", ".nii", "a.NII.GZ", "a.MHA"])
def test_unknown_endings_are_refused(name, noise, tmp_path):
    with pytest.raises(InputError, match=r"does not end in \.nii, \.nii\.gz, \.nrrd, \.mha"):
        write_volume(noise((2, 2, 2)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_as_file_are_refused(noise, tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_volume(noise((2, 2, 2)), tmp_path / "nowhere" / "a.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_volume(noise((2, 2, 2)), tmp_path / "folder.nii")


@pytest.mark.skipif(
    os.name == "nt" or getattr(os, "geteuid", lambda: 0)() == 0,
    reason="permissions do not bind root or Windows",
)
def test_a_folder_without_write_permission_is_refused(noise, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_volume(noise((2, 2, 2)), tmp_path / "a.nii")
    tmp_path.chmod(0o700)


FULL_DISK = """
import resource, sys
import numpy as np
from SAMI2ILib.errors import OutputError
from SAMI2ILib.imaging import Volume, write_volume
volume = Volume(np.random.default_rng(0).normal(size=(40, 40, 40)), np.eye(4))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_volume(volume, sys.argv[1])
except OutputError as error:
    print(error)
"""


@pytest.mark.fault("disk-full")
@pytest.mark.skipif(os.name == "nt", reason="file size limits are POSIX")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_noticed_and_nothing_is_left(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Is the disk full?" in result.stdout, result
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_nothing_is_left_when_writing_is_interrupted(error, noise, tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_volume(noise((2, 2, 2)), path)
    before = path.read_bytes()

    def interrupt(_path):
        raise error

    monkeypatch.setattr(io, "_read_file", interrupt)
    with pytest.raises(error):
        write_volume(noise((3, 3, 3)), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
    assert path.read_bytes() == before


def test_a_file_that_reads_back_differently_is_refused(noise, tmp_path, monkeypatch):
    wrong = noise((3, 3, 3))
    wrong = wrong.with_array(wrong.array_kji + 1)
    monkeypatch.setattr(io, "_read_file", lambda _path: wrong)
    with pytest.raises(OutputError, match="could not be written completely"):
        write_volume(noise((3, 3, 3)), tmp_path / "a.nii")
    moved = noise((3, 3, 3), spacing=(1.2, 1.0, 1.0))
    monkeypatch.setattr(io, "_read_file", lambda _path: moved)
    with pytest.raises(OutputError, match=r"would move the image by 0\.\d+ mm"):
        write_volume(noise((3, 3, 3)), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []
