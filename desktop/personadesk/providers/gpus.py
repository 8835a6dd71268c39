"""GPUs by their usual names: every provider spells them its own way, and some do not tell their memory."""

from __future__ import annotations

import re

MEMORY_GB: dict[str, float] = {
    "A10": 24, "A10G": 24, "A30": 24, "A40": 48, "A100 40GB": 40, "A100 80GB": 80, "B200": 180, "B300": 288,
    "GH200": 96, "H100": 80, "H100 NVL": 94, "H200": 141, "H200 NVL": 143, "L4": 24, "L40": 48, "L40S": 48,
    "P100": 16, "T4": 16, "V100 16GB": 16, "V100 32GB": 32, "RTX 3060": 12, "RTX 3070": 8, "RTX 3080": 10,
    "RTX 3080 Ti": 12, "RTX 3090": 24, "RTX 3090 Ti": 24, "RTX 4000 Ada": 20, "RTX 4060 Ti": 16, "RTX 4070": 12,
    "RTX 4070 Ti": 12, "RTX 4080": 16, "RTX 4080 Super": 16, "RTX 4090": 24, "RTX 5000 Ada": 32,
    "RTX 5080": 16, "RTX 5090": 32, "RTX 6000": 24, "RTX 6000 Ada": 48, "RTX A2000": 6, "RTX A4000": 16,
    "RTX A4500": 20, "RTX A5000": 24, "RTX A6000": 48, "RTX PRO 6000": 96,
}  # fmt: skip
"""Memory of one GPU in GB as sold, by usual name."""

_NOISE = re.compile(
    r"\b(nvidia|geforce|tesla|quadro|sxm\d?|pcie|hbm\d?e?|server|workstation|edition|blackwell|generation|"
    r"ws|max-?q|gpu)\b|[()\[\],]",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"\b(\d+)\s*-?\s*(?:gb|gib)\b", re.IGNORECASE)
_BY_SIZE = {"A100": ("A100 40GB", "A100 80GB"), "V100": ("V100 16GB", "V100 32GB")}


def usual_name(said: str, memory_gb: float = 0.0) -> str:
    """Return the usual name of a GPU.

    Args:
        said: As a provider spells it: `NVIDIA A100 80GB PCIe`, `RTX_4090`, `gpu_1x_a10`, `nvidia-l4`.
        memory_gb: Its memory where that is known; tells two sizes of one GPU apart.

    Returns:
        One of the names in `MEMORY_GB` where it is one of them; else what was said, without the maker's name.
    """
    text = said.replace("_", " ").replace("-", " ")
    size = _MEMORY.search(text)
    memory = memory_gb or (float(size.group(1)) if size else 0.0)
    bare = " ".join(_NOISE.sub(" ", _MEMORY.sub(" ", text)).split())
    squeezed = bare.replace(" ", "").casefold()
    for family, (small, large) in _BY_SIZE.items():
        if squeezed.startswith(family.casefold()):
            return large if memory >= MEMORY_GB[large] * 0.9 else small
    best = ""
    for name in MEMORY_GB:
        short = name.replace(" ", "").casefold()
        for each in (short, short.removeprefix("rtx")):
            if squeezed == each and len(name) > len(best):
                best = name
    return best or bare or said


def memory_of(name: str) -> float:
    """Return the memory of a GPU in GB by its usual name, 0 when it is not known."""
    return MEMORY_GB.get(name, 0.0)
