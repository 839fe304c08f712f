"""The class decorator `parameterNodeWrapper`."""

from __future__ import annotations

import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from .annotations import Decimals, Default, SingleStep, Validator
from .gui import Connector, createConnector, widgetsByParameter

_ZERO = {bool: False, int: 0, float: 0.0, str: ""}


@dataclass(frozen=True)
class Parameter:
    """One annotated member of the decorated class."""

    name: str
    kind: type
    annotations: tuple[Any, ...]
    default: Default

    def validate(self, value: Any) -> None:
        isNode = issubclass(self.kind, slicer.vtkMRMLNode)
        accepted = (int, float) if self.kind is float else self.kind
        if not (isNode and value is None) and not isinstance(value, accepted):
            raise TypeError(
                f"Parameter {self.name!r} is a {self.kind.__name__}, not a {type(value).__name__}."
            )
        for validator in self.annotations:
            if isinstance(validator, Validator):
                validator.validate(value)

    def isIn(self, node: Any) -> bool:
        return bool(node.HasParameter(self.name))

    def read(self, node: Any) -> Any:
        if issubclass(self.kind, slicer.vtkMRMLNode):
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        self.validate(value)
        if issubclass(self.kind, slicer.vtkMRMLNode):
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            # Marks the parameter as set even where it refers to no node.
            node.SetParameter(self.name, "")
        else:
            node.SetParameter(self.name, str(self.kind(value)))


def _parameterOf(wrapped: type, name: str, annotation: Any) -> Parameter:
    kind, annotations = annotation, ()
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *rest = typing.get_args(annotation)
        annotations = tuple(item() if isinstance(item, type) else item for item in rest)
    if not isinstance(kind, type) or not (kind in _ZERO or issubclass(kind, slicer.vtkMRMLNode)):
        raise TypeError(
            f"Parameter {name!r} of {wrapped.__name__} has type {kind}: the host knows "
            "MRML node classes, bool, int, float and str."
        )
    unknown = [
        i for i in annotations if not isinstance(i, (Validator, Default, Decimals, SingleStep))
    ]
    if unknown:
        logging.warning("Unused annotations: %s", unknown)
    default = next((item for item in annotations if isinstance(item, Default)), None)
    if name in vars(wrapped):
        default = Default(vars(wrapped)[name])
    return Parameter(name, kind, annotations, default or Default(_ZERO.get(kind)))


class _Wrapper:
    """The methods that every decorated class gets."""

    allParameters: dict[str, Parameter]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._guis: dict[int, tuple[dict[str, Connector], int]] = {}
        self._nextTag = 0
        self._updatingGui = False
        for parameter in self.allParameters.values():
            if not parameter.isIn(parameterNode):
                parameter.write(parameterNode, parameter.default.value)

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            known = ", ".join(self.allParameters)
            raise ValueError(f"There is no parameter {name!r}; there are: {known}.")
        return self.allParameters[name]

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name).write(self.parameterNode, value)

    def default(self, name: str) -> Default:
        return self._parameter(name).default

    def dataType(self, name: str) -> type:
        return self._parameter(name).kind

    # The panel

    def connectGui(self, gui: Any) -> int:
        """Bind every widget with the property SlicerParameterName, both ways; returns a tag."""
        return self.connectParametersToGui(widgetsByParameter(gui))

    def connectParametersToGui(self, widgets: dict[str, Any]) -> int:
        connectors = {
            name: createConnector(widget, self._parameter(name)) for name, widget in widgets.items()
        }
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.start(self._guiToParameter(name, connector))
        observer = self.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda _caller, _event: self._toGui()
        )
        self._nextTag += 1
        self._guis[self._nextTag] = connectors, observer
        return self._nextTag

    def disconnectGui(self, tag: int | None) -> None:
        """Undo `connectGui`."""
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            for connector in connectors.values():
                connector.stop()
            self.RemoveObserver(observer)

    def _guiToParameter(self, name: str, connector: Connector) -> Callable[[], None]:
        def onChanged() -> None:
            if not self._updatingGui:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return onChanged

    def _toGui(self) -> None:
        if self._updatingGui:
            return
        self._updatingGui = True
        try:
            with slicer.util.NodeModify(self):
                for connectors, _ in list(self._guis.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updatingGui = False

    # The node

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return int(self.parameterNode.StartModify())

    def EndModify(self, wasModifying: int) -> int:
        return int(self.parameterNode.EndModify(wasModifying))

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(wrapped: type) -> type:
    """Turn a class of annotated members into typed access to a vtkMRMLScriptedModuleNode."""
    hints = typing.get_type_hints(wrapped, include_extras=True)
    parameters = {name: _parameterOf(wrapped, name, hint) for name, hint in hints.items()}
    members: dict[str, Any] = {
        name: value
        for name, value in vars(wrapped).items()
        if name not in ("__dict__", "__weakref__")
    }
    for name in parameters:
        if hasattr(_Wrapper, name):
            raise ValueError(f"{name!r} is a name that parameterNodeWrapper needs itself.")
        members[name] = property(
            lambda self, name=name: self.getValue(name),
            lambda self, value, name=name: self.setValue(name, value),
        )
    members["allParameters"] = parameters
    return type(wrapped.__name__, (_Wrapper,), members)


def isParameterNodeWrapper(candidate: Any) -> bool:
    """Whether a class, or an object's class, was made by `parameterNodeWrapper`."""
    return issubclass(candidate if isinstance(candidate, type) else type(candidate), _Wrapper)
