"""Writing machine code down: loops, and vectors of single-precision numbers, over `llvmlite`'s instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

Value = Any
"""A value in the code being written; `llvmlite` has no types of its own to name here."""

WHOLE: Final = ir.IntType(64)
SHORT: Final = ir.IntType(32)
BYTE: Final = ir.IntType(8)
NUMBER: Final = ir.FloatType()
NUMBERS: Final = ir.PointerType(NUMBER)
WHOLES: Final = ir.PointerType(WHOLE)
BYTES: Final = ir.PointerType(BYTE)
LISTED: Final = ir.FunctionType(ir.VoidType(), [WHOLES])
"""What takes its arguments in a list."""


def whole(value: int) -> Value:
    """Return a constant 64-bit integer."""
    return ir.Constant(WHOLE, value)


class Loop:
    """A counted loop with values that go from one turn to the next.

    Args:
        code: Where it is written.
        start: First index.
        stop: Index before which it ends.
        step: From one turn to the next.
        carried: The values' beginnings.

    Attributes:
        index: Of this turn.
        values: Carried ones: of this turn inside, of the last one after it.
    """

    def __init__(
        self, code: Code, start: Value, stop: Value, step: Value, carried: Sequence[Value] = ()
    ) -> None:
        self._code, self._step = code, whole(step) if isinstance(step, int) else step
        before = code.block
        self._head = code.append_basic_block("turn")
        body = code.append_basic_block("body")
        self._after = code.append_basic_block("after")
        code.branch(self._head)
        code.position_at_end(self._head)
        self.index = code.phi(WHOLE)
        self.index.add_incoming(start, before)
        self.values: list[Value] = []
        for each in carried:
            value = code.phi(each.type)
            value.add_incoming(each, before)
            self.values.append(value)
        code.cbranch(code.icmp_signed("<", self.index, stop), body, self._after)
        code.position_at_end(body)
        self._next: list[Value] = list(self.values)

    def carry(self, values: Sequence[Value]) -> None:
        """Set what the next turn begins with."""
        self._next = list(values)

    def __enter__(self) -> Loop:
        """Write the body."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the loop and go on behind it."""
        code, last = self._code, self._code.block
        self.index.add_incoming(code.add(self.index, self._step), last)
        for value, then in zip(self.values, self._next, strict=True):
            value.add_incoming(then, last)
        code.branch(self._head)
        code.position_at_end(self._after)


