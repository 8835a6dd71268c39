"""Drawing one token a row from the row's likeliest, mostly without looking for these.

A token is drawn from all first. If it is among the row's k likeliest, it is a fair draw from those; if not, the least
of them is searched for, and a second random number draws from what is above it. Tokens go in blocks: each block's
largest logit tells which blocks need no look, and each one's sum of chances in which the drawn token lies.
Where k is small beside the number of blocks the search is quicker than a draw from all, and comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llvmlite import ir

from .build import NUMBER, NUMBERS, SHORT, WHOLE, WHOLES, Code, function, whole
from .record import SAMPLE_BLOCK as BLOCK

if TYPE_CHECKING:
    from .build import Value

_FEW: Final = 8
"""Blocks for each of the k likeliest from which these are searched for first."""
_BITS: Final = 32
_HOPELESS: Final = -80.0
"""A power of e at which a token has no chance."""


def write(module: Value, lanes: int) -> None:
    """Write `draw` into a module.

    Its arguments; counts and distances are 64-bit wholes:

        logits: float32 [rows, tokens].
        scale: 1 / temperature of each row, float32 [rows]; 0 takes the first of the likeliest.
        last: Each row's k, less one: int64 [rows].
        spins, apart: Two random numbers a row, float32, and how far rows lie from each other.
        kept, apart: A token that is not to be drawn, or -1: int64. Null draws all.
        out: int64 [rows].
        room: 2 * BLOCK + 3 numbers for each block, the last one included, and 2 * BLOCK more.
        rows, tokens.
    """
    arguments = [NUMBERS, NUMBERS, WHOLES, NUMBERS, WHOLE, WHOLES, WHOLE, WHOLES, NUMBERS]
    spin, above = _spin(module, lanes), _above(module, lanes)
    search = _search(module, lanes, above)
    code, given = function(module, "draw", [*arguments, WHOLE, WHOLE], lanes)
    logits, scale, last, spins, apart, kept, kept_apart, out, room, rows, tokens = given
    blocks = _blocks(code, tokens)
    padded = code.mul(blocks, whole(BLOCK))
    chances = code.at(room, padded)
    sums = code.at(chances, padded)
    peaks = code.at(sums, blocks)
    # The blocks' peaks are in blocks, too, none of which is passed over.
    wide = _blocks(code, blocks)
    tops = code.at(peaks, code.mul(wide, whole(BLOCK)))
    lowest = ir.Constant(NUMBER, float("-inf"))
    bottom = whole(-0x7F800001)  # `_key` of that
    with code.loop(blocks, code.mul(wide, whole(BLOCK))) as spare:
        code.store(lowest, code.at(peaks, spare.index))
    with code.loop(whole(0), wide) as top:
        code.store(ir.Constant(NUMBER, float("inf")), code.at(tops, top.index))
    keeps = code.icmp_signed("!=", code.ptrtoint(kept, WHOLE), whole(0))
    with code.loop(whole(0), rows) as row:
        # Where nothing is kept any address will do to look at.
        kept_at = code.select(keeps, code.at(kept, code.mul(row.index, kept_apart)), last)
        token = code.select(keeps, code.load(kept_at), whole(-1))
        to = code.at(out, row.index)
        code.store(token, to)
        with code.if_then(code.icmp_signed("<", token, whole(0))):
            most = _copy(code, code.at(logits, code.mul(row.index, tokens)), room, peaks, tokens)
            highest = _key(code, most)
            warmth = code.load(code.at(scale, row.index))
            count = code.add(code.load(code.at(last, row.index)), whole(1))
            luck = code.at(spins, code.mul(row.index, apart))
            common = [room, peaks, chances, sums, blocks, tokens, most, warmth]

            def draw_above(
                low: Value,
                luck: Value = luck,
                common: list[Value] = common,
                highest: Value = highest,
                count: Value = count,
                to: Value = to,
            ) -> None:
                low = code.call(search, [room, peaks, blocks, low, highest, count])
                second = code.load(code.at(luck, 1))
                code.store(code.call(spin, [*common, _number(code, low), second]), to)

            greedy = code.fcmp_ordered("==", warmth, ir.Constant(NUMBER, 0.0))
            is_few = code.icmp_signed("<=", code.mul(count, whole(_FEW)), blocks)
            is_few = code.and_(is_few, code.not_(greedy))
            with code.if_else(is_few) as (yes, no):
                with yes:
                    # Where so many blocks reach, there are as many tokens at least.
                    given = [peaks, tops, wide, bottom, highest, count]
                    draw_above(code.call(search, given))
                with no:
                    before = _number(code, code.sub(highest, whole(1)))
                    first = code.select(greedy, ir.Constant(NUMBER, 0.0), code.load(luck))
                    token = code.call(spin, [*common, code.select(greedy, before, lowest), first])
                    code.store(token, to)
                    drawn = code.load(code.at(room, token))
                    rank = code.call(above, [room, peaks, blocks, drawn])
                    with code.if_then(code.icmp_signed(">=", rank, count)):
                        draw_above(_key(code, drawn))
    code.ret_void()


def _blocks(code: Code, count: Value) -> Value:
    return code.udiv(code.add(count, whole(BLOCK - 1)), whole(BLOCK))


def _search(module: Value, lanes: int, above: Value) -> Value:
    """Write the search for a number that `count` others are above, or a few more where some are equal.

    It and its bounds are keys (`_key`): `count` or more are above `low`, fewer above `high`.
    """
    arguments = [NUMBERS, NUMBERS, WHOLE, WHOLE, WHOLE, WHOLE]
    code, given = function(module, "search", arguments, lanes, inner=True, result=WHOLE)
    numbers, peaks, blocks, low, high, count = given
    with code.loop(whole(0), whole(_BITS), 1, [low, high]) as turn:
        low, high = turn.values
        middle = code.add(low, code.ashr(code.sub(high, low), whole(1)))
        # The turns that are left after the last one look at nothing, and change nothing.
        looked_at = code.select(code.icmp_signed(">", middle, low), blocks, whole(0))
        found = code.call(above, [numbers, peaks, looked_at, _number(code, middle)])
        enough = code.icmp_signed(">=", found, count)
        exact = code.icmp_signed("==", found, count)
        stop = code.select(exact, code.add(middle, whole(1)), high)
        turn.carry([code.select(enough, middle, low), code.select(enough, stop, middle)])
    code.ret(turn.values[0])
    return code.function


def _key(code: Code, number: Value) -> Value:
    """Return a whole number for a number; they have the same order."""
    bits = code.bitcast(number, SHORT)
    sign = code.ashr(bits, ir.Constant(SHORT, _BITS - 1))
    flipped = code.xor(bits, code.and_(sign, ir.Constant(SHORT, 0x7FFFFFFF)))
    return code.sext(flipped, WHOLE)


def _number(code: Code, key: Value) -> Value:
    """Return the number whose `_key` this is."""
    bits = code.trunc(key, SHORT)
    sign = code.ashr(bits, ir.Constant(SHORT, _BITS - 1))
    return code.bitcast(code.xor(bits, code.and_(sign, ir.Constant(SHORT, 0x7FFFFFFF))), NUMBER)


def _copy(code: Code, logits: Value, to: Value, peaks: Value, tokens: Value) -> Value:
    """Copy logits to where whole blocks are, note each block's largest, and return the largest of all."""
    full = code.and_(tokens, whole(-BLOCK))
    lowest = ir.Constant(NUMBER, float("-inf"))
    with code.loop(whole(0), full, BLOCK, [lowest]) as block:
        many = []
        for at in range(0, BLOCK, code.lanes):
            many.append(code.load_vector(code.at(logits, block.index, at)))
            code.store_vector(many[-1], code.at(to, block.index, at))
        while len(many) > 1:
            half = len(many) // 2
            many = [
                code.intrinsic("maxnum", a, b)
                for a, b in zip(many[:half], many[half:], strict=True)
            ]
        peak = code.fold(many[0], "fmax")
        code.store(peak, code.at(peaks, code.udiv(block.index, whole(BLOCK))))
        block.carry([code.intrinsic("maxnum", block.values[0], peak)])
    # One turn, if the last block is not a whole one.
    with code.loop(full, tokens, BLOCK, block.values) as block:
        for at in range(0, BLOCK, code.lanes):
            code.store_vector(code.same(float("-inf")), code.at(to, full, at))
        with code.loop(full, tokens, 1, [lowest]) as one:
            value = code.load(code.at(logits, one.index))
            code.store(value, code.at(to, one.index))
            one.carry([code.intrinsic("maxnum", one.values[0], value)])
        code.store(one.values[0], code.at(peaks, code.udiv(full, whole(BLOCK))))
        block.carry([code.intrinsic("maxnum", block.values[0], one.values[0])])
    return block.values[0]


