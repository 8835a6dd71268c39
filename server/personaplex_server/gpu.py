"""What the machine under the server is doing: GPUs by NVML where it can be imported, memory and load otherwise.

Reading never fails a request: what cannot be read is left out, and the reason is given in its place.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMINFO: Final = Path("/proc/meminfo")
_MIB: Final = 1 << 20
_THROTTLES: Final = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x10: "kept level with others",
    0x20: "heat",
    0x40: "hardware heat",
    0x80: "hardware power brake",
}
"""NVML's bits for why clocks are held down; those for idleness and clocks set by hand are no trouble."""


def readings() -> dict[str, Any]:
    """Return `cpu` (load, memory) and `gpus` (a list), or `gpu_reason` where there are none to read."""
    answer: dict[str, Any] = {"cpu": _cpu()}
    try:
        answer["gpus"] = _gpus()
    except ImportError:
        answer["gpu_reason"] = "The NVML bindings are not installed."
    except Exception as error:
        answer["gpu_reason"] = f"NVML does not answer: {error}"
    return answer


def _cpu() -> dict[str, Any]:
    answer: dict[str, Any] = {"count": os.cpu_count()}
    if hasattr(os, "getloadavg"):
        answer["load_1min"] = round(os.getloadavg()[0], 2)
    if _MEMINFO.exists():
        lines = dict(
            line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line
        )
        for key, name in (("MemTotal", "memory_total_mib"), ("MemAvailable", "memory_free_mib")):
            answer[name] = int(lines[key].split()[0]) // 1024
    return answer


def _gpus() -> list[dict[str, Any]]:
    # By name: it is optional, and only where there is an NVIDIA driver.
    pynvml = importlib.import_module("pynvml")
    pynvml.nvmlInit()
    try:
        return [
            _gpu(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, handle: Any) -> dict[str, Any]:
    name = nvml.nvmlDeviceGetName(handle)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    answer: dict[str, Any] = {
        "name": name.decode() if isinstance(name, bytes) else name,
        "memory_total_mib": memory.total // _MIB,
        "memory_used_mib": memory.used // _MIB,
    }
    readers: dict[str, Callable[[], Any]] = {
        "utilisation": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: round(nvml.nvmlDeviceGetPowerUsage(handle) / 1000, 1),
        "clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "pcie_generation": lambda: nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle),
        "pcie_width": lambda: nvml.nvmlDeviceGetCurrPcieLinkWidth(handle),
        # Each of these two looks for 20 ms.
        "pcie_received_kib_s": lambda: nvml.nvmlDeviceGetPcieThroughput(
            handle, nvml.NVML_PCIE_UTIL_RX_BYTES
        ),
        "pcie_sent_kib_s": lambda: nvml.nvmlDeviceGetPcieThroughput(
            handle, nvml.NVML_PCIE_UTIL_TX_BYTES
        ),
        "ecc_uncorrected": lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        "throttled": lambda: _throttled(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
    }
    for key, read in readers.items():
        try:
            answer[key] = read()
        except nvml.NVMLError:
            # Cards cut into parts (MIG) and old ones refuse single readings.
            answer[key] = None
    return answer


def _throttled(bits: int) -> list[str]:
    return [words for bit, words in _THROTTLES.items() if bits & bit]
