"""SimpleITK's warnings, which belong to the whole process."""

import threading

import SimpleITK as sitk

from SAMI2ILib.imaging.itk import quiet_itk


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