def _within(code: Code, peaks: Value, block: Value, least: Value) -> Value:
    """Return how many tokens of a block must be looked at: none where none is above `least`."""
    peak = code.load(code.at(peaks, block))
    return code.select(code.fcmp_ordered(">", peak, least), whole(BLOCK), whole(0))


def _above(module: Value, lanes: int) -> Value:
    """Write the count of logits above one number."""
    arguments = [NUMBERS, NUMBERS, WHOLE, NUMBER]
    code, given = function(module, "above", arguments, lanes, inner=True, result=WHOLE)
    logits, peaks, blocks, least = given
    many = ir.VectorType(SHORT, lanes)
    limit = code.splat(least)
    nothing = ir.Constant(many, [0] * lanes)
    with code.loop(whole(0), blocks, 1, [nothing]) as block:
        mine = code.at(logits, code.mul(block.index, whole(BLOCK)))
        stop = _within(code, peaks, block.index, least)
        with code.loop(whole(0), stop, lanes, block.values) as at:
            is_above = code.fcmp_ordered(">", code.load_vector(code.at(mine, at.index)), limit)
            at.carry([code.sub(at.values[0], code.sext(is_above, many))])
        block.carry(at.values)
    total = ir.Constant(SHORT, 0)
    for lane in range(lanes):
        total = code.add(total, code.extract_element(block.values[0], ir.Constant(SHORT, lane)))
    code.ret(code.zext(total, WHOLE))
    return code.function


