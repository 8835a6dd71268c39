"""Products of a few rows with fixed weights, that read the weights once and at the speed of memory.

Weights lie in panels of two vectors of outputs, input by input, in blocks of inputs that stay in the nearest cache
while all rows pass. The sums of a few rows (`tile`) are held in registers. Inputs are found by tables: where each row
begins, and where each block of inputs lies from there; so the windows of a convolution need not be copied together.

Each output is the sum of its blocks' sums, each taken input by input: the same for a row alone and among others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir

from .build import BYTE, BYTES, NUMBER, NUMBERS, SHORT, WHOLE, WHOLES, Code, function, whole
from .weights import PLAN

if TYPE_CHECKING:
    from .build import Value

_UNROLLED: Final = 4
_AHEAD: Final = 1024
"""Weights are fetched so many numbers ahead of use."""
_ROWS_NEAR: Final = 96
"""Rows that pass one block of weights together."""


def rows_in_tile(lanes: int, registers: int) -> int:
    """Return how many rows' sums registers hold beside weights and input."""
    return max(1, (registers - 4) // 2)


def write(module: Value, lanes: int, registers: int, *, small: bool) -> None:
    """Write the product into a module, as `product` or `product8`.

    Its arguments: a plan (`PLAN`), inputs, outputs, tables of where each row of both begins, how many rows, and
    whether to add to the outputs.

    Args:
        module: Where to.
        lanes: Numbers in one vector.
        registers: Vectors the processor holds at once.
        small: Weights are of 8 bits, with a scale for each output.
    """
    most = rows_in_tile(lanes, registers)
    name = "product8" if small else "product"
    tiles = {
        (rows, edge): _tile(module, f"{name}_{rows}{'e' if edge else ''}", rows, lanes, small, edge)
        for rows in range(1, most + 1)
        for edge in (False, True)
    }
    panel = 2 * lanes
    arguments = [WHOLES, NUMBERS, NUMBERS, WHOLES, WHOLES, WHOLE, WHOLE]
    code, (plan, x, out, from_rows, to_rows, rows, add) = function(module, name, arguments, lanes)

    def planned(what: str, kind: Value | None = None) -> Value:
        value = code.load(code.at(plan, PLAN.index(what)))
        return value if kind is None else code.inttoptr(value, kind)

    weights = planned("weights", BYTES if small else NUMBERS)
    scale, bias = planned("scale", NUMBERS), planned("bias", NUMBERS)
    places, lengths = planned("places", WHOLES), planned("lengths", WHOLES)
    outputs = planned("outputs")
    nothing = code.alloca(ir.ArrayType(NUMBER, panel))
    nothing = code.bitcast(nothing, NUMBERS)
    for half in range(2):
        code.store_vector(code.same(0.0), code.at(nothing, half * lanes))
    padded = code.and_(code.add(outputs, whole(panel - 1)), whole(-panel))
    with code.loop(whole(0), planned("blocks"), carried=[weights]) as block:
        length = code.load(code.at(lengths, block.index))
        inputs = code.at(x, code.load(code.at(places, block.index)))
        first = code.icmp_signed("==", block.index, whole(0))
        fresh = code.and_(first, code.icmp_signed("==", add, whole(0)))
        with code.loop(whole(0), rows, _ROWS_NEAR) as near:
            stop = code.add(near.index, whole(_ROWS_NEAR))
            stop = code.select(code.icmp_signed("<", rows, stop), rows, stop)
            with code.loop(whole(0), outputs, panel) as column:
                j = column.index
                now = code.at(block.values[0], code.mul(j, length))
                to = code.at(out, j)
                left = code.sub(outputs, j)
                # The first block's sums meet the bias, or what is there already; those of the others what is there.
                more = code.select(first, code.at(bias, j), nothing)
                common = [now, code.at(scale, j), more, length, left, code.zext(fresh, WHOLE)]
                whole_panel = code.icmp_signed(">=", left, whole(panel))
                with code.if_else(whole_panel) as (inside, at_edge):
                    for branch, edge in ((inside, False), (at_edge, True)):
                        with branch:
                            chosen = [tiles[count, edge] for count in range(1, most + 1)]
                            _each_tile(
                                code,
                                (near.index, stop),
                                most,
                                chosen,
                                inputs,
                                to,
                                (from_rows, to_rows),
                                common,
                            )
        block.carry([code.at(block.values[0], code.mul(padded, length))])
    code.ret_void()


def _each_tile(
    code: Code,
    span: tuple[Value, Value],
    most: int,
    tiles: list[Value],
    inputs: Value,
    to: Value,
    tables: tuple[Value, Value],
    common: list[Value],
) -> None:
    """Call the tile of the right size for all rows of a span, in about equal shares."""
    start, stop = span
    before = code.block
    head, body, after = (code.append_basic_block(each) for each in ("tiles", "tile", "tiled"))
    code.branch(head)
    code.position_at_end(head)
    row = code.phi(WHOLE)
    row.add_incoming(start, before)
    code.cbranch(code.icmp_signed("<", row, stop), body, after)
    code.position_at_end(body)
    left = code.sub(stop, row)
    shares = code.udiv(code.add(left, whole(most - 1)), whole(most))
    size = code.udiv(code.sub(code.add(left, shares), whole(1)), shares)
    done = code.append_basic_block("done")
    choice = code.switch(size, done)
    for count, tile in enumerate(tiles, 1):
        case = code.append_basic_block("rows")
        choice.add_case(whole(count), case)
        code.position_at_end(case)
        code.call(tile, [inputs, to, *(code.at(table, row) for table in tables), *common])
        code.branch(done)
    code.position_at_end(done)
    row.add_incoming(code.add(row, size), done)
    code.branch(head)
    code.position_at_end(after)


def _tile(module: Value, name: str, rows: int, lanes: int, small: bool, edge: bool) -> Value:
    """Write the product of `rows` rows with one panel of one block."""
    kind = BYTES if small else NUMBERS
    arguments = [NUMBERS, NUMBERS, WHOLES, WHOLES, kind, NUMBERS, NUMBERS, WHOLE, WHOLE, WHOLE]
    code, given = function(module, name, arguments, lanes, inner=True)
    x, out, from_rows, to_rows, weights, scale, more, length, left, fresh = given
    panel = 2 * lanes
    starts = [code.at(x, code.load(code.at(from_rows, row))) for row in range(rows)]

    def panel_vectors(where: Value) -> list[Value]:
        if not small:
            return [code.load_vector(code.at(where, half * lanes)) for half in range(2)]
        bytes_type = ir.VectorType(BYTE, lanes)
        found = []
        for half in range(2):
            narrow = code.load(
                code.bitcast(code.at(where, half * lanes), ir.PointerType(bytes_type))
            )
            narrow.align = 1
            found.append(code.sitofp(code.sext(narrow, ir.VectorType(SHORT, lanes)), code.vector))
        return found

    def turns(index: Value, sums: list[Value], count: int) -> list[Value]:
        sums = list(sums)
        for turn in range(count):
            here = code.add(index, whole(turn))
            where = code.at(weights, code.mul(here, whole(panel)))
            if not small or turn == 0:
                code.prefetch(code.at(where, _AHEAD))
            vectors = panel_vectors(where)
            for row in range(rows):
                value = code.splat(code.load(code.at(starts[row], here)))
                for half in range(2):
                    at = 2 * row + half
                    sums[at] = code.fma(value, vectors[half], sums[at])
        return sums

    full = code.and_(length, whole(-_UNROLLED))
    with code.loop(whole(0), full, _UNROLLED, [code.same(0.0)] * (2 * rows)) as main:
        main.carry(turns(main.index, main.values, _UNROLLED))
    with code.loop(full, length, 1, main.values) as rest:
        rest.carry(turns(rest.index, rest.values, 1))
    masks = [_mask(code, code.sub(left, whole(half * lanes))) for half in range(2)]
    is_fresh = code.icmp_signed("!=", fresh, whole(0))
    for row in range(rows):
        to = code.at(out, code.load(code.at(to_rows, row)))
        for half in range(2):
            where, total = code.at(to, half * lanes), rest.values[2 * row + half]
            if small:
                factor = code.load_vector(code.at(scale, half * lanes))
                total = code.fmul(total, factor)
            total = code.fadd(total, code.load_vector(code.at(more, half * lanes)))
            # Chosen between two tiles' ends: outputs that are not written yet may hold anything.
            with code.if_else(is_fresh) as (begin, go_on):
                with begin:
                    _put(code, total, where, masks[half] if edge else None)
                with go_on:
                    there = _get(code, where, masks[half] if edge else None)
                    _put(code, code.fadd(there, total), where, masks[half] if edge else None)
    code.ret_void()
    return code.function


def _mask(code: Code, count: Value) -> Value:
    """Return a vector that tells which lanes are among the first `count`."""
    kind = ir.VectorType(SHORT, code.lanes)
    nothing = ir.Constant(kind, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(SHORT, code.lanes), [0] * code.lanes)
    first = code.insert_element(nothing, code.trunc(count, SHORT), ir.Constant(SHORT, 0))
    many = code.shuffle_vector(first, nothing, zeros)
    return code.icmp_signed("<", ir.Constant(kind, list(range(code.lanes))), many)


def _masked(code: Code, what: str, result: Any, given: list[Value]) -> Value:
    name = f"llvm.masked.{what}.v{code.lanes}f32.p0"
    found = code.module.globals.get(name)
    if found is None:
        found = ir.Function(
            code.module, ir.FunctionType(result, [each.type for each in given]), name
        )
    return code.call(found, given)


def _get(code: Code, where: Value, mask: Value | None) -> Value:
    if mask is None:
        return code.load_vector(where)
    at = code.bitcast(where, ir.PointerType(code.vector))
    given = [at, ir.Constant(SHORT, 4), mask, code.same(0.0)]
    return _masked(code, "load", code.vector, given)


def _put(code: Code, value: Value, where: Value, mask: Value | None) -> None:
    if mask is None:
        code.store_vector(value, where)
        return
    at = code.bitcast(where, ir.PointerType(code.vector))
    _masked(code, "store", ir.VoidType(), [value, at, ir.Constant(SHORT, 4), mask])
