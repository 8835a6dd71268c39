"""Making the functions for the processor at hand, and calling them with tensors."""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import platform
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch

from . import cache, trial
from .record import Function

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

log = logging.getLogger(__name__)

SWITCH: Final = "PERSONAPLEX_KERNELS"
"""Environment variable; `off` makes the model use torch's operators."""
_FAULTS: Final = (AttributeError, OSError, RuntimeError, ValueError)
"""What llvmlite raises where it does not know the processor, is of another version, or cannot be loaded."""


class Kernels:
    """Compiled functions.

    Args:
        lanes: Numbers in one vector; None takes what the processor has.

    Attributes:
        lanes: Numbers in one vector.
        processor: What they are made for, for people.
        product: See `product.write`.
        product8: The same for weights of 8 bits.
        narrow: See `narrow.write`: by how many outputs each has at most, the least first.
        embed: See `pointwise`, as `norm`, `gate`, `elu` and `gelu`.
        extend: See `stream.write`, as `extend_elu`.
        draw: See `sampling.write`.
        run: See `record.write`.
    """

    def __init__(self, lanes: int | None = None) -> None:
        from llvmlite import __version__, ir
        from llvmlite import binding as llvm

        from . import narrow, pointwise, product, record, sampling, stream

        require_executable_memory()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
        if platform.machine() in ("x86_64", "AMD64") and not features.get("fma"):
            raise RuntimeError(f"{name} cannot multiply and add at once, which is slow to imitate")
        has = 16 if features.get("avx512f") else 8 if features.get("avx2") else 4
        self.lanes = lanes or has
        registers = 16 if self.lanes == 8 else 32
        self.processor = f"{name}, {self.lanes} lanes"
        self._target = {"cpu": name, "features": features.flatten(), "opt": 3}
        self._llvm, self._ir, self._compiler = llvm, ir, __version__
        self._engines: list[Any] = []
        self._attend: dict[int, Function | None] = {}
        self._lock = threading.Lock()
        few = [lanes for lanes in (4, 8, 16) if lanes <= self.lanes]

        def write(module: Any) -> None:
            for small in (False, True):
                product.write(module, self.lanes, registers, small=small)
            for lanes in few:
                narrow.write(module, lanes)
            for each in (pointwise, stream, sampling, record):
                each.write(module, self.lanes)

        engine = self._compile("tick", write)
        self.product = self._found(engine, "product", 8)
        self.narrow = {each: self._found(engine, f"narrow{each}", 8) for each in few}
        self.product8 = self._found(engine, "product8", 8)
        self.embed = self._found(engine, "embed", 10)
        self.norm = self._found(engine, "norm", 5)
        self.gate = self._found(engine, "gate", 4)
        self.elu = self._found(engine, "elu", 6)
        self.gelu = self._found(engine, "gelu", 3)
        self.extend = self._found(engine, "extend", 7)
        self.extend_elu = self._found(engine, "extend_elu", 7)
        self.draw = self._found(engine, "draw", 11)
        self.run = self._found(engine, "run", 2)

    def attend(self, width: int) -> Function | None:
        """Return the attention for heads of `width`; see `attention.write`.

        Returns:
            None where there is none: `width` is no multiple of 8, or what was made did not come out right.
        """
        if width not in self._attend:
            with self._lock:
                if width not in self._attend:
                    self._attend[width] = self._made_attention(width)
        return self._attend[width]

    def _made_attention(self, width: int) -> Function | None:
        from . import attention

        if width % attention.LANES:
            return None
        try:
            name = f"attend{width}"
            engine = self._compile(name, lambda module: attention.write(module, width))
            made = self._found(engine, name, 11)
            trial.check_attention(made, width)
        except _FAULTS as error:
            log.warning("attention over heads of %d is torch's (%s)", width, error)
            return None
        return made

    def _compile(self, name: str, write: Callable[[Any], None]) -> Any:
        """Return what runs the functions that `write` writes into a module, made now or at an earlier start."""
        llvm = self._llvm
        kept = cache.place(name, self._compiler, self._target, self.lanes)
        code = cache.read(kept)
        if code is None:
            module = self._ir.Module(name)
            module.triple = llvm.get_default_triple()
            write(module)
            parsed = llvm.parse_assembly(str(module))
            parsed.verify()
            code = self._target_machine().emit_object(parsed)
            cache.write(kept, code)
        # Each engine takes the machine it is given for its own, and gives it back when it ends.
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._target_machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._engines.append(engine)
        return engine

    def _target_machine(self) -> Any:
        return self._llvm.Target.from_default_triple().create_target_machine(**self._target)

    def _found(self, engine: Any, name: str, count: int) -> Function:
        addresses = [engine.get_function_address(each) for each in (name, f"{name}.listed")]
        if not all(addresses):
            raise RuntimeError(f"{name} was not compiled")
        address, listed = addresses
        return Function(address, listed, count)


def require_executable_memory() -> None:
    """Make sure that memory which was written may be executed.

    Raises:
        OSError: The system forbids it. The compiler would not notice, and the first call would end the process.
    """
    if sys.platform == "win32":
        return
    size = mmap.PAGESIZE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        there = ctypes.c_char.from_buffer(page)
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        failed = protect(ctypes.addressof(there), size, mmap.PROT_READ | mmap.PROT_EXEC)
        why = ctypes.get_errno()
        # The page cannot be given back while something points to it.
        del there
    if failed:
        raise OSError(why, f"memory cannot be made executable here: {os.strerror(why)}")


@lru_cache(maxsize=1)
def kernels() -> Kernels | None:
    """Return the functions, compiled and tried at the first call; None where torch's operators are to be used."""
    if os.environ.get(SWITCH) == "off":
        log.info("own CPU functions are switched off (%s)", SWITCH)
        return None
    return _made()


@lru_cache(maxsize=1)
def _made() -> Kernels | None:
    began = time.perf_counter()
    try:
        made = Kernels()
        began_trial = time.perf_counter()
        trial.check(made)
    except ImportError as error:
        log.info("products are torch's: llvmlite is not there to make quicker ones (%s)", error)
        return None
    except _FAULTS as error:
        log.warning("products are torch's: no functions for this processor (%s)", error)
        return None
    now = time.perf_counter()
    log.info(
        "CPU functions for %s were made in %.2f s and tried in %.3f s",
        made.processor,
        began_trial - began,
        now - began_trial,
    )
    return made


def described() -> str:
    """Return who computes on a CPU, for people: `own (znver3, 8 lanes)`, or `torch`."""
    made = kernels()
    return "torch" if made is None else f"own ({made.processor})"


def serves(x: Tensor) -> bool:
    """Whether the functions can work on this tensor: real numbers in this computer's memory."""
    return type(x) is torch.Tensor and x.device.type == "cpu" and x.dtype == torch.float32