def _spin(module: Value, lanes: int) -> Value:
    """Write the draw of one token among those above one number."""
    arguments = [NUMBERS] * 4 + [WHOLE] * 2 + [NUMBER] * 4
    code, given = function(module, "spin", arguments, lanes, inner=True, result=WHOLE)
    logits, peaks, chances, sums, blocks, tokens, most, scale, least, luck = given
    nought = ir.Constant(NUMBER, 0.0)
    mosts, scales, limit = (code.splat(each) for each in (most, scale, least))
    with code.loop(whole(0), blocks, 1, [nought]) as block:
        start = code.mul(block.index, whole(BLOCK))
        stop = _within(code, peaks, block.index, least)
        with code.loop(whole(0), stop, lanes, [code.same(0.0)]) as at:
            logit = code.load_vector(code.at(logits, start, at.index))
            power = code.fmul(code.fsub(logit, mosts), scales)
            possible = code.and_(
                code.fcmp_ordered(">", logit, limit),
                code.fcmp_ordered(">", power, code.same(_HOPELESS)),
            )
            chance = code.select(possible, code.exp(power), code.same(0.0))
            code.store_vector(chance, code.at(chances, start, at.index))
            at.carry([code.fadd(at.values[0], chance)])
        total = code.fadd(block.values[0], code.fold(at.values[0], "fadd"))
        code.store(total, code.at(sums, block.index))
        block.carry([total])
    total = block.values[0]
    # Rounding must never lead past the last token that has a chance.
    under = code.bitcast(code.sub(code.bitcast(total, SHORT), ir.Constant(SHORT, 1)), NUMBER)
    target = code.intrinsic("minnum", code.fmul(luck, total), under)

    def not_yet(reached: Value) -> Value:
        return code.zext(code.fcmp_ordered("<=", reached, target), WHOLE)

    with code.loop(whole(0), blocks, 1, [whole(0)]) as block:
        reached = code.load(code.at(sums, block.index))
        block.carry([code.add(block.values[0], not_yet(reached))])
    chosen = _at_most(code, block.values[0], code.sub(blocks, whole(1)))
    earlier = code.icmp_signed(">", chosen, whole(0))
    previous = code.at(sums, code.select(earlier, code.sub(chosen, whole(1)), whole(0)))
    start = code.mul(chosen, whole(BLOCK))
    begin = [code.select(earlier, code.load(previous), nought), whole(0), whole(0)]
    with code.loop(whole(0), whole(BLOCK), 1, begin) as one:
        chance = code.load(code.at(chances, start, one.index))
        reached = code.fadd(one.values[0], chance)
        possible = code.fcmp_ordered(">", chance, nought)
        one.carry(
            [
                reached,
                code.add(one.values[1], not_yet(reached)),
                code.select(possible, one.index, one.values[2]),
            ]
        )
    place = _at_most(code, one.values[1], one.values[2])
    # Numbers that are none lead anywhere, but to a token.
    code.ret(_at_most(code, code.add(start, place), code.sub(tokens, whole(1))))
    return code.function


def _at_most(code: Code, value: Value, limit: Value) -> Value:
    return code.select(code.icmp_signed("<", value, limit), value, limit)
