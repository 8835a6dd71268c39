"""Memory in large pages, where the system has them: weights are read from it a tenth to a fifth quicker.

A processor finds the place of each page in tables of its own, and fetches ahead only to the end of a page. Usual pages
hold 4 kB; Linux gives pages of 2 MB to who asks (`/sys/kernel/mm/transparent_hugepage`).
"""

from __future__ import annotations

import ctypes
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
        self._piece: mmap.mmap | None = None
        self._start = self._stop = 0

    def empty(self, count: int, dtype: torch.dtype) -> Tensor:
        """Return `count` numbers that may hold anything."""
        if not self.large or not count:
            return torch.empty(count, dtype=dtype)
        size = -(-count * dtype.itemsize // _BETWEEN) * _BETWEEN
        with self._lock:
            if self._piece is None or self._start + size > self._stop:
                self._piece, self._start, self._stop = self._asked(size)
            start, self._start = self._start, self._start + size
            return torch.frombuffer(self._piece, dtype=dtype, count=count, offset=start)

    def _asked(self, size: int) -> tuple[mmap.mmap, int, int]:
        """Return a new piece, and where in it large pages begin and end."""
        # What the last piece was filled from was freed meanwhile; the C library would keep it for itself.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        length = -(-max(size, _PIECE) // _PAGE) * _PAGE
        memory = mmap.mmap(-1, length + _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            # The system was made without them.
            self.large = False
        start = -torch.frombuffer(memory, dtype=torch.uint8).data_ptr() % _PAGE
        return memory, start, start + length


PAGES: Final = Pages()
