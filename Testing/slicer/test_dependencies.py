"""Installing, checking and repairing packages, with a small Slicer that remembers its calls."""

import os
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from SAMI2IPanel.dependencies import Dependencies
from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.protocol import PanelError

from Testing.slicer.small_slicer import ALL, OWN, SmallSlicer


@pytest.fixture
def make(tmp_path):
    def make(versions=OWN, free=100 * 10**9, **options):
        slicer = SmallSlicer(tmp_path, versions)
        dependencies = Dependencies(
            services=slicer,
            versions=slicer.versions,
            freeBytes=lambda _folder: free,
            **{"machine": ("Linux", "x86_64")} | options,
        )
        return slicer, dependencies

    return make


@pytest.fixture
def log():
    return []


def test_installation_goes_from_pytorch_to_sam2(make, log):
    slicer, dependencies = make()
    dependencies.install(log.append)
    torch, rest, sam2, check = slicer.calls
    assert torch == ["torch extension", ">=2.5.1", ">=0.20.1"]
    assert rest[0] == "--prefer-binary"
    assert {"scikit-image>=0.22", "safetensors>=0.4.3"} <= set(rest)
    assert sam2[:4] == ["--no-deps", "--no-build-isolation", "--require-hashes", "--requirement"]
    assert "--hash=sha256:" in Path(sam2[4]).read_text(encoding="utf-8")
    assert check == "check"
    assert dependencies.missing() == []
    assert "Collecting what was asked for" in log
    assert log[-1] == "Ready on the CPU."


def test_pip_is_told_to_keep_slicers_packages_and_the_environment_is_taken_back(make, log):
    before = dict(os.environ)
    slicer, dependencies = make()
    dependencies.install(log.append)
    assert {"numpy==2.4.6", "simpleitk==2.5.5", "requests==2.34.2"} <= set(slicer.constraints)
    assert slicer.environment["SAM2_BUILD_CUDA"] == "0"
    assert slicer.environment["PIP_PROGRESS_BAR"] == "raw"
    assert slicer.environment["PIP_NO_INPUT"] == "1"
    assert dict(os.environ) == before


def test_constraints_of_the_user_stay(make, log, monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", "mine.txt")
    slicer, dependencies = make()
    dependencies.install(log.append)
    assert slicer.environment["PIP_CONSTRAINT"].startswith("mine.txt file://")
    assert os.environ["PIP_CONSTRAINT"] == "mine.txt"


def test_pip_before_24_1_is_not_asked_for_lines_of_progress(make, log):
    slicer, dependencies = make(OWN | {"pip": "23.3"})
    dependencies.install(log.append)
    assert "PIP_PROGRESS_BAR" not in slicer.environment


def test_nothing_is_downloaded_when_all_is_there(make, log):
    slicer, dependencies = make(ALL, free=0)
    dependencies.install(log.append)
    assert slicer.calls == ["check"]


def test_only_what_is_missing_is_installed(make, log):
    slicer, dependencies = make({k: v for k, v in ALL.items() if k != "iopath"})
    dependencies.install(log.append)
    assert slicer.calls == [["--prefer-binary", "iopath<0.2,>=0.1.10"], "check"]
    assert "torch==2.14.1" in slicer.constraints


def test_question_names_packages_and_room(make):
    _slicer, dependencies = make(free=42 * 10**9)
    question = dependencies.question()
    assert "torch, torchvision" in question
    assert "up to 6.5 GB; 42.0 GB are free" in question
    assert "PyTorch extension" in question
    _slicer, dependencies = make({k: v for k, v in ALL.items() if k != "iopath"})
    assert "not there yet: iopath." in dependencies.question()
    assert "PyTorch" not in dependencies.question()


def test_intel_macos_is_not_supported_and_says_why(make, log):
    slicer, dependencies = make(machine=("Darwin", "x86_64"))
    assert "PyTorch stops at 2.2 and sam2 asks for 2.5.1" in dependencies.platformProblem()
    with pytest.raises(DependencyError, match=r"PyTorch stops at 2\.2.*Linux or Windows"):
        dependencies.install(log.append)
    assert slicer.calls == []


def test_other_platforms_have_no_problem(make):
    for machine in (("Linux", "x86_64"), ("Windows", "AMD64"), ("Darwin", "arm64")):
        assert make(machine=machine)[1].platformProblem() == ""


def test_pytorch_extension_is_needed(make, log):
    slicer, dependencies = make()
    slicer.hasExtension = False
    with pytest.raises(DependencyError, match="PyTorch extension is not installed") as caught:
        dependencies.install(log.append)
    assert "Extensions Manager" in caught.value.hint
    assert slicer.calls == []


def test_installation_runs_on_the_main_thread_only(make, log):
    slicer, dependencies = make()
    slicer.onMainThread = False
    with pytest.raises(DependencyError, match="main thread only"):
        dependencies.install(log.append)


def test_two_installations_do_not_run_at_once(make, log):
    slicer, dependencies = make()
    inside = []

    def installAgain(_line):
        with pytest.raises(DependencyError, match="being installed already"):
            dependencies.install(inside.append)

    dependencies.install(installAgain)
    assert inside == []
    slicer.pipRuns = True
    with pytest.raises(DependencyError, match="being installed already"):
        dependencies.repair(log.append)


@pytest.mark.fault("disk-full")
def test_full_disk_is_said_before_anything_is_downloaded(make, log):
    slicer, dependencies = make(free=5 * 10**9)
    with pytest.raises(DependencyError, match=r"GB of free disk are needed.*; 5\.0 GB are there"):
        dependencies.install(log.append)
    assert slicer.calls == []


def test_folder_that_cannot_be_written_is_said_before_anything_is_downloaded(make, log):
    slicer, dependencies = make({k: v for k, v in ALL.items() if k != "iopath"})
    slicer.folder = slicer.folder / "missing"
    with pytest.raises(DependencyError, match="cannot be written"):
        dependencies.install(log.append)
    assert slicer.calls == []


def test_folder_that_windows_lets_nobody_write_is_said_at_once(make, log, monkeypatch):
    _slicer, dependencies = make({k: v for k, v in ALL.items() if k != "iopath"})
    attempts = []

    def refuse(path, *_arguments, **_options):
        attempts.append(path)
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(os, "open", refuse)  # while `os.access` says that it can be written
    with pytest.raises(DependencyError, match=r"cannot be written \(Access is denied\)"):
        dependencies.install(log.append)
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("ERROR: No matching distribution found for torch>=2.5.1", "HTTPS_PROXY"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "Free some space"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "another network"),
        ("ERROR: [WinError 5] Access is denied: 'c10.dll'", "Restart Slicer"),
        ("ERROR: [WinError 5] Zugriff verweigert: 'c10.dll'", "Restart Slicer"),
        (
            "HINT: This error might have occurred since this system does not have Windows Long "
            "Path support enabled.",
            r"such as C:\Slicer",
        ),
        ("ERROR: something new", "Read the log"),
    ],
)
def test_failure_of_pip_gives_its_reason_and_what_to_do(make, log, said, hint):
    slicer, dependencies = make()
    slicer.failure = said
    with pytest.raises(DependencyError) as caught:
        dependencies.install(log.append)
    assert caught.value.message == f"pip could not install the packages: {said}"
    assert hint in caught.value.hint
    assert slicer.calls[1:] == []


