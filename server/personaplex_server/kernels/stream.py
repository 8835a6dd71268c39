"""What a streaming convolution does with its input: put it behind what came before, and remember its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .build import BYTE, BYTES, NUMBERS, WHOLE, function, whole
from .pointwise import each, elu

if TYPE_CHECKING:
    from collections.abc import Callable

    from .build import Code, Value


def write(module: Value, lanes: int) -> None:
    """Write `extend`, and `extend_elu` that takes the input's ELU, into a module.

    Their arguments, pointers to float32 but for `active`:

        x: Input, [rows, fresh].
        past: What is remembered, [rows, kept].
        joined: Both, [rows, kept + fresh]; written.
        active: One byte a row; where it is 0 the row remembers what it did. Null if all take part.
        rows, fresh, kept.

    Args:
        module: Where to.
        lanes: Numbers in one vector.
    """
    _extend(module, "extend", lanes, lambda _, value: value)
    _extend(module, "extend_elu", lanes, elu)


def _extend(module: Value, name: str, lanes: int, work: Callable[[Code, Value], Value]) -> None:
    arguments = [NUMBERS] * 3 + [BYTES] + [WHOLE] * 3
    code, given = function(module, name, arguments, lanes)
    x, past, joined, active, rows, fresh, kept = given
    all_of_them = code.icmp_signed("==", code.ptrtoint(active, WHOLE), whole(0))
    yes = code.alloca(BYTE)
    code.store(BYTE(1), yes)

    def copy(count: Value, source: Value, target: Value) -> None:
        each(code, count, lambda _, get: get(source), target)

    with code.loop(whole(0), rows) as row:
        mine = code.at(x, code.mul(row.index, fresh))
        before = code.at(past, code.mul(row.index, kept))
        to = code.at(joined, code.mul(row.index, code.add(kept, fresh)))
        copy(kept, before, to)

        def worked(index: Value, get: Callable[..., Value], mine: Value = mine) -> Value:
            return work(code, get(mine))

        each(code, fresh, worked, code.at(to, kept))
        here = code.load(code.select(all_of_them, yes, code.at(active, row.index)))
        with code.if_then(code.icmp_signed("!=", here, BYTE(0))):
            copy(kept, code.at(to, fresh), before)
    code.ret_void()
