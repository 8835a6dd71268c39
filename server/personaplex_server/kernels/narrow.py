"""Products with weights of few outputs, which fill no panel of `product`: those of convolutions near the samples.

There are many rows, and the weights stay in the nearest cache. The sums of a dozen rows, one vector each, are held in
registers through all inputs: the same for a row alone and among others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llvmlite import ir

from .build import NUMBER, NUMBERS, WHOLE, WHOLES, function, whole
from .weights import PLAN

if TYPE_CHECKING:
    from .build import Code, Value

_ROWS: Final = 12
_UNROLLED: Final = 4


def write(module: Value, lanes: int) -> None:
    """Write `narrow{lanes}` into a module, with the arguments of `product`; its panel is one vector wide.

    Args:
        module: Where to.
        lanes: Numbers in one vector; outputs at most.
    """
    arguments = [WHOLES, NUMBERS, NUMBERS, WHOLES, WHOLES, WHOLE, WHOLE, NUMBERS]
    tiles = {rows: _tile(module, f"narrow{lanes}_{rows}", rows, lanes) for rows in (1, _ROWS)}
    code, given = function(module, f"narrow{lanes}", arguments, lanes)
    plan, x, out, from_rows, to_rows, rows, add, _ = given
    most = code.sub(rows, code.srem(rows, whole(_ROWS)))
    for start, stop, count in ((whole(0), most, _ROWS), (most, rows, 1)):
        with code.loop(start, stop, count) as row:
            begins = code.at(from_rows, row.index), code.at(to_rows, row.index)
            code.call(tiles[count], [plan, x, out, *begins, add])
    code.ret_void()


def _tile(module: Value, name: str, rows: int, lanes: int) -> Value:
    """Write the product of `rows` rows."""
    arguments = [WHOLES, NUMBERS, NUMBERS, WHOLES, WHOLES, WHOLE]
    code, given = function(module, name, arguments, lanes, inner=True)
    plan, x, out, from_rows, to_rows, add = given

    def planned(what: str, kind: Value) -> Value:
        return code.inttoptr(code.load(code.at(plan, PLAN.index(what))), kind)

    places, lengths = planned("places", WHOLES), planned("lengths", WHOLES)
    starts = [code.at(x, code.load(code.at(from_rows, row))) for row in range(rows)]
    begin = [planned("weights", NUMBERS), *[code.same(0.0)] * rows]
    blocks = code.load(code.at(plan, PLAN.index("blocks")))
    with code.loop(whole(0), blocks, 1, begin) as block:
        weights, *sums = block.values
        length = code.load(code.at(lengths, block.index))
        place = code.load(code.at(places, block.index))
        inputs = [code.at(start, place) for start in starts]
        full = code.and_(length, whole(-_UNROLLED))
        with code.loop(whole(0), full, _UNROLLED, sums) as many:
            many.carry(_turns(code, weights, inputs, many.index, many.values, _UNROLLED))
        with code.loop(full, length, 1, many.values) as one:
            one.carry(_turns(code, weights, inputs, one.index, one.values, 1))
        block.carry([code.at(weights, code.mul(length, whole(lanes))), *one.values])
    outputs = code.load(code.at(plan, PLAN.index("outputs")))
    room = code.bitcast(code.alloca(ir.ArrayType(NUMBER, lanes)), NUMBERS)
    bias = code.load_vector(planned("bias", NUMBERS))
    adds = code.icmp_signed("!=", add, whole(0))
    fills = code.icmp_signed("==", outputs, whole(lanes))

    def placed(total: Value, there: Value) -> Value:
        # Chosen between two sums: outputs that are not written yet may hold anything.
        return code.select(adds, code.fadd(there, total), total)

    for row, total in enumerate(block.values[1:]):
        where, total = code.at(out, code.load(code.at(to_rows, row))), code.fadd(total, bias)
        with code.if_else(fills) as (all_lanes, some):
            with all_lanes:
                code.store_vector(placed(total, code.load_vector(where)), where)
            with some:
                code.store_vector(total, room)
                with code.loop(whole(0), outputs) as one:
                    to = code.at(where, one.index)
                    mine = code.load(code.at(room, one.index))
                    code.store(placed(mine, code.load(to)), to)
    code.ret_void()
    return code.function


def _turns(
    code: Code, weights: Value, inputs: list[Value], index: Value, sums: list[Value], count: int
) -> list[Value]:
    for turn in range(count):
        here = code.add(index, whole(turn))
        vector = code.load_vector(code.at(weights, code.mul(here, whole(code.lanes))))
        sums = [
            code.fma(code.splat(code.load(code.at(each, here))), vector, total)
            for each, total in zip(inputs, sums, strict=True)
        ]
    return sums
