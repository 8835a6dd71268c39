"""What `nvidia-smi` shows on a pretend machine: plausible figures for a GPU of the kind that was rented."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personadesk.rehearsal.things import Kind, Machine

DRIVER = "580.95.05"
_WATTS = {
    "RTX 3090": 350, "RTX 4090": 450, "RTX 5090": 575, "RTX A6000": 300, "A10": 150, "A10G": 300,
    "L4": 72, "L40S": 350, "A40": 300, "A100": 400, "H100": 700, "H200": 700, "B200": 1000,
}  # fmt: skip
_CAPABILITY = {
    "A1": "8.0",
    "L4": "8.9",
    "RTX 4": "8.9",
    "RTX 6": "8.9",
    "RTX 5": "12.0",
    "H": "9.0",
    "B": "10.0",
}
"""By how a name begins; 8.6 for the rest."""


def recording(machine: Machine, kind: Kind) -> dict[str, Any]:
    """Return what `nvidia_smi.install` takes: each field of `--query-gpu` as header and value, for each GPU."""
    watts = _WATTS.get(kind.gpu, 300)
    # An "80 GB" card tells 81559 MiB, a "24 GB" one 24564.
    total = round(kind.memory_gb * 1018)
    gpus, names = [], []
    for index in range(kind.count):
        code = hashlib.sha256(f"{machine.id} {index}".encode()).hexdigest()
        uuid = f"GPU-{code[:8]}-{code[8:12]}-{code[12:16]}-{code[16:20]}-{code[20:32]}"
        idle = {
            "index": index, "count": kind.count, "uuid": uuid, "name": f"NVIDIA {kind.gpu}",
            "timestamp": "", "driver_version": DRIVER, "serial": "[N/A]", "pstate": "P8",
            "compute_cap": _capability(kind.gpu), "mig.mode.current": "[N/A]",
            "memory.total": f"{total} MiB", "memory.used": "3 MiB", "memory.free": f"{total - 3} MiB",
            "memory.reserved": "0 MiB", "utilization.gpu": "0 %", "utilization.memory": "0 %",
            "temperature.gpu": 31, "temperature.memory": "N/A", "power.draw": f"{watts * 0.08:.2f} W",
            "power.limit": f"{watts:.2f} W", "enforced.power.limit": f"{watts:.2f} W",
            "clocks.current.sm": "210 MHz", "clocks.sm": "210 MHz",
            "clocks.current.memory": "405 MHz", "fan.speed": "[N/A]",
            "ecc.errors.uncorrected.volatile.total": 0,
            "clocks_event_reasons.active": "0x0000000000000001",
            "clocks_throttle_reasons.active": "0x0000000000000001",
        }  # fmt: skip
        load = idle | {
            "pstate": "P0", "memory.used": f"{min(total, 17000)} MiB",
            "memory.free": f"{max(0, total - 17000)} MiB", "utilization.gpu": "64 %",
            "utilization.memory": "41 %", "temperature.gpu": 58, "power.draw": f"{watts * 0.6:.2f} W",
            "clocks.current.sm": "1980 MHz", "clocks.sm": "1980 MHz",
            "clocks_event_reasons.active": "0x0000000000000000",
            "clocks_throttle_reasons.active": "0x0000000000000000",
        }  # fmt: skip
        gpus.append({"idle": _headed(idle), "load": _headed(load)})
        names.append(f"GPU {index}: NVIDIA {kind.gpu} (UUID: {uuid})")
    return {"gpus": gpus, "list": names}


def _headed(fields: dict[str, Any]) -> dict[str, list[str]]:
    found = {}
    for name, value in fields.items():
        unit = (
            str(value).rpartition(" ")[2] if " " in str(value) and str(value)[0].isdigit() else ""
        )
        found[name] = [f"{name} [{unit}]" if unit else name, str(value)]
    return found


def _capability(gpu: str) -> str:
    found = [value for start, value in _CAPABILITY.items() if gpu.startswith(start)]
    return "8.6" if not found or gpu in {"A10", "A10G"} else found[0]