class Code(ir.IRBuilder):  # type: ignore[misc]  # llvmlite is untyped
    """The body of one function.

    Args:
        function: Which one.
        lanes: Numbers in one vector.
    """

    def __init__(self, function: Value, lanes: int) -> None:
        super().__init__(function.append_basic_block("start"))
        self.lanes = lanes
        self.vector = ir.VectorType(NUMBER, lanes)

    def loop(
        self, start: Value, stop: Value, step: Value = 1, carried: Sequence[Value] = ()
    ) -> Loop:
        """Begin a loop; to be used with `with`. A step is a number, or a value in the code."""
        return Loop(self, start, stop, step, carried)

    def at(self, base: Value, *offsets: Value) -> Value:
        """Return `base` moved on by the sum of `offsets`, counted in what it points to."""
        for offset in offsets:
            base = self.gep(base, [whole(offset) if isinstance(offset, int) else offset])
        return base

    def load_vector(self, where: Value) -> Value:
        """Return the vector that lies at a pointer to numbers."""
        found = self.load(self.bitcast(where, ir.PointerType(self.vector)))
        found.align = 4
        return found

    def store_vector(self, value: Value, where: Value) -> None:
        """Write a vector to a pointer to numbers."""
        self.store(value, self.bitcast(where, ir.PointerType(self.vector))).align = 4

    def splat(self, value: Value) -> Value:
        """Return a vector that holds `value` in every lane."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.insert_element(nothing, value, ir.Constant(SHORT, 0))
        lanes = ir.Constant(ir.VectorType(SHORT, self.lanes), [0] * self.lanes)
        return self.shuffle_vector(first, nothing, lanes)

    def same(self, value: float) -> Value:
        """Return a vector of one constant."""
        return ir.Constant(self.vector, [value] * self.lanes)

    def like(self, value: float, model: Value) -> Value:
        """Return a constant of `model`'s type: a number, or a vector of it."""
        return self.same(value) if model.type == self.vector else ir.Constant(NUMBER, value)

    def intrinsic(self, name: str, *given: Value) -> Value:
        """Call one of LLVM's own functions of numbers or vectors, such as `fma`, for the type of `given`."""
        kind = given[0].type
        suffix = f"v{self.lanes}f32" if kind == self.vector else "f32"
        signature = ir.FunctionType(kind, [each.type for each in given])
        return self.call(declared(self.module, f"llvm.{name}.{suffix}", signature), given)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a * b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def fold(self, value: Value, name: str) -> Value:
        """Return a vector's `fadd` or `fmax` over its lanes, in halves."""
        width = self.lanes
        nothing = ir.Constant(self.vector, ir.Undefined)
        while width > 1:
            width //= 2
            order = [(lane + width) % self.lanes for lane in range(self.lanes)]
            lanes = ir.Constant(ir.VectorType(SHORT, self.lanes), order)
            other = self.shuffle_vector(value, nothing, lanes)
            value = (
                self.fadd(value, other)
                if name == "fadd"
                else self.intrinsic("maxnum", value, other)
            )
        return self.extract_element(value, ir.Constant(SHORT, 0))

    def prefetch(self, where: Value) -> None:
        """Have a line of memory brought near that is wanted soon."""
        signature = ir.FunctionType(ir.VoidType(), [BYTES, SHORT, SHORT, SHORT])
        hint = [ir.Constant(SHORT, each) for each in (0, 3, 1)]
        self.call(
            declared(self.module, "llvm.prefetch.p0", signature),
            [self.bitcast(where, BYTES), *hint],
        )

    def least(self, x: Value, bound: float) -> Value:
        """Return x, or `bound` where that is smaller; what is not a number stays so."""
        limit = self.like(bound, x)
        return self.select(self.fcmp_ordered("<", limit, x), limit, x)

    def exp(self, x: Value) -> Value:
        """Return e to the power of a number or vector up to 88.5, within two units in the last place.

        Below -87.3 it stays at the smallest normal number, above 88.37 it is infinite. What is not a number stays so.
        """
        power, rest = self._power(x)
        return self.fmul(self.fadd(rest, self.like(1.0, x)), power)

    def expm1(self, x: Value) -> Value:
        """Return e^x - 1 for x <= 0, as exact near zero as elsewhere; what is not a number stays so."""
        power, rest = self._power(x)
        return self.fma(power, rest, self.fsub(power, self.like(1.0, x)))

    def _power(self, x: Value) -> tuple[Value, Value]:
        """Return 2^n and e^r - 1 with n * ln(2) + r = x and |r| <= ln(2) / 2: the polynomial of Cephes' `expf`."""
        low = self.like(-87.33654, x)
        x = self.select(self.fcmp_ordered("<", x, low), low, x)
        # Adding 1.5 * 2^23 rounds to a whole, which then lies in the lowest bits.
        shift = self.like(12582912.0, x)
        shifted = self.fma(x, self.like(1.4426950408889634, x), shift)
        n = self.fsub(shifted, shift)
        r = self.fma(n, self.like(-0.693359375, x), x)
        r = self.fma(n, self.like(2.12194440e-4, x), r)
        p = self.like(1.9875691500e-4, x)
        for each in (
            1.3981999507e-3,
            8.3334519073e-3,
            4.1665795894e-2,
            1.6666665459e-1,
            5.0000001201e-1,
        ):
            p = self.fma(p, r, self.like(each, x))
        one = x.type == NUMBER
        kind = SHORT if one else ir.VectorType(SHORT, self.lanes)

        def same(value: int) -> Value:
            return ir.Constant(kind, value if one else [value] * self.lanes)

        bits = self.shl(self.bitcast(shifted, kind), same(23))
        power = self.bitcast(self.add(bits, same(127 << 23)), x.type)
        return power, self.fma(self.fmul(p, r), r, r)


def declared(module: Value, name: str, signature: Value) -> Value:
    """Return a function of this name, declared if need be."""
    found = module.globals.get(name)
    return ir.Function(module, signature, name) if found is None else found


def function(
    module: Value,
    name: str,
    arguments: Sequence[Value],
    lanes: int,
    *,
    inner: bool = False,
    result: Value | None = None,
) -> tuple[Code, list[Value]]:
    """Begin a function; give its body and its arguments.

    One that can be called from outside is written once more, as `{name}.listed`, for `record`: that one takes a
    pointer to its arguments, each in 64 bits.

    Args:
        module: Where it belongs.
        name: What it is called.
        arguments: Their types.
        lanes: Numbers in one vector.
        inner: Nobody outside calls it.
        result: Type of what it returns; None for nothing.
    """
    kind = ir.FunctionType(result or ir.VoidType(), list(arguments))
    made = ir.Function(module, kind, name)
    if inner:
        made.linkage = "internal"
    else:
        made.attributes.add("noinline")
        listed = ir.Function(module, LISTED, f"{name}.listed")
        code = Code(listed, lanes)
        words = [code.load(code.at(listed.args[0], at)) for at in range(len(arguments))]
        code.call(
            made,
            [
                word if kind == WHOLE else code.inttoptr(word, kind)
                for word, kind in zip(words, arguments, strict=True)
            ],
        )
        code.ret_void()
    return Code(made, lanes), list(made.args)
