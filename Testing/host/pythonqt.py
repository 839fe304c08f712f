"""PythonQt's manners on PySide6's classes: what a scripted Slicer module meets as `qt`.

Slicer wraps Qt with PythonQt, where a Qt property is an attribute (`label.text = "T2"`), an
unknown attribute is refused, and signals are connected by signature or by name. `install` gives
PySide6's classes these manners once, for the whole process. It does not give them PythonQt's
faults: see README.md for what stays different.
"""

from __future__ import annotations

import enum
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

QT_MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)

# Both a property and a virtual function in C++: as a property, Shiboken's look-up of Python
# overrides would call the property, which calls the virtual function, without end.
VIRTUAL_PROPERTIES = frozenset({"sizeHint", "minimumSizeHint"})

# Attributes with this prefix belong to the host's own stand-ins and stay out of every check.
HOST_PREFIX = "_host"

_connectSignal = QtCore.QObject.connect
_disconnectSignal = QtCore.QObject.disconnect
_findChildren = QtCore.QObject.findChildren
# Python refuses a base class's `__setattr__` unless it is the first one written in C above those
# replaced here: that of Shiboken.Object.
_setAttribute = QtCore.QObject.__base__.__setattr__
_installed: list[bool] = []


def install() -> None:
    """Change PySide6's classes in place; later calls do nothing."""
    if _installed:
        return
    _installed.append(True)
    for qtClass in qObjectClasses():
        giveProperties(qtClass)
        if "__setattr__" in vars(qtClass):
            qtClass.__setattr__ = setAttribute
        if "__getattribute__" in vars(qtClass):
            qtClass.__getattribute__ = attributeReader(vars(qtClass)["__getattribute__"])
    base = QtCore.QObject
    base.name = property(
        lambda self: self.objectName, lambda self, value: self.setObjectName(value)
    )
    base.className = lambda self: self.metaObject().className()
    base.delete = lambda self: self.deleteLater()
    base.findChildren = findChildren
    base.findChild = findChild
    base.__getattr__ = getDynamicProperty


def qObjectClasses() -> list[type]:
    """Every class of the Qt modules in use that has a meta-object."""
    return [
        value
        for module in QT_MODULES
        for value in publicNames(module).values()
        if isinstance(value, type) and issubclass(value, QtCore.QObject)
    ]


def publicNames(module: Any) -> dict[str, Any]:
    """All names of a PySide6 module; `vars` lacks the classes that nobody asked for yet."""
    return {name: getattr(module, name) for name in dir(module) if name[0] == "Q"}


def giveProperties(qtClass: type) -> None:
    """Put a Python property in the place of each getter that names a Qt property."""
    meta = qtClass.staticMetaObject
    for index in range(meta.propertyCount()):
        prop = meta.property(index)
        name = prop.name()
        declaredHere = index >= meta.propertyOffset()
        if name in VIRTUAL_PROPERTIES or not (declaredHere or name in vars(qtClass)):
            continue
        reader = vars(qtClass).get(name)
        if isinstance(reader, property):
            continue
        setattr(qtClass, name, qtProperty(name, reader, prop.isWritable()))


def qtProperty(name: str, reader: Any, writable: bool) -> property:
    """A Python property that reads by the C++ getter and writes by the C++ setter."""
    setterName = f"set{name[0].upper()}{name[1:]}"
    isMethod = isinstance(reader, types.MethodDescriptorType)  # not a static function

    def read(self: Any) -> Any:
        return reader(self) if isMethod else self.property(name)

    def write(self: Any, value: Any) -> None:
        if not writable:
            raise AttributeError(f"Property {name!r} of {self.className()} is read-only.")
        setter = getattr(self, setterName, None)
        if setter is not None:
            try:
                setter(value)
                return
            except TypeError:
                pass
        # PythonQt takes a number where the setter wants an enum or a string.
        kindly = setter is None or isinstance(value, (int, float, enum.Enum))
        if not (kindly and self.setProperty(name, value)):
            raise ValueError(
                f"Property {name!r} of {self.className()} does not accept "
                f"an object of type {type(value).__name__} ({value!r})."
            )

    if isinstance(reader, staticmethod):
        return PropertyAndStatic(read, write, reader.__func__)
    return property(read, write)


class PropertyAndStatic(property):
    """`timer.singleShot` is a property, `qt.QTimer.singleShot(...)` a static function."""

    def __init__(self, read: Any, write: Any, static: Any) -> None:
        super().__init__(read, write)
        self._static = static

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._static if instance is None else super().__get__(instance, owner)


def attributeReader(inC: Any) -> Callable[[Any, str], Any]:
    """PySide6 looks `connect` up in C, past the class; so it is found here before that."""

    def getAttribute(self: Any, name: str) -> Any:
        if name == "connect":
            return types.MethodType(connect, self)
        if name == "disconnect":
            return types.MethodType(disconnect, self)
        return inC(self, name)

    return getAttribute


