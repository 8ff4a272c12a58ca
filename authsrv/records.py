"""`@dataclass(frozen=True, slots=True)` that a server can afford hundreds of times.

The standard library's compiles seven methods for every class; for 400 classes that was a third of a start. Here the
methods that do not depend on the fields are shared by all classes, and `__init__` is compiled when it is first asked
for. The type checker sees the standard library's. `replace`, `fields` and `asdict` of `dataclasses` work alike.
"""

import dataclasses
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - given on
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """A class of values: compared and hashed by its fields, never changed.

        Raises TypeError for any other class; those are made by the standard library.
        """
        if not (frozen and slots):
            raise TypeError("a record is frozen and has slots")
        return _record


def _record(plain: type) -> type:
    # Without a text, `dataclasses` would write the signature of the class there, which takes longer than all the rest.
    plain.__doc__ = plain.__doc__ or plain.__name__
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(plain)
    for name, method in _methods(made).items():
        if name not in vars(plain):
            setattr(made, name, method)
    return made


class _Init:
    """Stands for `__init__` until somebody asks for it, to make an object or to read its signature."""

    __slots__ = ("_made",)

    def __init__(self, made: type) -> None:
        self._made = made

    def __get__(self, instance: object, owner: type) -> Callable[..., None]:
        init = _init(self._made)
        self._made.__init__ = init  # type: ignore[misc]  # from now on it is found instead of this
        return init.__get__(instance, owner)


def _methods(made: type) -> dict[str, Any]:
    fields = dataclasses.fields(made)
    shown = [field.name for field in fields if field.repr]
    values = _values([field.name for field in fields if field.compare])

    def text(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    return {
        "__init__": _Init(made),
        "__repr__": text,
        "__eq__": equal,
        "__hash__": hashed,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__setstate__": _restore,
    }


def _values(names: list[str]) -> Callable[[object], object]:
    return attrgetter(*names) if names else lambda _: ()


def _refuse(_: object, name: str, *__: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _restore(self: object, state: tuple[None, dict[str, Any]]) -> None:
    """What `copy` and `pickle` fill a new object with."""
    for name, value in state[1].items():
        object.__setattr__(self, name, value)


def _init(made: type) -> FunctionType:
    """`__init__`, which fills each field by the slot's own descriptor: no other way past `_refuse` is as fast."""
    fields = dataclasses.fields(made)
    names: dict[str, Any] = {"_unset": dataclasses.MISSING}
    for field in fields:
        names[f"_set_{field.name}"] = getattr(made, field.name).__set__
        names[f"_default_{field.name}"] = field.default
        names[f"_make_{field.name}"] = field.default_factory
    parameters = ", ".join(["self", *_parameters(fields)])
    body = "\n".join(f" _set_{field.name}(self, {_value(field)})" for field in fields) or " pass"
    exec(f"def __init__({parameters}):\n{body}", names)  # noqa: S102 - only names of fields get in
    init: FunctionType = names["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in fields}
    return init


def _parameters(fields: tuple[dataclasses.Field[Any], ...]) -> Iterator[str]:
    for field in fields:
        if field.default is not dataclasses.MISSING:
            yield f"{field.name}=_default_{field.name}"
        elif field.default_factory is not dataclasses.MISSING:
            yield f"{field.name}=_unset"
        else:
            yield field.name


def _value(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is dataclasses.MISSING:
        return field.name
    return f"_make_{field.name}() if {field.name} is _unset else {field.name}"
