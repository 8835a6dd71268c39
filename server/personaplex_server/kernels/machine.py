"""Making the functions for the processor at hand, and calling them with tensors."""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch

from .record import Function

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

NORM_EPSILON: Final = 1e-8
"""Keeps the norm of nothing from dividing by nought."""
SAMPLE_BLOCK: Final = 64
"""Tokens in a block of `sampling`."""
SWITCH: Final = "PERSONAPLEX_KERNELS"
"""Environment variable; `off` makes the model use torch's operators."""


class Kernels:
    """Compiled functions.

    Attributes:
        lanes: Numbers in one vector.
        product: See `product.write`.
        product8: The same for weights of 8 bits.
        embed: See `pointwise`, as `norm`, `gate` and `elu`.
        draw: See `sampling.write`.
        run: See `record.write`.
    """

    def __init__(self) -> None:
        from llvmlite import binding as llvm
        from llvmlite import ir

        from . import pointwise, product, record, sampling

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
        self._attend: dict[int, Function] = {}
        self._lock = threading.Lock()
        module = ir.Module("tick")
        for small in (False, True):
            product.write(module, self.lanes, registers, small=small)
        pointwise.write(module, self.lanes)
        sampling.write(module, self.lanes)
        record.write(module, self.lanes)
        engine = self._compile(module)
        self.product = self._found(engine, "product", 7)
        self.product8 = self._found(engine, "product8", 7)
        self.embed = self._found(engine, "embed", 10)
        self.norm = self._found(engine, "norm", 5)
        self.gate = self._found(engine, "gate", 4)
        self.elu = self._found(engine, "elu", 6)
        self.draw = self._found(engine, "draw", 11)
        self.run = self._found(engine, "run", 2)

    def attend(self, width: int) -> Function:
        """Return the attention for heads of `width`, a multiple of 8; see `attention.write`."""
        with self._lock:
            if width not in self._attend:
                from . import attention

                module = self._ir.Module(f"attend{width}")
                attention.write(module, width)
                self._attend[width] = self._found(self._compile(module), f"attend{width}", 11)
            return self._attend[width]

    def _compile(self, module: Any) -> Any:
        module.triple = self._llvm.get_default_triple()
        parsed = self._llvm.parse_assembly(str(module))
        parsed.verify()
        engine = self._llvm.create_mcjit_compiler(parsed, self._machine)
        engine.finalize_object()
        self._engines.append(engine)
        return engine

    def _found(self, engine: Any, name: str, count: int) -> Function:
        found = engine.get_function_address
        return Function(found(name), found(f"{name}.listed"), count)


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
    except ImportError as error:
        log.info("products are torch's: llvmlite is not there to make quicker ones (%s)", error)
        return None
    log.info("CPU functions were made in %.2f s", time.perf_counter() - began)
    return made


def serves(x: Tensor) -> bool:
    """Whether the functions can work on this tensor: real numbers in this computer's memory."""
    return type(x) is torch.Tensor and x.device.type == "cpu" and x.dtype == torch.float32
