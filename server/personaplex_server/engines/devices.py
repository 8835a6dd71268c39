"""Where a model runs, and with which numbers."""

from __future__ import annotations

from typing import Final

import torch

from personaplex_server.engines.base import EngineError

_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory was too small."""
    # The allocator for a CPU has no error type of its own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(
        error
    )


def pick_device(name: str) -> torch.device:
    """Return the device of a name: auto, cpu, cuda or cuda:N.

    Raises:
        EngineError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise EngineError(f"There is no device {name!r}; choose auto, cpu or cuda.") from None
    if device.type not in ("cpu", "cuda"):
        raise EngineError(f"The device {name!r} is not supported; choose auto, cpu or cuda.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(
            "No NVIDIA GPU can be used here; choose the device cpu, or install the driver and a CUDA "
            "build of torch."
        )
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the type of a name: auto, float32 or bfloat16; auto is bfloat16 on a GPU only.

    Raises:
        EngineError: There is no such type.
    """
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise EngineError(f"There is no dtype {name!r}; choose auto, bfloat16 or float32.")
    return _DTYPES[name]


def held_bytes(*things: object) -> int:
    """Return the bytes of all tensors that objects hold, each memory once, whoever shares it."""
    memories: dict[int, int] = {}
    seen: set[int] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            memory = thing.untyped_storage()
            memories[memory.data_ptr()] = memory.nbytes()
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, list | tuple | set):
            waiting += thing
        elif type(thing).__module__.startswith("personaplex_server."):
            waiting += getattr(thing, "__dict__", {}).values()
            slots = (
                name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())
            )
            waiting += (getattr(thing, name) for name in slots if hasattr(thing, name))
    return sum(memories.values())
