"""Read pickles of PyTorch that hold tensors, numbers and text, without Python's unpickler.

A pickle is a program for a small machine with a stack. This machine knows the steps that make plain
values, and a short list of names, none of which is ever looked up: what PyTorch would call to
make a tensor gives a `View` here. Any other name, and any other step, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.state_dict.names import CALLS, DAMAGED, UNPICKLE, Name, known, set_items
from goodnet.formats.state_dict.views import STORAGES, UNTYPED, Storage


@dataclass(frozen=True, slots=True)
class Pickle:
    """What one pickle holds.

    Attributes:
        value: Of None, bool, int, float, str, bytes, tuple, list, dict, `View` and `Name`; a list
            or dictionary may hold itself.
        end: Where it ends.
        storages: Those it names, by key.
    """

    value: Any
    end: int
    storages: Mapping[str, Storage]


def load(data: bytes | memoryview, start: int = 0) -> Pickle:
    """Read one pickle.

    Args:
        data: The bytes it lies in.
        start: Where it begins.

    Raises:
        UnsafeInput: If it asks for anything else to be imported, made or called.
        InvalidInput: If it is damaged.
        OverBudget: If it takes more steps than the budget allows.
    """
    machine = _Machine(memoryview(data), start)
    try:
        return Pickle(machine.run(), machine.position, machine.storages)
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise InvalidInput(DAMAGED) from error


@dataclass(slots=True)
class _Machine:
    """The stack, what was put aside, and the place in the data."""

    data: memoryview
    position: int
    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)
    copied: int = 0

    def run(self) -> Any:
        for _ in range(budgets.PICKLE_STEPS):
            code = self.take(1)[0]
            if code == _STOP:
                (value,) = self.stack
                return value
            step = _STEPS.get(code)
            if step is None:
                _refuse_step(code)
            step(self)
        raise OverBudget(f"a pickle may take at most {budgets.PICKLE_STEPS:,} steps")

    # -- reading -----------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        end = self.position + count
        if not 0 <= count <= len(self.data) - self.position:
            raise InvalidInput(DAMAGED)
        found = self.data[self.position : end]
        self.position = end
        return found

    def number(self, form: str) -> Any:
        """The next number, as `struct` names it."""
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return found

    def line(self) -> str:
        """The rest of the line."""
        ahead = bytes(self.data[self.position : self.position + budgets.PICKLE_LINE])
        length = ahead.find(b"\n")
        if length < 0:
            raise InvalidInput(DAMAGED)
        self.position += length + 1
        return ahead[:length].decode()

    # -- the stack ---------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def above_mark(self) -> list[Any]:
        """What lies above the last mark, taken away with the mark."""
        found, self.stack = self.stack, self.below.pop()
        return found

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        set_items(self.stack[-1], pairs)

    def extend(self, values: list[Any]) -> None:
        """Put values at the end of the list on top."""
        target = self.stack[-1]
        if type(target) is not list:
            raise InvalidInput(DAMAGED)
        target.extend(values)


def _call(machine: _Machine) -> None:
    arguments, what = machine.stack.pop(), machine.stack.pop()
    make = CALLS.get((what.module, what.name)) if isinstance(what, Name) else None
    if make is None or type(arguments) is not tuple:
        raise UnsafeInput(f"the file asks for something to be called, {UNPICKLE}")
    machine.copied += sum(len(given) for given in arguments if isinstance(given, list | tuple))
    if machine.copied > budgets.PICKLE_STEPS:
        raise OverBudget("a pickle copies its lists too often")
    found = make(*arguments)
    if found is None:
        raise InvalidInput(DAMAGED)
    machine.push(found)


def _build(machine: _Machine) -> None:
    """What PyTorch notes beside the entries of a state_dict; passed over."""
    machine.stack.pop()
    if type(machine.stack[-1]) is not dict:
        raise UnsafeInput(f"the file asks for the state of an object to be set, {UNPICKLE}")


# Kind, type, key, device and count; in files without an archive also what it is a part of.
_STORAGE_FIELDS = (5, 6)


def _persistent(machine: _Machine) -> None:
    """A row of numbers, by the key under which the file holds it."""
    given = machine.stack.pop()
    if type(given) is not tuple or len(given) not in _STORAGE_FIELDS:
        raise InvalidInput(DAMAGED)
    kind, named, key, _, count, *view_of = given
    known = isinstance(named, Name) and named.name in (*STORAGES, UNTYPED)
    if kind != "storage" or not known or type(key) is not str or type(count) is not int:
        raise InvalidInput(DAMAGED)
    if count < 0 or any(part is not None for part in view_of):
        raise InvalidInput("the file has storages that are parts of others, which are not read")
    storage = Storage(key, STORAGES.get(named.name, "U8"), count)
    if machine.storages.setdefault(key, storage) != storage:
        raise InvalidInput("the file says two things of the same numbers")
    machine.push(storage)


def _refuse_step(code: int) -> NoReturn:
    if code in _MAKES_OBJECTS:
        raise UnsafeInput(f"the file asks for an object of a class to be made, {UNPICKLE}")
    raise InvalidInput(DAMAGED)


# -- the steps, by their codes as in Python's module pickletools -------------------------------

_STOP = ord(".")
# INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, EXT2, EXT4, PERSID, and those of buffers outside.
_MAKES_OBJECTS = frozenset(b"io\x81\x92\x82\x83\x84P\x96\x97\x98")


def _whole(data: memoryview) -> int:
    if len(data) > budgets.PICKLE_INTEGER_BYTES:
        raise OverBudget(
            f"a whole number in a pickle may have at most {budgets.PICKLE_INTEGER_BYTES} bytes"
        )
    return int.from_bytes(data, "little", signed=True)


def _decimal(text: str) -> int:
    digits = text.removesuffix("L")
    if len(digits) > 2 * budgets.PICKLE_INTEGER_BYTES:
        raise OverBudget("a whole number in a pickle has too many digits")
    return int(digits)


def _memoize(machine: _Machine, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


def _pack(machine: _Machine, count: int) -> None:
    parts = machine.stack[len(machine.stack) - count :]
    if len(parts) != count:
        raise InvalidInput(DAMAGED)
    del machine.stack[len(machine.stack) - count :]
    machine.push(tuple(parts))


def _mark(machine: _Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _drop(machine: _Machine) -> None:
    machine.above_mark()


def _marked_tuple(machine: _Machine) -> None:
    values = machine.above_mark()
    machine.push(tuple(values))


def _marked_list(machine: _Machine) -> None:
    values = machine.above_mark()
    machine.push(values)


def _marked_dict(machine: _Machine) -> None:
    values = machine.above_mark()
    machine.push({})
    machine.set_items(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items([key, value])


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    machine.extend([value])


def _set_items(machine: _Machine) -> None:
    values = machine.above_mark()
    machine.set_items(values)


def _appends(machine: _Machine) -> None:
    values = machine.above_mark()
    machine.extend(values)


def _global(machine: _Machine) -> None:
    module = machine.line()
    machine.push(known(module, machine.line()))


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise InvalidInput(DAMAGED)
    machine.push(known(module, name))


def _integer_line(machine: _Machine) -> None:
    text = machine.line()
    machine.push({"00": False, "01": True}.get(text, text and _decimal(text)))


def _sized(form: str, read: Callable[[memoryview], Any]) -> Callable[[_Machine], None]:
    """A step that pushes what follows its own length."""
    return lambda machine: machine.push(read(machine.take(machine.number(form))))


def _number(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(form))


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _get(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.memo[machine.number(form)])


def _put(form: str) -> Callable[[_Machine], None]:
    return lambda machine: _memoize(machine, machine.number(form))


def _text(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


_STEPS: Final[Mapping[int, Callable[[_Machine], None]]] = {
    0x80: lambda m: m.number("B"),  # PROTO
    0x95: lambda m: m.number("<Q"),  # FRAME
    ord("("): _mark,
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): _drop,
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("I"): _integer_line,
    ord("J"): _number("<i"),
    ord("K"): _number("B"),
    ord("M"): _number("<H"),
    ord("L"): lambda m: m.push(_decimal(m.line())),
    0x8A: _sized("B", _whole),  # LONG1
    0x8B: _sized("<i", _whole),  # LONG4
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): _number(">d"),
    ord("T"): _sized("<i", _text),
    ord("U"): _sized("B", _text),
    ord("V"): lambda m: m.push(m.line().encode().decode("raw-unicode-escape")),
    ord("X"): _sized("<I", _text),
    0x8C: _sized("B", _text),
    0x8D: _sized("<Q", _text),
    ord("B"): _sized("<I", bytes),
    ord("C"): _sized("B", bytes),
    0x8E: _sized("<Q", bytes),
    ord(")"): _constant(()),
    ord("t"): _marked_tuple,
    0x85: lambda m: _pack(m, 1),
    0x86: lambda m: _pack(m, 2),
    0x87: lambda m: _pack(m, 3),
    ord("]"): lambda m: m.push([]),
    ord("l"): _marked_list,
    ord("a"): _append,
    ord("e"): _appends,
    ord("}"): lambda m: m.push({}),
    ord("d"): _marked_dict,
    ord("s"): _set_item,
    ord("u"): _set_items,
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _call,
    ord("b"): _build,
    ord("Q"): _persistent,
    ord("g"): lambda m: m.push(m.memo[_decimal(m.line())]),
    ord("h"): _get("B"),
    ord("j"): _get("<I"),
    ord("p"): lambda m: _memoize(m, _decimal(m.line())),
    ord("q"): _put("B"),
    ord("r"): _put("<I"),
    0x94: lambda m: _memoize(m, len(m.memo)),
}
