"""One step of attention over what each row remembers: turn, remember, look, all in one pass.

A ring of `window` slots holds the keys and values of each row and head; position p lies in slot p % window. Each row
looks at its own positions and no further, so that what it sees does not depend on how far the others are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llvmlite import ir

from .build import NUMBER, NUMBERS, SHORT, WHOLE, WHOLES, Code, function, whole

if TYPE_CHECKING:
    from .build import Value

LANES: Final = 8
"""Slots whose scores are made at once."""
STREAMS: Final = 2
"""Stretches of a ring that are read side by side: more than one gets more out of memory."""


def write(module: Value, width: int) -> None:
    """Write `attend{width}` into a module.

    Its arguments, all pointers to float32 but for positions and counts, which are 64-bit wholes:

        joint: Query, key and value of each new position, [rows, count, 3, heads, width].
        keys, values: [rows, heads, window, width].
        turns: Cosine and sine of each pair's angle, [rows, count, width / 2, 2], or null.
        positions: The first new position of each row.
        scores: Room for `window` + 8 numbers.
        out: [rows, count, heads, width].
        rows, count, heads, window.

    Args:
        module: Where to.
        width: Of a head; a multiple of 8.
    """
    arguments = [NUMBERS] * 4 + [WHOLES, NUMBERS, NUMBERS] + [WHOLE] * 4
    code, given = function(module, f"attend{width}", arguments, LANES)
    joint, keys, values, turns, positions, scores, out, rows, count, heads, window = given
    line = code.mul(heads, whole(width))
    ring = code.mul(window, whole(width))
    turned = code.icmp_signed("!=", code.ptrtoint(turns, WHOLE), whole(0))
    with code.loop(whole(0), rows) as row:
        start = code.load(code.at(positions, row.index))
        stop = code.add(start, count)
        seen = code.select(code.icmp_signed("<", stop, window), stop, window)
        first = code.mul(row.index, count)
        with code.loop(whole(0), heads) as head:
            lane = code.mul(code.add(code.mul(row.index, heads), head.index), ring)
            mine = code.mul(head.index, whole(width))
            my_keys, my_values = code.at(keys, lane), code.at(values, lane)
            with code.loop(whole(0), count) as new:
                at = code.add(first, new.index)
                query = code.at(joint, code.mul(code.mul(at, line), whole(3)), mine)
                key, value = code.at(query, line), code.at(query, line, line)
                slot = code.mul(code.srem(code.add(start, new.index), window), whole(width))
                turn = code.at(turns, code.mul(at, whole(width)))
                with code.if_else(turned) as (yes, no):
                    with yes:
                        _turn(code, query, turn, query, width)
                        _turn(code, key, turn, code.at(my_keys, slot), width)
                    with no:
                        _copy(code, key, code.at(my_keys, slot), width)
                _copy(code, value, code.at(my_values, slot), width)
            with code.loop(whole(0), count) as new:
                at = code.add(first, new.index)
                query = code.at(joint, code.mul(code.mul(at, line), whole(3)), mine)
                _score(code, query, my_keys, scores, seen, width)
                # Positions that come later in this very step are not heard yet.
                later = code.add(new.index, whole(1))
                with code.loop(later, count) as hidden:
                    slot = code.srem(code.add(start, hidden.index), window)
                    code.store(ir.Constant(NUMBER, float("-inf")), code.at(scores, slot))
                to = code.at(out, code.mul(at, line), mine)
                _mix(code, my_values, scores, seen, to, width)
    code.ret_void()


def _copy(code: Code, source: Value, target: Value, width: int) -> None:
    for at in range(0, width, LANES):
        code.store_vector(code.load_vector(code.at(source, at)), code.at(target, at))


def _turn(code: Code, source: Value, turn: Value, target: Value, width: int) -> None:
    """Write `source` with its pairs turned to `target`, which may be `source`."""
    kind = ir.VectorType(SHORT, LANES)
    nothing = ir.Constant(code.vector, ir.Undefined)

    def order(lanes: list[int]) -> Value:
        return ir.Constant(kind, lanes)

    swapped = order([lane ^ 1 for lane in range(LANES)])
    even = order([lane & ~1 for lane in range(LANES)])
    odd = order([lane | 1 for lane in range(LANES)])
    signs = ir.Constant(code.vector, [-1.0, 1.0] * (LANES // 2))
    for at in range(0, width, LANES):
        x, angle = code.load_vector(code.at(source, at)), code.load_vector(code.at(turn, at))
        cosine = code.shuffle_vector(angle, nothing, even)
        sine = code.fmul(code.shuffle_vector(angle, nothing, odd), signs)
        across = code.fmul(code.shuffle_vector(x, nothing, swapped), sine)
        code.store_vector(code.fma(x, cosine, across), code.at(target, at))


def _score(code: Code, query: Value, keys: Value, scores: Value, seen: Value, width: int) -> None:
    """Write the scaled product of `query` with each of the first `seen` keys."""
    asks = [code.load_vector(code.at(query, at)) for at in range(0, width, LANES)]
    scale = width**-0.5

    def dot(where: Value) -> Value:
        total = None
        for index, ask in enumerate(asks):
            part = code.load_vector(code.at(where, index * LANES))
            total = code.fmul(ask, part) if total is None else code.fma(ask, part, total)
        return total

    full = code.and_(seen, whole(-LANES))
    kind = ir.VectorType(SHORT, LANES)
    even = ir.Constant(kind, list(range(0, 2 * LANES, 2)))
    odd = ir.Constant(kind, list(range(1, 2 * LANES, 2)))

    def several(slot: Value) -> None:
        where = code.at(keys, code.mul(slot, whole(width)))
        sums = [dot(code.at(where, each * width)) for each in range(LANES)]
        # Eight sums over lanes at once: neighbours are added until each lane holds one of them.
        while len(sums) > 1:
            sums = [
                code.fadd(code.shuffle_vector(a, b, even), code.shuffle_vector(a, b, odd))
                for a, b in zip(sums[::2], sums[1::2], strict=True)
            ]
        code.store_vector(code.fmul(sums[0], code.same(scale)), code.at(scores, slot))

    share = code.mul(code.udiv(full, whole(STREAMS * LANES)), whole(LANES))
    with code.loop(whole(0), share, LANES) as slot:
        for stream in range(STREAMS):
            several(code.add(slot.index, code.mul(share, whole(stream))))
    with code.loop(code.mul(share, whole(STREAMS)), full, LANES) as slot:
        several(slot.index)
    with code.loop(full, seen) as slot:
        one = code.fold(dot(code.at(keys, code.mul(slot.index, whole(width)))), "fadd")
        code.store(code.fmul(one, ir.Constant(NUMBER, scale)), code.at(scores, slot.index))


def _mix(code: Code, values: Value, scores: Value, seen: Value, out: Value, width: int) -> None:
    """Write the values' sum, weighed by the softmax of their scores."""
    # The room behind the scores is filled, so that whole vectors can be worked.
    code.store_vector(code.same(float("-inf")), code.at(scores, seen))
    with code.loop(whole(0), seen, LANES, [code.same(float("-inf"))]) as slot:
        score = code.load_vector(code.at(scores, slot.index))
        slot.carry([code.intrinsic("maxnum", slot.values[0], score)])
    most = code.splat(code.fold(slot.values[0], "fmax"))
    with code.loop(whole(0), seen, LANES, [code.same(0.0)]) as slot:
        where = code.at(scores, slot.index)
        score = code.load_vector(where)
        chance = code.exp(code.fsub(score, most))
        hidden = code.fcmp_ordered("==", score, code.same(float("-inf")))
        chance = code.select(hidden, code.same(0.0), chance)
        code.store_vector(chance, where)
        slot.carry([code.fadd(slot.values[0], chance)])
    share = code.splat(code.fdiv(ir.Constant(NUMBER, 1.0), code.fold(slot.values[0], "fadd")))

    def added(slot: Value, totals: list[Value]) -> list[Value]:
        weight = code.splat(code.load(code.at(scores, slot)))
        where = code.at(values, code.mul(slot, whole(width)))
        return [
            code.fma(weight, code.load_vector(code.at(where, index * LANES)), total)
            for index, total in enumerate(totals)
        ]

    nothing = [code.same(0.0)] * (width // LANES)
    part = code.udiv(seen, whole(STREAMS))
    with code.loop(whole(0), part, 1, nothing) as slot:
        totals = slot.values
        for stream in range(STREAMS):
            totals = added(code.add(slot.index, code.mul(part, whole(stream))), totals)
        slot.carry(totals)
    with code.loop(code.mul(part, whole(STREAMS)), seen, 1, slot.values) as slot:
        slot.carry(added(slot.index, slot.values))
    for index, total in enumerate(slot.values):
        code.store_vector(code.fmul(total, share), code.at(out, index * LANES))