def test_pytorch_extension_that_installs_nothing_is_said(make, log):
    slicer, dependencies = make()

    def installTorch(_torch, _torchvision, log):
        log("TypeError: build_source() missing 1 argument")
        raise ImportError("No module named 'torch'")

    slicer.installTorch = installTorch
    with pytest.raises(DependencyError, match=r"did not install torch, torchvision: TypeError"):
        dependencies.install(log.append)
    assert "No module named 'torch'" in log
    assert slicer.calls == []


def test_pytorch_that_is_installed_and_does_not_load_is_left_to_the_check(make, log):
    slicer, dependencies = make({k: v for k, v in ALL.items() if not k.startswith("torch")})
    install = slicer.installTorch

    def installTorch(*arguments):
        install(*arguments)
        slicer.broken = {"torch": ""}
        raise ImportError("DLL load failed")

    slicer.installTorch = installTorch
    with pytest.raises(DependencyError, match=r"Not ready.*Repair packages"):
        dependencies.install(log.append)
    assert slicer.calls[-1] == "check"


def test_failure_outside_pip_is_an_error_of_the_installation(make, log):
    slicer, dependencies = make()

    def installTorch(*_arguments):
        raise RuntimeError("PythonSlicer executable not found\nmore")

    slicer.installTorch = installTorch
    with pytest.raises(DependencyError, match=r"could not be installed: PythonSlicer executable"):
        dependencies.install(log.append)


def test_change_of_slicers_own_package_is_an_error(make, log):
    slicer, dependencies = make()
    slicer.sideEffect = {"numpy": "3.0"}
    with pytest.raises(DependencyError, match=r"numpy 2\.4\.6 -> 3\.0"):
        dependencies.install(log.append)


def test_slicer_that_is_too_old_is_not_changed(make, log):
    slicer, dependencies = make(ALL | {"numpy": "1.21.0"})
    with pytest.raises(DependencyError, match=r"too old: numpy.*Slicer 5\.10"):
        dependencies.install(log.append)
    assert slicer.calls == []


def test_package_that_does_not_load_after_the_installation_is_said(make, log):
    slicer, dependencies = make(ALL)
    slicer.broken = {"scikit-image": ""}
    with pytest.raises(DependencyError, match=r"Not ready.*Repair packages"):
        dependencies.install(log.append)


def test_package_that_is_still_missing_is_said(make, log):
    _slicer, dependencies = make(ALL)
    _slicer.installed.pop("sam2")
    _slicer.pipInstall = lambda _arguments, _log: None
    with pytest.raises(DependencyError, match="Still not installed: sam2"):
        dependencies.install(log.append)


