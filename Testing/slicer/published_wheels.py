"""Names, versions and requirements of published wheels, and of what two Slicers bring along.

Copied in November 2026 from the metadata of the wheels, without extras, and from the lists that
Slicer's build installs. The resolution of dependencies reads nothing else of a wheel, so tests
build empty ones from this.
"""

import zipfile

# What an installation finds today.
NEWEST = {
    "antlr4-python3-runtime": ("4.9.3", ['typing; python_version < "3.5"']),
    "attrs": ("26.1.0", []),
    "certifi": ("2026.10.18", []),
    "charset-normalizer": ("3.5.2", []),
    "colorama": ("0.4.6", []),
    "cuda-bindings": ("13.5.0", ["cuda-pathfinder>=1.4.2"]),
    "cuda-pathfinder": ("1.9.0", []),
    "cuda-toolkit": ("13.0.3.0", []),
    "filelock": ("4.2.12", []),
    "fsspec": ("2026.9.0", []),
    "hydra-core": (
        "1.3.8",
        [
            "omegaconf<2.4,>=2.2",
            "antlr4-python3-runtime==4.9.*",
            'importlib-resources; python_version < "3.9"',
            "packaging",
        ],
    ),
    "idna": ("3.20", []),
    "imageio": ("2.38.1", ["numpy", "pillow>=8.3.2"]),
    "iopath": (
        "0.1.10",
        ["tqdm", "typing_extensions", "portalocker", 'dataclasses; python_version < "3.7"'],
    ),
    "jinja2": ("3.1.6", ["MarkupSafe>=2.0"]),
    "jsonschema": (
        "4.26.0",
        [
            "attrs>=22.2.0",
            "jsonschema-specifications>=2023.03.6",
            "referencing>=0.28.4",
            "rpds-py>=0.25.0",
        ],
    ),
    "jsonschema-specifications": ("2025.9.1", ["referencing>=0.31.0"]),
    "lazy-loader": ("0.6", ["packaging"]),
    "markupsafe": ("3.0.4", []),
    "mpmath": ("1.3.0", []),
    "networkx": ("3.6.1", []),
    "numpy": ("2.4.6", []),
    "nvidia-cublas": ("13.1.1.3", ["nvidia-cuda-nvrtc"]),
    "nvidia-cuda-nvrtc": ("13.0.88", []),
    "nvidia-cudnn-cu13": ("9.24.0.43", ["nvidia-cublas"]),
    "nvidia-cusparselt-cu13": ("0.8.1", []),
    "nvidia-nccl-cu13": ("2.30.7", []),
    "nvidia-nvshmem-cu13": ("3.4.5", []),
    "omegaconf": (
        "2.3.1",
        ["antlr4-python3-runtime==4.9.*", "PyYAML>=5.1.0", 'dataclasses; python_version == "3.6"'],
    ),
    "packaging": ("26.3", []),
    "pillow": ("13.0.0", []),
    "platformdirs": ("4.14.7", []),
    "portalocker": ("4.4.2", []),
    "pydicom": ("3.0.2", []),
    "pyyaml": ("6.0.3", []),
    "referencing": (
        "0.37.0",
        ["attrs>=22.2.0", "rpds-py>=0.7.0", "typing-extensions>=4.4.0; python_version < '3.13'"],
    ),
    "requests": (
        "2.34.2",
        ["charset_normalizer<4,>=2", "idna<4,>=2.5", "urllib3<3,>=1.26", "certifi>=2023.5.7"],
    ),
    "rpds-py": ("2026.9.1", []),
    "safetensors": ("0.8.0", []),
    "scikit-image": (
        "0.26.0",
        [
            "numpy>=1.24",
            "scipy>=1.11.4",
            "networkx>=3.0",
            "pillow>=10.1",
            "imageio!=2.35.0,>=2.33",
            "tifffile>=2022.8.12",
            "packaging>=21",
            "lazy-loader>=0.4",
        ],
    ),
    "scipy": ("1.17.1", ["numpy<2.7,>=1.26.4"]),
    "setuptools": ("84.2.1", []),
    "simpleitk": ("2.5.7", []),
    "sympy": ("1.14.0", ["mpmath<1.4,>=1.1.0"]),
    "tifffile": ("2026.3.3", ["numpy"]),
    "torch": (
        "2.14.1",
        [
            "filelock",
            "typing-extensions>=4.10.0",
            "setuptools>=77.0.3",
            "sympy>=1.13.3",
            "networkx>=2.5.1",
            "jinja2",
            "fsspec>=0.8.5",
            'cuda-toolkit==13.0.3; platform_system == "Linux"',
            'cuda-bindings<14,>=13.0.3; platform_system == "Linux" and python_version < "3.15"',
            'nvidia-cudnn-cu13==9.24.0.43; platform_system == "Linux"',
            'nvidia-cusparselt-cu13==0.8.1; platform_system == "Linux"',
            'nvidia-nccl-cu13==2.30.7; platform_system == "Linux"',
            'nvidia-nvshmem-cu13==3.4.5; platform_system == "Linux"',
            'triton~=3.8.0; platform_system == "Linux" and python_version < "3.15"',
        ],
    ),
    "torchvision": ("0.29.1", ["numpy", "torch (>=2.14.0)", "pillow (!=8.3.*,>=5.3.0)"]),
    "tqdm": ("4.70.1", ['colorama; platform_system == "Windows"']),
    "triton": ("3.8.0", ['importlib-metadata; python_version < "3.10"']),
    "typing-extensions": ("4.16.0", []),
    "urllib3": ("2.8.0", []),
}

# Slicer's own SimpleITK of 5.10 is built from source; its wheel is not published.
SLICER = {
    "5.10": {
        "certifi": ("2025.4.26", []),
        "charset-normalizer": ("3.4.2", []),
        "idna": ("3.10", []),
        "numpy": ("2.0.2", []),
        "packaging": ("25.0", []),
        "pillow": ("11.2.1", []),
        "pydicom": ("2.4.4", []),
        "requests": (
            "2.32.3",
            [
                "charset-normalizer<4,>=2",
                "idna<4,>=2.5",
                "urllib3<3,>=1.21.1",
                "certifi>=2017.4.17",
            ],
        ),
        "scipy": ("1.13.1", ["numpy<2.3,>=1.22.4"]),
        "setuptools": ("80.9.0", []),
        "simpleitk": ("2.5.2", []),
        "typing-extensions": ("4.14.0", []),
        "urllib3": ("2.4.0", []),
    },
    "5.12": {
        "certifi": ("2026.5.20", []),
        "charset-normalizer": ("3.4.7", []),
        "idna": ("3.16", []),
        "numpy": ("2.4.6", []),
        "packaging": ("26.2", []),
        "pillow": ("12.2.0", []),
        "pydicom": ("3.0.2", []),
        "requests": (
            "2.34.2",
            ["charset_normalizer<4,>=2", "idna<4,>=2.5", "urllib3<3,>=1.26", "certifi>=2023.5.7"],
        ),
        "scipy": ("1.17.1", ["numpy<2.7,>=1.26.4"]),
        "setuptools": ("82.0.1", []),
        "simpleitk": ("2.5.5", []),
        "typing-extensions": ("4.15.0", []),
        "urllib3": ("2.7.0", []),
    },
}


def write_wheel(folder, name, version, requires):
    """Write an empty wheel with this metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{stem}.dist-info/{part},,\n" for part in ("METADATA", "WHEEL", "RECORD"))
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", tags)
        wheel.writestr(f"{stem}.dist-info/RECORD", record)
    return path
