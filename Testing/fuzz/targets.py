"""What is fuzzed: for each kind of file some valid ones, and the function that reads a user's."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Testing.fuzz.mutations import mutated

RECORD = {
    "sidecar_version": 1, "synthetic": True, "source_contrast": "T1", "target_contrast": "T2",
    "source": {"file": "head.nii.gz", "sha256": "ab" * 32}, "date": "2026-08-01T22:30:00+00:00",
    "model": {"id": "tiny-t1-t2", "sha256": "cd" * 32}, "volume": {"sha256": "ef" * 32},
    "software": {"name": "SAM-I2I", "version": "0.1.0"},
    "warnings": [{"code": "few-slices", "message": "The input has 3 slices."}],
}  # fmt: skip
INDEX = {
    "version": 1,
    "files": {"m.safetensors": {"sha256": "ab" * 32, "added": "2026-08-01", "source": "m"}},
    "checkpoints": {"sam2.1_hiera_tiny": {"sha256": "cd" * 32, "added": "2026", "source": "x"}},
}
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Seed:
    """A valid file: its name, its bytes, what its header is, and files that lie beside it."""

    name: str
    content: bytes
    kind: str
    beside: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Target:
    """What is read.

    Attributes:
        share: Of the cases.
        seeds: Makes the valid files in an empty folder.
        read: Gets the mutated file; returns or raises an error of ours.
    """

    share: int
    seeds: Callable[[Path], list[Seed]]
    read: Callable[[Path], object]

    def case(self, seeds: list[Seed], folder: Path, draw: random.Random) -> Path:
        """Write one mutated file, with what lies beside it, into an empty folder."""
        seed = draw.choice(seeds)
        for name, content in seed.beside:
            (folder / name).write_bytes(content)
        path = folder / seed.name
        path.write_bytes(mutated(seed.content, seed.kind, draw))
        return path


def _image(dtype: str = "int16"):
    import SimpleITK as sitk

    array = np.arange(120).reshape(6, 5, 4).astype(dtype)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.2, 2.0))
    image.SetOrigin((3.0, -4.0, 5.0))
    return image


def _written(folder: Path, names: dict[str, str], **options: object) -> list[Seed]:
    """Let ITK write an image under each name; the value is the kind of its header."""
    import SimpleITK as sitk

    seeds = []
    for name, kind in names.items():
        sitk.WriteImage(_image(), str(folder / name), **options)
        seeds.append(Seed(name, (folder / name).read_bytes(), kind))
    return seeds


def _nifti(folder: Path) -> list[Seed]:
    import nibabel

    seeds = _written(folder, {"a.nii": "binary", "b.nii.gz": "gzip"})
    for number, (dtype, codes) in enumerate({"f4": (1, 0), "u1": (0, 2), "f8": (1, 2)}.items()):
        image = nibabel.Nifti1Image(np.arange(120, dtype=dtype).reshape(4, 5, 6), np.eye(4))
        image.set_qform(np.eye(4), codes[0])
        image.set_sform(np.eye(4), codes[1])
        nibabel.save(image, folder / f"{number}.nii")
        seeds.append(Seed(f"{number}.nii", (folder / f"{number}.nii").read_bytes(), "binary"))
    return seeds


def _nrrd(folder: Path) -> list[Seed]:
    seeds = _written(folder, {"a.nrrd": "text"})
    seeds += _written(folder, {"b.nrrd": "text"}, useCompression=True)
    (detached,) = _written(folder, {"c.nhdr": "text"})
    data = (folder / "c.raw").read_bytes()
    seeds.append(Seed(detached.name, detached.content, "text", (("c.raw", data),)))
    text = b" ".join(b"%d" % n for n in range(120))
    ascii_header = (
        seeds[0].content.partition(b"\n\n")[0].replace(b"encoding: raw", b"encoding: ascii")
    )
    return [*seeds, Seed("d.nrrd", ascii_header + b"\n\n" + text, "text")]


def _metaimage(folder: Path) -> list[Seed]:
    seeds = _written(folder, {"a.mha": "text"})
    seeds += _written(folder, {"b.mha": "text"}, useCompression=True)
    (detached,) = _written(folder, {"c.mhd": "text"})
    data = (folder / "c.raw").read_bytes()
    seeds.append(Seed(detached.name, detached.content, "text", (("c.raw", data),)))
    header = seeds[0].content.partition(b"ElementDataFile")[0]
    text = header.replace(b"BinaryData = True", b"BinaryData = False")
    return [*seeds, Seed("d.mha", text + b"ElementDataFile = LOCAL\n" + b"1 2 " * 60, "text")]


def _dicom(folder: Path) -> list[Seed]:
    """Three slices as our own export writes them, one of them mutated; two transfer syntaxes."""
    import pydicom

    files = {}
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"):
        for k in range(3):
            path = folder / f"{k}-{syntax[-1]}.dcm"
            _dicom_slice(pydicom, k, syntax).save_as(path, enforce_file_format=True)
            files[path.name] = path.read_bytes()
    names = [[name for name in files if name.endswith(f"-{end}.dcm")] for end in "12"]
    return [
        Seed(name, files[name], "binary", tuple((n, files[n]) for n in series if n != name))
        for series in names
        for name in series
    ]


def _dicom_slice(pydicom, k: int, syntax: str):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = f"1.2.3.4.{k + 1}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.FrameOfReferenceUID, dataset.Modality = "1.2.3.5", "MR"
    dataset.PatientName, dataset.PatientID = "DOE^JANE", "1"
    dataset.Rows, dataset.Columns, dataset.InstanceNumber = 5, 4, k + 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelSpacing, dataset.SliceThickness = ["1.0", "1.2"], "2"
    dataset.ImagePositionPatient = ["0", "0", str(2 * k)]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.PixelData = np.arange(20, dtype="<u2").tobytes()
    return dataset


def _model(folder: Path) -> list[Seed]:
    from SAMI2ILib.assets import asset_path
    from SAMI2ILib.baselines import GENERATOR_CONFIGS, build_generator
    from SAMI2ILib.weights import ModelSpec, Preprocessing, write_model

    decoder = GENERATOR_CONFIGS["unet"].from_json({"slice_channels": 1, "width": 4, "levels": 2})
    network = build_generator(decoder)
    tensors = {
        f"generator.{name}": value.numpy()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    spec = ModelSpec(
        family="unet", id="tiny", title="Tiny", source_contrast="T1", target_contrast="T2",
        license="MIT", decoder=decoder.to_json(), preprocessing=Preprocessing(size=32),
    )  # fmt: skip
    write_model(folder / "m.safetensors", spec, tensors)
    seeds = [Seed("m.safetensors", (folder / "m.safetensors").read_bytes(), "json")]
    # The bundled descriptions, which are rich, without their weights.
    for path in sorted(asset_path("models").glob("*.safetensors")):
        raw = path.read_bytes()
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        kept = json.dumps({"__metadata__": header["__metadata__"]}).encode()
        seeds.append(Seed(path.name, len(kept).to_bytes(8, "little") + kept, "json"))
    return seeds


def _configuration(_folder: Path) -> list[Seed]:
    recipes = sorted((REPOSITORY / "docs/reference/recipes").glob("*.toml"))
    return [Seed(path.name, path.read_bytes(), "text") for path in recipes]


def _read_volume(path: Path) -> object:
    from SAMI2ILib.imaging.io import read_volume

    volume = read_volume(path.parent if path.suffix == ".dcm" else path)
    assert np.isfinite(volume.array_kji).all()
    assert np.isfinite(volume.ijk_to_ras).all()
    return volume


def _read_dicom(path: Path) -> object:
    from SAMI2ILib.dicom.source_series import read_source_series

    read_source_series(path.parent)
    return _read_volume(path)


def _read_model(path: Path) -> object:
    """What `models list`, `models add` and `translate` do with a file that was put before them."""
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.weights.store import Store

    store = Store(path.parent / "store", bundled=path.parent / "none")
    listed = Store(path.parent, bundled=path.parent / "none")
    for entry in listed.list():
        assert entry.path.parent == path.parent
    added = store.add(path)
    assert added.path.parent == store.root
    return load_model(added.path, store)


def _read_sidecar(path: Path) -> object:
    from SAMI2ILib.dicom.synthesis import Synthesis, read_sidecar

    return Synthesis.from_record(read_sidecar(path.with_suffix(".nii")))


def _read_index(path: Path) -> object:
    from SAMI2ILib.weights.store_index import read_index, write_index

    index = read_index(path.parent)
    write_index(path.parent, index)
    return index


def _read_config(path: Path) -> object:
    from SAMI2ILib.training.config_file import parse_config, read_table

    return parse_config(read_table(path))


def _read_cohort(path: Path) -> object:
    from SAMI2ILib.inference.cohort.cases import find_cases

    cohort = find_cases(path, path.parent / "out", "T1", "T2")
    out = (path.parent / "out").resolve()
    assert all((out / case.output).resolve().is_relative_to(out) for case in cohort.cases)
    return cohort


def _text(name: str, text: str, kind: str) -> Callable[[Path], list[Seed]]:
    return lambda _folder: [Seed(name, text.encode(), kind)]


TARGETS = {
    "nifti": Target(26, _nifti, _read_volume),
    "nrrd": Target(18, _nrrd, _read_volume),
    "metaimage": Target(18, _metaimage, _read_volume),
    "dicom": Target(14, _dicom, _read_dicom),
    "model": Target(14, _model, _read_model),
    "sidecar": Target(3, _text("a.json", json.dumps(RECORD), "json"), _read_sidecar),
    "index": Target(2, _text("index.json", json.dumps(INDEX), "json"), _read_index),
    "configuration": Target(3, _configuration, _read_config),
    "cohort table": Target(
        2, _text("c.csv", "source;name;series\na.nii;anna;1.2.3\nb/c.nii;;\n", "text"), _read_cohort
    ),
}


def clean(folder: Path) -> None:
    """Empty a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
