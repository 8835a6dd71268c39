"""What lies between the products: embeddings, norms, gates, ELU and GELU, each in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from .build import NUMBER, NUMBERS, WHOLE, WHOLES, Code, function, whole
from .record import NORM_EPSILON

if TYPE_CHECKING:
    from collections.abc import Callable

    from .build import Value


def each(
    code: Code, count: Value, work: Callable[[Value, Callable[..., Value]], Value], target: Value
) -> None:
    """Write `work` of every number: vector by vector, the last few one by one."""
    full = code.and_(count, whole(-code.lanes))
    with code.loop(whole(0), full, code.lanes) as many:

        def vector(base: Value, *offsets: Value) -> Value:
            return code.load_vector(code.at(base, many.index, *offsets))

        code.store_vector(work(many.index, vector), code.at(target, many.index))
    with code.loop(full, count) as one:

        def number(base: Value, *offsets: Value) -> Value:
            return code.load(code.at(base, one.index, *offsets))

        code.store(work(one.index, number), code.at(target, one.index))


def write(module: Value, lanes: int) -> None:
    """Write `embed`, `norm`, `gate`, `elu` and `gelu` into a module."""
    _embed(module, lanes)
    _norm(module, lanes)
    _gate(module, lanes)
    _elu(module, lanes)
    _gelu(module, lanes)


def _embed(module: Value, lanes: int) -> None:
    """`embed(tokens, apart, starts, streams, table, first, first apart, out, rows, width)`: sums of a table's lines.

    Each row's lines are `tokens[row, stream] + starts[stream]`, its tokens lie `apart` from the next row's; they are
    added to the row of `first`, unless that is null.
    """
    arguments = [WHOLES, WHOLE, WHOLES, WHOLE, NUMBERS, NUMBERS, WHOLE, NUMBERS, WHOLE, WHOLE]
    code, given = function(module, "embed", arguments, lanes)
    tokens, apart, starts, streams, table, first, first_apart, out, rows, width = given
    has_first = code.icmp_signed("!=", code.ptrtoint(first, WHOLE), whole(0))
    # Without a beginning the first stream's line is one.
    skipped = code.select(has_first, whole(0), whole(1))
    with code.loop(whole(0), rows) as row:
        mine = code.at(tokens, code.mul(row.index, apart))

        def line(stream: Value, mine: Value = mine) -> Value:
            token = code.add(code.load(code.at(mine, stream)), code.load(code.at(starts, stream)))
            return code.at(table, code.mul(token, width))

        begin = code.at(first, code.mul(row.index, first_apart))
        begin = code.select(has_first, begin, line(whole(0)))

        def summed(
            index: Value,
            get: Callable[..., Value],
            begin: Value = begin,
            line: Callable[[Value], Value] = line,
        ) -> Value:
            with code.loop(skipped, streams, 1, [get(begin)]) as stream:
                stream.carry([code.fadd(stream.values[0], get(line(stream.index)))])
            return stream.values[0]

        each(code, width, summed, code.at(out, code.mul(row.index, width)))
    code.ret_void()


def _norm(module: Value, lanes: int) -> None:
    """`norm(x, gain, out, rows, width)`: root-mean-square norm of each row.

    x / sqrt(mean of squares + epsilon) * gain.
    """
    arguments = [NUMBERS] * 3 + [WHOLE] * 2
    code, (x, gain, out, rows, width) = function(module, "norm", arguments, lanes)
    numbers = code.sitofp(width, NUMBER)
    floor = code.fmul(numbers, ir.Constant(NUMBER, NORM_EPSILON))
    root = code.intrinsic("sqrt", numbers)
    full = code.and_(width, whole(-lanes))
    with code.loop(whole(0), rows) as row:
        offset = code.mul(row.index, width)
        mine = code.at(x, offset)
        with code.loop(whole(0), full, lanes, [code.same(0.0)]) as many:
            value = code.load_vector(code.at(mine, many.index))
            many.carry([code.fma(value, value, many.values[0])])
        with code.loop(full, width, 1, [code.fold(many.values[0], "fadd")]) as one:
            value = code.load(code.at(mine, one.index))
            one.carry([code.fma(value, value, one.values[0])])
        length = code.intrinsic("sqrt", code.fadd(one.values[0], floor))
        share = code.fdiv(root, length)
        shares = code.splat(share)

        def scaled(
            index: Value,
            get: Callable[..., Value],
            mine: Value = mine,
            share: Value = share,
            shares: Value = shares,
        ) -> Value:
            value = get(mine)
            factor = shares if value.type == code.vector else share
            return code.fmul(code.fmul(value, factor), get(gain))

        each(code, width, scaled, code.at(out, offset))
    code.ret_void()


def _gate(module: Value, lanes: int) -> None:
    """`gate(x, out, rows, width)`: SiLU of the first half of each row of 2 * width, times its second half."""
    code, (x, out, rows, width) = function(module, "gate", [NUMBERS, NUMBERS, WHOLE, WHOLE], lanes)
    with code.loop(whole(0), rows) as row:
        offset = code.mul(row.index, width)
        mine = code.at(x, offset, offset)

        def gated(index: Value, get: Callable[..., Value], mine: Value = mine) -> Value:
            value = get(mine)
            one = code.like(1.0, value)
            low = code.fadd(one, code.exp(code.least(code.fneg(value), 88.5)))
            return code.fmul(code.fdiv(value, low), get(mine, width))

        each(code, width, gated, code.at(out, offset))
    code.ret_void()


def _elu(module: Value, lanes: int) -> None:
    """`elu(x, out, rows, width, apart, out apart)`: x above zero, e^x - 1 below; `out` may be `x`."""
    arguments = [NUMBERS, NUMBERS] + [WHOLE] * 4
    code, (x, out, rows, width, apart, out_apart) = function(module, "elu", arguments, lanes)
    with code.loop(whole(0), rows) as row:
        mine = code.at(x, code.mul(row.index, apart))

        def bent(index: Value, get: Callable[..., Value], mine: Value = mine) -> Value:
            return elu(code, get(mine))

        each(code, width, bent, code.at(out, code.mul(row.index, out_apart)))
    code.ret_void()


def elu(code: Code, value: Value) -> Value:
    """Return the ELU of a number or vector."""
    above = code.fcmp_ordered(">", value, code.like(0.0, value))
    return code.select(above, value, code.expm1(code.least(value, 0.0)))


def _gelu(module: Value, lanes: int) -> None:
    """`gelu(x, out, count)`: x times the share of a normal distribution below it; `out` may be `x`.

    The share is Abramowitz and Stegun's formula 7.1.26, which is right to 1.5e-7.
    """
    code, (x, out, count) = function(module, "gelu", [NUMBERS, NUMBERS, WHOLE], lanes)

    def bent(index: Value, get: Callable[..., Value]) -> Value:
        value = get(x)
        far = code.fmul(code.intrinsic("fabs", value), code.like(0.5**0.5, value))
        one = code.like(1.0, value)
        t = code.fdiv(one, code.fma(far, code.like(0.3275911, value), one))
        tail = code.like(1.061405429, value)
        for part in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            tail = code.fma(tail, t, code.like(part, value))
        half = code.fmul(t, code.like(0.5, value))
        tail = code.fmul(code.fmul(tail, half), code.exp(code.fneg(code.fmul(far, far))))
        above = code.fcmp_ordered(">", value, code.like(0.0, value))
        return code.fmul(value, code.select(above, code.fsub(one, tail), tail))

    each(code, count, bent, out)
    code.ret_void()
