"""How much memory a language model of either side takes: in a process of its own, where nothing else grows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LIMIT_S = 120
_STEPS = 3


def grown_mb(side: str, size: str, rows: int, folder: Path | None) -> float | None:
    """Return by how many MB a process grows that builds a model and makes a few steps.

    Args:
        side: "ours" or "moshi".
        size: A key of `subjects.SIZES`.
        rows: Rows.
        folder: Where the reference is installed.

    Returns:
        None where the system does not tell, or the side is not there.
    """
    if side == "moshi" and folder is None:
        return None
    command = [sys.executable, "-m", __name__, side, size, str(rows), str(folder or "")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    word = done.stdout.strip()
    return float(word) if done.returncode == 0 and word else None


def main(side: str, size: str, rows: str, folder: str) -> None:
    """Build the model, step, and print the growth in MB."""
    import gc

    import torch

    from . import reference, subjects
    from .measure import resident_bytes

    torch.set_num_threads(1)
    config = subjects.SIZES[size]
    weights = subjects.lm_weights(config)
    if side == "moshi":
        reference.load(Path(folder))
    gc.collect()
    before = resident_bytes()
    if before is None:
        return
    with torch.inference_mode():
        step = (
            subjects.reference_step(config, weights, int(rows))
            if side == "moshi"
            else subjects.Language(config, weights, int(rows)).full_step
        )
        for _ in range(_STEPS):
            step()
    gc.collect()
    print((resident_bytes() or 0) / 1e6 - before / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
