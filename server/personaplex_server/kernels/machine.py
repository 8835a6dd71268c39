"""Making the functions for the processor at hand, and calling them with tensors."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

log = logging.getLogger(__name__)

SWITCH: Final = "PERSONAPLEX_KERNELS"
"""Environment variable; `off` makes the model use torch's operators."""
_POINTER, _WHOLE, _NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class Kernels:
    """Compiled functions; each takes addresses, and works without Python's lock.

    Attributes:
        lanes: Numbers in one vector.
        product: See `product.write`.
        product8: The same for weights of 8 bits.
        norm: See `pointwise`, as `gate` and `elu`.
    """

    def __init__(self) -> None:
        from llvmlite import binding as llvm
        from llvmlite import ir

        from . import pointwise, product

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        wide = bool(features.get("avx512f"))
        self.lanes = 16 if wide else 8 if features.get("avx2") else 4
        registers = 32 if wide or not features.get("avx2") else 16
        self._machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
        )
        self._llvm, self._ir = llvm, ir
        self._engines: list[Any] = []
        self._attend: dict[int, Callable[..., None]] = {}
        self._lock = threading.Lock()
        module = ir.Module("tick")
        for small in (False, True):
            product.write(module, self.lanes, registers, small=small)
        pointwise.write(module, self.lanes)
        engine = self._compile(module)
        products = [_POINTER] * 5 + [_WHOLE] * 2 + [_POINTER]
        self.product = self._found(engine, "product", products)
        self.product8 = self._found(engine, "product8", products)
        self.norm = self._found(engine, "norm", [_POINTER] * 3 + [_WHOLE] * 2 + [_NUMBER] * 2)
        self.gate = self._found(engine, "gate", [_POINTER] * 2 + [_WHOLE] * 2)
        self.elu = self._found(engine, "elu", [_POINTER] * 2 + [_WHOLE] * 4)

    def attend(self, width: int) -> Callable[..., None]:
        """Return the attention for heads of `width`, a multiple of 8; see `attention.write`."""
        with self._lock:
            if width not in self._attend:
                from . import attention

                module = self._ir.Module(f"attend{width}")
                attention.write(module, width)
                given = [_POINTER] * 7 + [_WHOLE] * 4
                self._attend[width] = self._found(self._compile(module), f"attend{width}", given)
            return self._attend[width]

    def _compile(self, module: Any) -> Any:
        module.triple = self._llvm.get_default_triple()
        parsed = self._llvm.parse_assembly(str(module))
        parsed.verify()
        engine = self._llvm.create_mcjit_compiler(parsed, self._machine)
        engine.finalize_object()
        self._engines.append(engine)
        return engine

    def _found(self, engine: Any, name: str, given: list[Any]) -> Callable[..., None]:
        made: Callable[..., None] = ctypes.CFUNCTYPE(None, *given)(
            engine.get_function_address(name)
        )
        return made


@lru_cache(maxsize=1)
def kernels() -> Kernels | None:
    """Return the functions, compiled and tried at the first call; None where torch's operators are to be used."""
    if os.environ.get(SWITCH) == "off":
        log.info("own CPU functions are switched off (%s)", SWITCH)
        return None
    began = time.perf_counter()
    try:
        made = Kernels()
    except ImportError as error:
        log.info("products are torch's: llvmlite is not there to make quicker ones (%s)", error)
        return None
    log.info("CPU functions were made in %.2f s", time.perf_counter() - began)
    return made


def serves(x: Tensor) -> bool:
    """Whether the functions can work on this tensor: real numbers in this computer's memory."""
    return type(x) is torch.Tensor and x.device.type == "cpu" and x.dtype == torch.float32