def setAttribute(self: Any, name: str, value: Any) -> None:
    """Refuse attributes that the C++ class does not have, as PythonQt does."""
    # PySide6 itself keeps each signal of an object as an attribute.
    if name.startswith((HOST_PREFIX, "__")) or isinstance(value, QtCore.SignalInstance):
        _setAttribute(self, name, value)
        return
    current = inspect.getattr_static(type(self), name, None)
    if isinstance(current, property):
        _setAttribute(self, name, value)
    elif isinstance(current, QtCore.Property):  # of a stand-in
        if current.fset is None:
            raise AttributeError(f"Property {name!r} of {self.className()} is read-only.")
        current.fset(self, value)
    elif name.encode() in [bytes(known) for known in self.dynamicPropertyNames()]:
        self.setProperty(name, value)
    elif current is not None:
        raise AttributeError(f"{name!r} of {self.className()} is not a property: call it.")
    else:
        raise AttributeError(
            f"{self.className()} has no property {name!r}, "
            "and new attributes on C++ objects are not allowed."
        )


def getDynamicProperty(self: Any, name: str) -> Any:
    """A dynamic property is readable as an attribute; anything else is unknown."""
    if not name.startswith("_"):
        meta = QtCore.QObject.metaObject(self)
        known = [bytes(item).decode() for item in QtCore.QObject.dynamicPropertyNames(self)]
        if name in known:
            return QtCore.QObject.property(self, name)
        raise AttributeError(f"{meta.className()} has no attribute named {name!r}.")
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def connect(self: Any, *arguments: Any) -> Any:
    """Connect by C++ signature: `button.connect("clicked(bool)", self.onApply)`.

    Also (signature, receiver, slot), and what `button.clicked.connect(self.onApply)` makes of it:
    (sender, "2clicked()", target, ...).

    Raises:
        AttributeError: The class has no such signal. (PythonQt prints a message and returns
            False; a test wants to stop.)
        TypeError: The target is a `functools.partial` or cannot be called.
    """
    signature, callback = signalAndTarget(arguments)
    if isinstance(callback, functools.partial):
        raise TypeError("Connect a method or a lambda: PythonQt cannot call a functools.partial.")
    if not callable(callback):
        raise TypeError(f"The target of {signature!r} cannot be called: {callback!r}.")
    connection = _connectSignal(self, QtCore.SIGNAL(signalOf(self, signature)), relayTo(callback))
    connections = self.__dict__.setdefault("_hostConnections", [])
    connections.append((normalized(signature), callback, connection))
    return connection if isinstance(arguments[0], QtCore.QObject) else True


def disconnect(self: Any, *arguments: Any) -> bool:
    """Undo `connect`, in the same forms; a signature alone drops all its targets."""
    signature, callback = signalAndTarget(arguments)
    wanted = normalized(signature)
    connections = self.__dict__.get("_hostConnections", [])
    found = [entry for entry in connections if entry[0] == wanted and callback in (None, entry[1])]
    for entry in found:
        _disconnectSignal(entry[2])
        connections.remove(entry)
    return bool(found)


def signalAndTarget(arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Read the forms in which `connect` and `disconnect` are called."""
    if isinstance(arguments[0], QtCore.QObject):  # PySide6's own call; "2" marks a signal
        target = next((item for item in arguments[2:] if callable(item)), None)
        return arguments[1][1:], target
    if len(arguments) == 3:
        return arguments[0], getattr(arguments[1], arguments[2].split("(")[0])
    return arguments[0], arguments[1] if len(arguments) > 1 else None


def normalized(signature: str) -> str:
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def signalOf(sender: Any, signature: str) -> str:
    """The signature under which the signal is known to Qt's meta-object here."""
    wanted = normalized(signature)
    standIn = getattr(type(sender), "_hostSignatures", {}).get(wanted)
    if standIn is not None:
        wanted = standIn
    if sender.metaObject().indexOfSignal(wanted) < 0:
        raise AttributeError(f"{sender.className()} has no signal {signature!r}.")
    return wanted


def relayTo(callback: Callable[..., Any]) -> Callable[..., None]:
    """Call with as many of the signal's arguments as the target takes."""
    count = positionalCount(callback)

    def relay(*values: Any) -> None:
        callback(*values[:count])

    return relay


def positionalCount(callback: Callable[..., Any]) -> int | None:
    """How many arguments PythonQt passes: what a Python function takes, else all (None)."""
    function = getattr(callback, "__func__", callback)
    if (
        not isinstance(function, types.FunctionType)
        or function.__code__.co_flags & inspect.CO_VARARGS
    ):
        return None
    return function.__code__.co_argcount - (function is not callback)


def findChildren(
    self: Any, kind: Any = QtCore.QObject, name: str = "", **options: Any
) -> list[Any]:
    """Descendants by class or class name, and by object name where one is given."""
    if isinstance(kind, str):
        found = [
            child
            for child in _findChildren(self, QtCore.QObject, **options)
            if child.inherits(kind)
        ]
    else:
        found = _findChildren(self, kind, **options)
    return [child for child in found if not name or child.objectName == name]


def findChild(self: Any, kind: Any = QtCore.QObject, name: str = "") -> Any:
    """The first of `findChildren`, or None."""
    return next(iter(findChildren(self, kind, name)), None)
