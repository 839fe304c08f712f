"""Every failure is said as one of ours, with the exit code that it has in the documentation."""

import errno

import pytest

from SAMI2ILib.errors import as_sami2i_error, is_memory_failure

MEMORY = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("Exception thrown in SimpleITK: Failed to allocate memory for image."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("can't start new thread"),
    RuntimeError("could not create a primitive"),
    ImportError("libtiff.so.6: failed to map segment from shared object"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory"),
]
# As torch, its allocator of page-locked memory and CUDA's libraries say it.
GPU_MEMORY = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 5.77 GiB",
    "CUDA error: out of memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "HIP out of memory. Tried to allocate 2.00 GiB",
]


@pytest.mark.fault("out-of-memory")
@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_want_of_memory_is_code_4_in_all_words(error):
    assert is_memory_failure(error)
    known = as_sami2i_error(error)
    assert (known.exit_code, known.message) == (4, "Memory ran out.")


@pytest.mark.fault("out-of-memory")
@pytest.mark.parametrize("said", GPU_MEMORY)
def test_want_of_memory_on_a_gpu_says_what_to_do_about_it(said):
    known = as_sami2i_error(RuntimeError(said))
    assert (known.exit_code, known.message) == (4, "The GPU's memory ran out.")
    assert "optimization.accumulate" in known.hint


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libgomp.so: cannot allocate memory in static TLS block"),  # not for want of it
        RuntimeError("shapes do not match"),
        RuntimeError("could not create a primitive descriptor for a matmul primitive"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        FileNotFoundError(errno.ENOENT, "gone", "/data/out of memory/x.nii"),
        ValueError("bad_alloc"),
    ],
    ids=str,
)
def test_other_failures_are_not_taken_for_want_of_memory(error):
    assert not is_memory_failure(error)
    assert as_sami2i_error(error).exit_code == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_code_1(number):
    known = as_sami2i_error(OSError(number, "no room", "/data/x.nii"))
    assert known.exit_code == 1
    assert known.message.startswith("The disk is full: ")


def test_path_that_is_too_long_is_code_2_and_shortened():
    known = as_sami2i_error(OSError(errno.ENAMETOOLONG, "File name too long", "/d/" + 500 * "x"))
    assert known.exit_code == 2
    assert known.message == f"The path ...{60 * 'x'} is longer than this system allows."


def test_other_errors_of_the_system_are_internal():
    assert as_sami2i_error(FileNotFoundError(errno.ENOENT, "gone", "x")).exit_code == 1
