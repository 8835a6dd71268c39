"""Calls that are written down once and done again in one go.

A step of the language model is some hundred short calls; to make each from Python takes longer than the work itself.
What `Replay` is given to do is therefore done once with every call noted down, and from then on by one call that goes
through the list. As with a GPU's graphs, all of it must lie in these functions: nothing else is done again.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .build import Value

T = TypeVar("T")
NORM_EPSILON: Final = 1e-8
"""Keeps the norm of nothing from dividing by nought."""
SAMPLE_BLOCK: Final = 64
"""Tokens in a block of `sampling`."""
_LINE: Final = 16
"""Words of one call: where the function is, and its arguments."""


class _Now(threading.local):
    """What a thread works with: the calls that it writes down, and room for what lasts no longer than a call."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[int], tuple[Any, ...]]] | None = None
        self.room = torch.empty(0)


_now = _Now()


def room(count: int) -> Tensor:
    """Return memory for `count` numbers, which the next call of any function may overwrite."""
    if _now.room.numel() < count:
        _now.room = torch.empty(count)
    return _now.room


def write(module: Value, lanes: int) -> None:
    """Write `run(lines, count)` into a module, which does all calls of a list."""
    from llvmlite import ir

    from .build import LISTED, WHOLE, WHOLES, function, whole

    code, (lines, count) = function(module, "run", [WHOLES, WHOLE], lanes)
    with code.loop(whole(0), count) as each:
        line = code.at(lines, code.mul(each.index, whole(_LINE)))
        called = code.inttoptr(code.load(line), ir.PointerType(LISTED))
        code.call(called, [code.at(line, 1)])
    code.ret_void()


class Function:
    """One compiled function; it works without Python's lock.

    Args:
        address: Where it is.
        listed: Where the one is that takes its arguments in a list.
        count: How many arguments it has.
    """

    __slots__ = ("_call", "_listed")

    def __init__(self, address: int, listed: int, count: int) -> None:
        self._call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(address)
        self._listed = listed

    def __call__(self, *given: Tensor | int | None) -> None:
        """Call it with tensors, of which it gets the address, and whole numbers."""
        words = [each.data_ptr() if isinstance(each, Tensor) else each or 0 for each in given]
        if _now.calls is not None:
            _now.calls.append((self._listed, words, given))
        self._call(*words)


class Functions(Protocol):
    """The compiled functions; `machine.Kernels` are some, and tell what each does."""

    lanes: int
    product: Function
    product8: Function
    narrow: dict[int, Function]
    embed: Function
    norm: Function
    gate: Function
    elu: Function
    gelu: Function
    extend: Function
    extend_elu: Function
    draw: Function
    run: Function


class Replay(Generic[T]):
    """Work on tensors that is written down for as many rows as there are, and again when there are others.

    Args:
        run: The function that does all calls of a list.
        work: Makes tensors of tensors, by the functions of this package and views alone. Rows come first.
    """

    def __init__(self, run: Function, work: Callable[..., T]) -> None:
        self._run, self._work = run, work
        self._given: list[Tensor] = []
        self._made: T
        self._kept: list[Any] = []
        self._lines = torch.empty(0, dtype=torch.int64)

    def __call__(self, *given: Tensor) -> T:
        """Return what `work` makes of `given`, in tensors that the next call overwrites."""
        if self._given and len(self._given[0]) == len(given[0]):
            for mine, new in zip(self._given, given, strict=True):
                mine.copy_(new)
            self._run(self._lines, len(self._lines))
            return self._made
        self._given = []
        fixed = [each.clone() for each in given]
        calls: list[tuple[int, list[int], tuple[Any, ...]]] = []
        # Another thread may do all of this again: it does so in a room that is this one's own.
        _now.calls, _now.room = calls, torch.empty(0)
        try:
            self._made = self._work(*fixed)
        finally:
            _now.calls, _now.room = None, torch.empty(0)
        lines = [[listed, *words] for listed, words, _ in calls]
        self._lines = torch.tensor([line + [0] * (_LINE - len(line)) for line in lines])
        self._given = fixed
        # What is read and written must stay where it is.
        self._kept = [kept for _, _, kept in calls]
        return self._made
