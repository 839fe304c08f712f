"""SimpleITK's warnings and the locale, which belong to the whole process."""

import locale
import sys
import threading

import numpy as np
import pytest
import SimpleITK as sitk

from SAMI2ILib.data.simulation.files import write_int16
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.itk import quiet_itk
from SAMI2ILib.imaging.volume import Volume


def test_warnings_are_back_when_the_last_thread_has_left():
    assert sitk.ProcessObject.GetGlobalWarningDisplay()
    inside, may_leave = threading.Event(), threading.Event()

    def hold():
        with quiet_itk():
            inside.set()
            may_leave.wait()

    thread = threading.Thread(target=hold)
    with quiet_itk():
        thread.start()
        inside.wait()
    # This thread came first and leaves first: the other one still wants silence.
    assert not sitk.ProcessObject.GetGlobalWarningDisplay()
    may_leave.set()
    thread.join()
    assert sitk.ProcessObject.GetGlobalWarningDisplay()


class WindowsLocale:
    """What `locale.setlocale` does on a Windows of western Europe.

    Args:
        version: "1803" and later know UTF-8.
        letters: The locale of paths when the program starts.
    """

    def __init__(self, version="11", letters="German_Germany.1252"):
        self.version = version
        self.chosen = {locale.LC_CTYPE: letters, locale.LC_NUMERIC: "C"}

    def setlocale(self, category, name=None):
        if name is not None:
            unknown = name == ".UTF-8" and self.version == "7"
            if unknown or not name.isascii():
                raise locale.Error("unsupported locale setting")
            self.chosen[category] = name or "the user's"
        return self.chosen[category]


@pytest.fixture
def on_windows(monkeypatch):
    def make(**options):
        windows = WindowsLocale(**options)
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(locale, "setlocale", windows.setlocale)
        return windows.chosen

    return make


def test_paths_are_utf8_for_itk_on_windows(on_windows):
    chosen = on_windows()
    with quiet_itk():
        with quiet_itk():
            assert chosen[locale.LC_CTYPE] == ".UTF-8"
        assert chosen[locale.LC_CTYPE] == ".UTF-8"
    assert chosen[locale.LC_CTYPE] == "German_Germany.1252"


def test_paths_are_utf8_when_simulated_heads_are_written_on_windows(
    on_windows, tmp_path, monkeypatch
):
    chosen, seen = on_windows(), []
    write = sitk.WriteImage

    def see(*arguments):
        seen.append(chosen[locale.LC_CTYPE])
        write(*arguments)

    monkeypatch.setattr(sitk, "WriteImage", see)
    write_int16(Volume(np.ones((2, 3, 4), np.float32), np.eye(4)), tmp_path / "ö.nii.gz")
    assert seen == [".UTF-8"]
    assert read_volume(tmp_path / "ö.nii.gz").array_kji.shape == (2, 3, 4)


def test_locale_stays_where_windows_does_not_know_utf8(on_windows):
    chosen = on_windows(version="7")
    with quiet_itk():
        assert chosen[locale.LC_CTYPE] == "German_Germany.1252"


def test_locale_that_windows_does_not_take_back_becomes_the_users(on_windows):
    chosen = on_windows(letters="Norwegian Bokmål_Norway.1252")
    with quiet_itk():
        pass
    assert chosen[locale.LC_CTYPE] == "the user's"


def test_path_with_other_letters_is_named_where_windows_may_not_read_it(monkeypatch, tmp_path):
    path = tmp_path / "ö.mha"
    sitk.WriteImage(sitk.Image(3, 4, 5, sitk.sitkUInt8), path)
    monkeypatch.setattr(sys, "platform", "win32")

    def find_nothing(_reader):
        raise RuntimeError("The file doesn't exist.")

    monkeypatch.setattr(sitk.ImageFileReader, "ReadImageInformation", find_nothing)
    with pytest.raises(InputError, match=r"doesn't exist\. Copy .* to a path of plain letters"):
        read_volume(path)
