"""The module's own self-test, run on the host as Slicer's ctest and its Reload and Test run it."""

import re
import sys
import unittest

import pytest

from .conftest import MODULE

SELF_TEST = MODULE.parent / "SAMI2IPanel" / "self_test.py"
NAMES = re.findall(r"def (test_\w+)", SELF_TEST.read_text(encoding="utf-8"))


@pytest.fixture
def self_test(slicerHost):
    """Make the test case for one of its tests."""
    slicerHost.loadModule(MODULE)
    return sys.modules["SAMI2I"].SAMI2ITest


@pytest.mark.parametrize("name", NAMES)
def test_self_test(self_test, name):
    result = unittest.TestResult()
    self_test(name).run(result)
    for _case, trace in result.errors + result.failures:
        pytest.fail(trace, pytrace=False)
    for _case, reason in result.skipped:
        pytest.skip(reason)
    assert result.testsRun == 1


def test_reload_and_test_is_no_success_where_a_dependency_is_missing(self_test, without_packages):
    with pytest.raises(unittest.SkipTest, match="PyTorch is not installed") as skipped:
        self_test().runTest()
    assert all(name in str(skipped.value) for name in NAMES)
