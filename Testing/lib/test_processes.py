"""A process is told from another one that got its number."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from SAMI2ILib.processes import birth, is_running, this_place

can_tell = pytest.mark.skipif(
    not birth(os.getpid()), reason="this system does not say when a process began"
)


@can_tell
def test_process_is_told_from_one_with_its_number():
    own = birth(os.getpid())
    assert own == birth(os.getpid())
    assert is_running(os.getpid(), own)
    assert is_running(os.getpid(), str(int(own) + 1)) is False


@can_tell
def test_process_that_ended_and_was_not_waited_for_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = birth(process.pid)
    assert is_running(process.pid, born)
    process.kill()
    if sys.platform != "win32":
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()
    assert is_running(process.pid, born) is False
    process.stdin.close()
    process.wait()
    assert is_running(process.pid, born) is False
    assert not is_running(process.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process by its number")
def test_number_alone_is_asked_for_where_no_time_is_known():
    assert is_running(os.getpid())
    assert is_running(1)  # of another user, as a rule
    assert is_running(2**40) is False


def test_place_is_the_same_each_time():
    assert this_place() == this_place()
    assert len(this_place()) == 8


@pytest.fixture
def place_of(monkeypatch):
    """Ask a Mac of a name and a boot session where it is."""

    def ask(name, session):
        def answer(words, **_options):
            assert words == ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
            if session is None:
                raise FileNotFoundError(words[0])
            return session

        monkeypatch.setattr(platform, "node", lambda: name)
        monkeypatch.setattr(subprocess, "check_output", answer)
        this_place.cache_clear()
        return this_place()

    monkeypatch.setattr(sys, "platform", "darwin")
    yield ask
    this_place.cache_clear()


def test_mac_is_told_by_its_start_and_not_by_its_name(place_of):
    first = place_of("mac.local", "C0FFEE\n")
    assert place_of("mac-2.clinic.example", "C0FFEE\n") == first
    assert place_of("mac.local", "DECADE\n") != first
    assert place_of("mac.local", None) != place_of("mac-2.local", None)


class Kernel:
    """What Windows says of processes: number 4 runs, 8 has ended, 12 may not be asked for."""

    def __init__(self, *_arguments, **_options):
        class OpenProcess:
            def __call__(self, _rights, _inherit, number):
                return {4: 104, 8: 108}.get(number, 0)

        self.OpenProcess, self.closed = OpenProcess(), []

    def GetExitCodeProcess(self, handle, code):  # noqa: N802
        code._obj.value = 259 if handle.value == 104 else 1
        return True

    def GetProcessTimes(self, handle, created, *_others):  # noqa: N802
        assert handle.value == 104
        created._obj.dwHighDateTime, created._obj.dwLowDateTime = 2, 1
        return True

    def CloseHandle(self, handle):  # noqa: N802
        self.closed.append(handle.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows itself is asked above")
def test_windows_is_asked_for_the_time_of_creation(monkeypatch):
    kernels = []

    def load(*_arguments, **_options):
        kernels.append(Kernel())
        return kernels[-1]

    errors = {"last": 87}  # no process has this number
    monkeypatch.setattr(ctypes, "WinDLL", load, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: errors["last"], raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert birth(4) == str(2 * 2**32 + 1)
    assert is_running(4, birth(4))
    assert is_running(4, "7") is False
    assert is_running(4) is None
    assert is_running(8, "7") is False
    assert is_running(16, "7") is False
    errors["last"] = 5  # access is denied: another user's
    assert is_running(12, "7") is None
    assert [handle for kernel in kernels for handle in kernel.closed] == [104] * 5 + [108]
