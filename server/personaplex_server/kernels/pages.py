"""Memory in large pages, where the system has them: weights are read from it a good third quicker.

A processor finds the place of each page in tables of its own, and fetches ahead only to the end of a page. Usual pages
hold 4 kB; Linux gives pages of 2 MB to who asks (`/sys/kernel/mm/transparent_hugepage`).
"""

from __future__ import annotations

import mmap
import threading
from typing import Final

import torch
from torch import Tensor

_PAGE: Final = 2 << 20
_PIECE: Final = 16 * _PAGE
"""So much address space is asked for at once; what is not written to takes no memory."""
_BETWEEN: Final = 64


class Pages:
    """Hands out memory that is asked for once and kept long; it is given back when all of a piece is.

    Attributes:
        large: Whether the system knows large pages.
    """

    def __init__(self) -> None:
        self.large = hasattr(mmap, "MADV_HUGEPAGE")
        self._lock = threading.Lock()
        self._piece, self._used = torch.empty(0, dtype=torch.uint8), 0

    def empty(self, count: int, dtype: torch.dtype) -> Tensor:
        """Return `count` numbers that may hold anything."""
        if not self.large:
            return torch.empty(count, dtype=dtype)
        size = max(count * dtype.itemsize, 1)
        with self._lock:
            if self._used + size > len(self._piece):
                self._piece, self._used = self._asked(size), 0
            start = self._used
            self._used += -(-size // _BETWEEN) * _BETWEEN
            return self._piece[start : start + count * dtype.itemsize].view(dtype)

    def _asked(self, size: int) -> Tensor:
        """Return a new piece that begins where a large page does."""
        length = -(-max(size, _PIECE) // _PAGE) * _PAGE
        memory = mmap.mmap(-1, length + _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            # The system was made without them.
            self.large = False
        found = torch.frombuffer(memory, dtype=torch.uint8)
        start = -found.data_ptr() % _PAGE
        return found[start : start + length]


PAGES: Final = Pages()
