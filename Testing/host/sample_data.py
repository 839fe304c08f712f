"""The module `SampleData`: registration as documented; only files that are at hand are loaded."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import unquote, urlparse

import slicer


class SampleDataSource:
    """One registered sample: where its files come from and how its nodes are named."""

    def __init__(
        self,
        sampleName: str | None = None,
        sampleDescription: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        loadFiles: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
        loadFileType: Any = None,
    ) -> None:
        self.sampleName = sampleName
        self.sampleDescription = sampleDescription or sampleName
        self.thumbnailFileName = thumbnailFileName
        self.customDownloader = customDownloader
        self.loadFileProperties = loadFileProperties or {}
        self.uris, self.fileNames, self.nodeNames, self.checksums = (
            _asList(value) for value in (uris, fileNames, nodeNames, checksums)
        )
        self.loadFiles, self.loadFileTypes = _asList(loadFiles), _asList(loadFileTypes)
        self.loadFileTypes = self.loadFileTypes or _asList(loadFileType)
        if not len(self.uris) == len(self.fileNames):
            raise ValueError("A sample needs as many file names as addresses.")


class SampleDataLogic:
    """The registry, shared by every module."""

    sources: ClassVar[dict[str, list[SampleDataSource]]] = {}
    categories: ClassVar[dict[str, str]] = {}

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        """Name a category; Slicer 5.10 lacks this function."""
        SampleDataLogic.categories[category] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Offer a sample; these are all the arguments that Slicer 5.10 to 5.12 take."""
        source = SampleDataSource(
            sampleName=sampleName, uris=uris, fileNames=fileNames, nodeNames=nodeNames,
            customDownloader=customDownloader, thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes, loadFiles=loadFiles,
            loadFileProperties=loadFileProperties, checksums=checksums, loadFileType=loadFileType,
        )  # fmt: skip
        sources = SampleDataLogic.sources
        others = [item for item in sources.get(category, []) if item.sampleName != sampleName]
        sources[category] = [*others, source]

    def sourceForSampleName(self, name: str) -> SampleDataSource | None:
        every = [source for sources in self.sources.values() for source in sources]
        return next((source for source in every if source.sampleName == name), None)

    def downloadSamples(self, name: str) -> list[Any]:
        """Load a sample's nodes from files on this machine.

        Raises:
            ValueError: No such sample.
            RuntimeError: The sample lies elsewhere; the host never downloads.
        """
        source = self.sourceForSampleName(name)
        if source is None:
            raise ValueError(f"There is no sample {name!r}.")
        if source.customDownloader is not None:
            nodes = source.customDownloader(source)
            return nodes if isinstance(nodes, list) else [nodes]
        names = source.nodeNames or [None] * len(source.uris)
        return [_load(uri, node, source) for uri, node in zip(source.uris, names, strict=True)]


def _asList(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _load(uri: str, nodeName: str | None, source: SampleDataSource) -> Any:
    parts = urlparse(uri)
    path = Path(unquote(parts.path)) if parts.scheme in ("", "file") else None
    if path is None or not path.is_file():
        raise RuntimeError(f"The host downloads nothing, and {uri} is no file on this machine.")
    properties = {**source.loadFileProperties, **({"name": nodeName} if nodeName else {})}
    return slicer.util.loadVolume(str(path), properties)


def createSampleDataModule() -> ModuleType:
    """Build `SampleData` for sys.modules."""
    module = ModuleType("SampleData", __doc__)

    def downloadSample(name: str) -> Any:
        return SampleDataLogic().downloadSamples(name)[0]

    def downloadSamples(name: str) -> list[Any]:
        return SampleDataLogic().downloadSamples(name)

    vars(module).update(
        SampleDataLogic=SampleDataLogic,
        SampleDataSource=SampleDataSource,
        downloadSample=downloadSample,
        downloadSamples=downloadSamples,
    )
    return module
