"""Products of a few rows with fixed weights, that read the weights once and at the speed of memory.

Weights lie in panels of two vectors of outputs, input by input, in blocks of inputs that stay in the nearest cache
while all rows pass. The sums of a few rows (`tile`) are held in registers. Inputs are found by tables: where each row
begins, and where each block of inputs lies from there. A block of the rows is put together before it meets the weights:
rows that lie a page or a power of two apart would drive each other out of the nearest cache.

Each output is the sum of its blocks' sums, each taken input by input: the same for a row alone and among others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir

from .build import BYTE, BYTES, NUMBER, NUMBERS, SHORT, WHOLE, WHOLES, Code, function, whole
from .weights import APART, PLAN, ROWS_NEAR

if TYPE_CHECKING:
    from .build import Value

_NARROW: Final = 128
"""Outputs up to which putting inputs together would cost more than it saves."""
_UNROLLED: Final = 4
_LINE: Final = 64
"""Bytes that come from memory together."""
_MOST_PANELS: Final = 4
"""Panels that are read side by side at most; memory answers several sequences quicker than one."""


def rows_in_tile(lanes: int) -> int:
    """Return how many rows share a tile at most: enough for the arithmetic, few enough for their addresses."""
    return 6 if lanes > 4 else 8


def panels_in_tile(rows: int, registers: int) -> int:
    """Return how many panels the sums of `rows` rows leave room for."""
    sums = 12 if registers < 32 else 20
    return max(1, min(_MOST_PANELS, sums // (2 * rows)))


def write(module: Value, lanes: int, registers: int, *, small: bool) -> None:
    """Write the product into a module, as `product` or `product8`.

    Its arguments: a plan (`PLAN`), inputs, outputs, tables of where each row of both begins, how many rows, whether
    to add to the outputs, and room for `ROWS_NEAR` rows of `APART` numbers.

    Args:
        module: Where to.
        lanes: Numbers in one vector.
        registers: Vectors the processor holds at once.
        small: Weights are of 8 bits, with a scale for each output.
    """
    name = "product8" if small else "product"
    arguments = [WHOLES, NUMBERS, NUMBERS, WHOLES, WHOLES, WHOLE, WHOLE, NUMBERS]
    code, given = function(module, name, arguments, lanes)
    plan, x, out, from_rows, to_rows, rows, add, room = given
    with code.if_then(code.icmp_signed("<=", rows, whole(0))):
        # Where there are no rows there are no tables of them.
        code.ret_void()
    tiles = _Tiles(module, name, lanes, registers, small)
    panel = 2 * lanes

    def planned(what: str, kind: Value | None = None) -> Value:
        value = code.load(code.at(plan, PLAN.index(what)))
        return value if kind is None else code.inttoptr(value, kind)

    weights = planned("weights", BYTES if small else NUMBERS)
    scale, bias = planned("scale", NUMBERS), planned("bias", NUMBERS)
    places, lengths = planned("places", WHOLES), planned("lengths", WHOLES)
    outputs = planned("outputs")
    nothing = code.bitcast(code.alloca(ir.ArrayType(NUMBER, _MOST_PANELS * panel)), NUMBERS)
    for number in range(2 * _MOST_PANELS):
        code.store_vector(code.same(0.0), code.at(nothing, number * lanes))
    padded = code.and_(code.add(outputs, whole(panel - 1)), whole(-panel))
    apart = _apart(code, from_rows, rows)
    wide = code.icmp_signed(">", outputs, whole(_NARROW))
    together = code.or_(wide, code.icmp_signed("<", apart, whole(0)))
    # Spans of about equal size.
    span = _share(code, rows, ROWS_NEAR)
    with code.loop(whole(0), planned("blocks"), carried=[weights]) as block:
        length = code.load(code.at(lengths, block.index))
        inputs = code.at(x, code.load(code.at(places, block.index)))
        first = code.icmp_signed("==", block.index, whole(0))
        fresh = code.and_(first, code.icmp_signed("==", add, whole(0)))
        with code.loop(whole(0), rows, span) as near:
            left = code.sub(rows, near.index)
            count = code.select(code.icmp_signed("<", left, span), left, span)
            begins = code.at(from_rows, near.index)
            with code.if_then(together), code.loop(whole(0), count) as row:
                begin = code.at(inputs, code.load(code.at(begins, row.index)))
                _copy(code, begin, code.at(room, code.mul(row.index, whole(APART))), length)
            there = code.at(inputs, code.load(begins))
            work = _Work(
                code.select(together, room, there),
                code.select(together, whole(APART), apart),
                out,
                code.at(to_rows, near.index),
                block.values[0],
                scale,
                bias,
                nothing,
                length,
                outputs,
                first,
                fresh,
            )
            _columns(code, work, count, tiles)
        block.carry([code.at(block.values[0], code.mul(padded, length))])
    code.ret_void()


@dataclass(frozen=True, slots=True)
class _Work:
    """The values that describe one block of inputs of one span of rows."""

    x: Value
    apart: Value
    out: Value
    to_rows: Value
    weights: Value
    scale: Value
    bias: Value
    nothing: Value
    length: Value
    outputs: Value
    first: Value
    fresh: Value

    def call(self, code: Code, tile: Value, row: Value, column: Value, ahead: Value) -> None:
        """Call a tile for the rows from `row` and the outputs from `column`."""
        now = code.at(self.weights, code.mul(column, self.length))
        # The first block's sums meet the bias, or what is there already; those of the others what is there.
        more = code.select(self.first, code.at(self.bias, column), self.nothing)
        given = [
            code.at(self.x, code.mul(row, self.apart)),
            self.apart,
            code.at(self.out, column),
            code.at(self.to_rows, row),
            now,
            ahead,
            code.at(self.scale, column),
            more,
            self.length,
            code.sub(self.outputs, column),
            code.zext(self.fresh, WHOLE),
        ]
        code.call(tile, given)


class _Tiles:
    """The products of a few rows with one panel or some, each a function.

    Args:
        module: Where they are written.
        name: What their names begin with.
        lanes: Numbers in one vector.
        registers: Vectors the processor holds at once.
        small: Weights are of 8 bits.

    Attributes:
        most: Rows at most.
        wide: By number of rows, panels at once and a tile for so many, where that is more than one.
        alone: Tiles for one panel by number of rows, where no others share it. The next panel is fetched meanwhile.
        shared: The same, where others do; half of the next panel is fetched.
        lines: Into how many sequences of lines a panel falls that are fetched at once.
    """

    def __init__(self, module: Value, name: str, lanes: int, registers: int, small: bool) -> None:
        self.most = most = rows_in_tile(lanes)
        panel_bytes = 2 * lanes * (1 if small else 4)
        self.lines = max(1, panel_bytes * _UNROLLED // _LINE)

        def tile(rows: int, panels: int, lines: int) -> Value:
            return _tile(
                module, f"{name}_{rows}_{panels}_{lines}", rows, panels, lines, lanes, small
            )

        counts = {rows: panels_in_tile(rows, registers) for rows in range(1, most + 1)}
        # To unpack weights of 8 bits takes longer than to fetch them, and registers, with several rows.
        self.wide = {
            rows: (many, tile(rows, many, 0))
            for rows, many in counts.items()
            if many > 1 and (rows == 1 or not small)
        }
        self.alone = {rows: tile(rows, 1, self.lines) for rows in counts}
        half = max(1, self.lines // 2)
        # Nine rows are five and four.
        least = (most + 1) // 2
        self.shared = {
            rows: self.alone[rows] if half == self.lines else tile(rows, 1, half)
            for rows in counts
            if rows >= least
        }


def _share(code: Code, count: Value, most: int) -> Value:
    """Return how many of `count` things the greatest of equal shares holds, `most` at most."""
    shares = code.udiv(code.add(count, whole(most - 1)), whole(most))
    return code.udiv(code.sub(code.add(count, shares), whole(1)), shares)


def _columns(code: Code, work: _Work, count: Value, tiles: _Tiles) -> None:
    """Write the products of one block of inputs of `count` rows with all panels."""
    panel = 2 * code.lanes
    before = code.block
    after = code.append_basic_block("single")
    choice = code.switch(count, after)
    begins = [(whole(0), before)]
    for rows, (many, tile) in tiles.wide.items():
        case = code.append_basic_block("wide")
        choice.add_case(whole(rows), case)
        code.position_at_end(case)
        stop = code.sub(work.outputs, whole(many * panel - 1))
        with code.loop(whole(0), stop, many * panel) as column:
            work.call(code, tile, whole(0), column.index, code.bitcast(work.weights, BYTES))
        begins.append((column.index, code.block))
        code.branch(after)
    code.position_at_end(after)
    begin = code.phi(WHOLE)
    for value, where in begins:
        begin.add_incoming(value, where)
    with code.loop(begin, work.outputs, panel) as column:
        _each_tile(code, work, count, column.index, tiles)


def _each_tile(code: Code, work: _Work, rows: Value, column: Value, tiles: _Tiles) -> None:
    """Call the tile of the right size for all rows and one panel, in about equal shares."""
    panel = 2 * code.lanes
    after_this = code.mul(code.add(column, whole(panel)), work.length)
    next_panel = code.bitcast(code.at(work.weights, after_this), BYTES)
    only = code.icmp_signed("<=", rows, whole(tiles.most))
    before = code.block
    head, body, after = (code.append_basic_block(each) for each in ("tiles", "tile", "tiled"))
    code.branch(head)
    code.position_at_end(head)
    row, ahead = code.phi(WHOLE), code.phi(BYTES)
    row.add_incoming(whole(0), before)
    ahead.add_incoming(next_panel, before)
    code.cbranch(code.icmp_signed("<", row, rows), body, after)
    code.position_at_end(body)
    size = _share(code, code.sub(rows, row), tiles.most)
    alone, shared, done = (code.append_basic_block(each) for each in ("alone", "shared", "done"))
    code.cbranch(only, alone, shared)
    for which, branch in ((tiles.alone, alone), (tiles.shared, shared)):
        code.position_at_end(branch)
        choice = code.switch(size, done)
        for count, tile in which.items():
            case = code.append_basic_block("rows")
            choice.add_case(whole(count), case)
            code.position_at_end(case)
            work.call(code, tile, row, column, ahead)
            code.branch(done)
    code.position_at_end(done)
    # The second tile fetches the next panel's other half; what those after it fetch is there.
    other = code.at(next_panel, code.mul(work.length, whole(max(1, tiles.lines // 2) * 16)))
    row.add_incoming(code.add(row, size), done)
    ahead.add_incoming(other, done)
    code.branch(head)
    code.position_at_end(after)


def _apart(code: Code, table: Value, count: Value) -> Value:
    """Return how far things lie from each other whose places a table tells, or -1 if not equally far."""
    some = code.icmp_signed(">", count, whole(1))
    second = code.load(code.at(table, code.zext(some, WHOLE)))
    apart = code.sub(second, code.load(table))
    with code.loop(whole(1), count, carried=[apart]) as each:
        here = code.load(code.at(table, each.index))
        before = code.load(code.at(table, each.index, -1))
        same = code.icmp_signed("==", code.sub(here, before), apart)
        each.carry([code.select(same, each.values[0], whole(-1))])
    return each.values[0]


def _copy(code: Code, begin: Value, to: Value, length: Value) -> None:
    """Copy numbers."""
    full = code.and_(length, whole(-code.lanes))
    with code.loop(whole(0), full, code.lanes) as many:
        code.store_vector(code.load_vector(code.at(begin, many.index)), code.at(to, many.index))
    with code.loop(full, length) as one:
        code.store(code.load(code.at(begin, one.index)), code.at(to, one.index))


def _tile(
    module: Value, name: str, rows: int, panels: int, lines: int, lanes: int, small: bool
) -> Value:
    """Write the product of `rows` rows with some panels of one block, fetching `lines` sequences of lines ahead."""
    kind = BYTES if small else NUMBERS
    arguments = [
        NUMBERS,
        WHOLE,
        NUMBERS,
        WHOLES,
        kind,
        BYTES,
        NUMBERS,
        NUMBERS,
        WHOLE,
        WHOLE,
        WHOLE,
    ]
    code, given = function(module, name, arguments, lanes, inner=True)
    x, apart_rows, out, to_rows, weights, ahead, scale, more, length, left, fresh = given
    panel, vectors = 2 * lanes, 2 * panels
    starts = [code.at(x, code.mul(apart_rows, whole(row))) for row in range(rows)]
    panel_starts = [
        code.at(weights, code.mul(length, whole(number * panel))) for number in range(panels)
    ]
    # The sums of earlier blocks lie far apart; the processor cannot guess where.
    for row in range(rows):
        code.prefetch(code.at(out, code.load(code.at(to_rows, row))))
    # A turn uses as many lines of a panel as there are sequences, each as long as there are turns.
    apart = code.mul(length, whole(_LINE // _UNROLLED))
    fetched = [code.at(ahead, code.mul(apart, whole(number))) for number in range(lines)]

    def weight_vector(number: int, here: Value) -> Value:
        where = code.at(panel_starts[number // 2], code.mul(here, whole(panel)))
        where = code.at(where, number % 2 * lanes)
        if not small:
            return code.load_vector(where)
        narrow = code.load(code.bitcast(where, ir.PointerType(ir.VectorType(BYTE, lanes))))
        narrow.align = 1
        return code.sitofp(code.sext(narrow, ir.VectorType(SHORT, lanes)), code.vector)

    def turns(index: Value, sums: list[Value], count: int) -> list[Value]:
        sums = list(sums)
        for turn in range(count):
            here = code.add(index, whole(turn))
            if count > 1:
                for sequence in fetched[turn * lines // count : (turn + 1) * lines // count]:
                    code.prefetch(code.at(sequence, code.mul(index, whole(_LINE // _UNROLLED))))
            # Either the panel's vectors wait in registers for the rows, or the rows' values for the vectors.
            if panels == 1:
                held = [weight_vector(number, here) for number in range(vectors)]
                for row, start in enumerate(starts):
                    value = code.splat(code.load(code.at(start, here)))
                    for number, vector in enumerate(held):
                        at = vectors * row + number
                        sums[at] = code.fma(value, vector, sums[at])
                continue
            values = [code.splat(code.load(code.at(start, here))) for start in starts]
            for number in range(vectors):
                vector = weight_vector(number, here)
                for row, value in enumerate(values):
                    at = vectors * row + number
                    sums[at] = code.fma(value, vector, sums[at])
        return sums

    full = code.and_(length, whole(-_UNROLLED))
    with code.loop(whole(0), full, _UNROLLED, [code.same(0.0)] * (vectors * rows)) as main:
        main.carry(turns(main.index, main.values, _UNROLLED))
    with code.loop(full, length, 1, main.values) as rest:
        rest.carry(turns(rest.index, rest.values, 1))
    masks = [_mask(code, code.sub(left, whole(half * lanes))) for half in range(2)]

    def end(*, is_fresh: bool, edge: bool) -> None:
        for row in range(rows):
            to = code.at(out, code.load(code.at(to_rows, row)))
            for number in range(vectors):
                where, total = code.at(to, number * lanes), rest.values[vectors * row + number]
                mask = masks[number] if edge else None
                if small:
                    total = code.fmul(total, code.load_vector(code.at(scale, number * lanes)))
                total = code.fadd(total, code.load_vector(code.at(more, number * lanes)))
                if not is_fresh:
                    total = code.fadd(_get(code, where, mask), total)
                _put(code, total, where, mask)

    def begin_or_go_on(*, edge: bool) -> None:
        # Outputs that are not written yet may hold anything.
        with code.if_else(code.icmp_signed("!=", fresh, whole(0))) as (begin, go_on):
            with begin:
                end(is_fresh=True, edge=edge)
            with go_on:
                end(is_fresh=False, edge=edge)

    if panels > 1:
        begin_or_go_on(edge=False)
    else:
        with code.if_else(code.icmp_signed("<", left, whole(panel))) as (at_edge, inside):
            with at_edge:
                begin_or_go_on(edge=True)
            with inside:
                begin_or_go_on(edge=False)
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