def test_check_that_crashes_is_said_with_its_exit_code(make, log):
    slicer, dependencies = make(ALL)
    slicer.answer = (-11, "", "Fatal Python error: Segmentation fault")
    with pytest.raises(DependencyError, match=r"ended early \(exit code -11\)"):
        dependencies.install(log.append)
    assert "Fatal Python error: Segmentation fault" in log


@pytest.mark.parametrize("error", [PanelError("PythonSlicer was not found."), OSError("denied")])
def test_check_that_cannot_start_is_said(make, log, error):
    slicer, dependencies = make(ALL)

    def runPython(*_arguments):
        raise error

    slicer.runPython = runPython
    with pytest.raises(DependencyError, match=r"could not start: (PythonSlicer was not|denied)"):
        dependencies.install(log.append)
    with pytest.raises(DependencyError, match="could not start"):
        dependencies.repair(log.append)
    assert slicer.calls == []


def test_repair_installs_the_same_version_of_what_does_not_load(make, log):
    slicer, dependencies = make(ALL)
    slicer.broken = {"scikit-image": ""}
    dependencies.repair(log.append)
    again = ["--force-reinstall", "--no-deps", f"scikit-image=={ALL['scikit-image']}"]
    assert slicer.calls == ["check", again, "check"]


def test_repair_of_sam2_builds_it_again(make, log):
    slicer, dependencies = make(ALL)
    slicer.broken = {"sam2": ""}
    dependencies.repair(log.append)
    _check, sam2, _check = slicer.calls
    assert {"--force-reinstall", "--no-deps", "--require-hashes"} <= set(sam2)


def test_repair_of_pytorch_goes_through_its_extension(make, log):
    slicer, dependencies = make(ALL)
    slicer.broken = {"torch": ""}
    dependencies.repair(log.append)
    names = [call if isinstance(call, str) else call[0] for call in slicer.calls]
    assert names == ["check", "uninstall torch", "torch extension", "check"]


def test_repair_takes_a_crash_for_pytorchs(make, log):
    slicer, dependencies = make(ALL)
    slicer.answer = (-11, "", "")
    with pytest.raises(DependencyError, match="ended early"):
        dependencies.repair(log.append)
    assert ["uninstall torch"] in slicer.calls


def test_repair_adds_what_is_missing(make, log):
    slicer, dependencies = make({k: v for k, v in ALL.items() if k != "scikit-image"})
    dependencies.repair(log.append)
    assert slicer.calls == ["check", ["--prefer-binary", "scikit-image>=0.22"], "check"]


def test_repair_touches_nothing_when_all_works(make, log):
    slicer, dependencies = make(ALL)
    dependencies.repair(log.append)
    assert slicer.calls == ["check", "check"]


def test_repair_leaves_slicers_own_packages_to_slicer(make, log):
    slicer, dependencies = make(ALL)
    slicer.broken = {"SimpleITK": ""}
    with pytest.raises(DependencyError, match=r"do not load: simpleitk.*Install Slicer again"):
        dependencies.repair(log.append)
    assert slicer.calls == ["check"]


def requires(name):
    """As scikit-image needs them: one of Slicer's, two others, one of which needs more."""
    needed = {
        "scikit-image": ["numpy>=1.24", "networkx>=3", "lazy-loader>=0.4"],
        "lazy-loader": ["packaging>=21", "torch>=2"],
    }
    return [Requirement(text) for text in needed.get(name, [])]


def test_repair_goes_on_to_what_a_package_needs(make, log):
    slicer, dependencies = make(ALL | {"networkx": "3.1", "packaging": "24.0"}, requires=requires)
    del slicer.installed["lazy-loader"]

    class Stubborn(dict):
        """A package that loads only when what it needs is whole."""

        def pop(self, name, default=None):
            return super().pop("scikit-image" if name == "networkx" else "nothing", default)

    slicer.broken = Stubborn({"scikit-image": ""})
    dependencies.repair(log.append)
    assert slicer.calls == [
        "check",
        ["--force-reinstall", "--no-deps", f"scikit-image=={ALL['scikit-image']}"],
        "check",
        ["--prefer-binary", "lazy-loader>=0.4"],
        ["--force-reinstall", "--no-deps", "networkx==3.1", "packaging==24.0"],
        "check",
    ]


def test_repair_that_does_not_help_says_so(make, log):
    slicer, dependencies = make(ALL, requires=lambda _name: [])

    class Stubborn(dict):
        def pop(self, _name, default=None):
            return default

    slicer.broken = Stubborn({"scikit-image": ""})
    with pytest.raises(DependencyError, match=r"Not ready\. Read the log, or install Slicer again"):
        dependencies.repair(log.append)
    assert slicer.calls[-1] == "check"
    assert len(slicer.calls) == 3


def test_what_an_installed_package_needs_is_read_from_its_metadata():
    from SAMI2IPanel.packages import distributionRequirements

    assert "iniconfig" in [r.name for r in distributionRequirements("pytest")]
    assert "hypothesis" not in [r.name for r in distributionRequirements("pytest")]  # an extra
    assert distributionRequirements("no-such-distribution") == []
