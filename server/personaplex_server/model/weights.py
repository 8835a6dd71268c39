"""Weights straight from a model folder: memory-mapped safetensors, every fault named in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError, safe_open

from .config import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

LM_FILE: Final = "model.safetensors"
CODEC_FILE: Final = "tokenizer-e351c8d8-checkpoint125.safetensors"
TEXT_FILE: Final = "tokenizer_spm_32k_3.model"

_FLOATS: Final = {"F64", "F32", "F16", "BF16"}


class TensorFile:
    """One safetensors file, opened memory-mapped; tensors are copied out one by one as they are asked for.

    Args:
        path: The file.
        device: Where tensors go.
        dtype: What they become.
        on_bytes: Told how many bytes of the file each read covered, for progress.

    Raises:
        CheckpointError: The file is missing, incomplete or no safetensors file.
    """

    def __init__(
        self,
        path: Path,
        device: torch.device,
        dtype: torch.dtype,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self.path = path
        self.device = device
        self.dtype = dtype
        self._on_bytes = on_bytes
        if not path.is_file():
            raise CheckpointError(
                f"{path.name} is missing from {path.parent}; get the model again, or name another folder."
            )
        try:
            opener: Any = safe_open  # its methods carry no types
            self._file = opener(str(path), framework="pt", device="cpu")
            self._keys = frozenset(self._file.keys())
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path.name} in {path.parent} is incomplete or not a safetensors file ({error}); "
                "get it again."
            ) from error

    def has(self, key: str) -> bool:
        """Whether the file holds `key`."""
        return key in self._keys

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the stored shape of `key`.

        Raises:
            CheckpointError: There is no such key, or it does not hold floating-point numbers.
        """
        if key not in self._keys:
            raise CheckpointError(
                f"{self.path.name} lacks “{key}”; it is not a PersonaPlex file of the expected layout."
            )
        part = self._file.get_slice(key)
        if part.get_dtype() not in _FLOATS:
            raise CheckpointError(
                f"{self.path.name}: “{key}” is stored as {part.get_dtype()}; this server reads plain "
                "floating-point weights only."
            )
        return tuple(part.get_shape())

    def columns(self, key: str) -> int:
        """Return the columns of a matrix, for the widths that config.json does not say.

        Raises:
            CheckpointError: No such key, or it is no matrix.
        """
        shape = self.shape(key)
        if len(shape) != 2:
            raise CheckpointError(
                f"{self.path.name}: “{key}” has the shape {list(shape)} where a matrix is expected."
            )
        return shape[1]

    def take(
        self,
        key: str,
        shape: Sequence[int],
        *,
        rows: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return a tensor on the wanted device, checked for its shape.

        Args:
            key: Its name in the file.
            shape: What its shape must be, before `rows` cuts it.
            rows: Take only the first rows; the others are never read.
            dtype: Instead of the file's own default.

        Raises:
            CheckpointError: No such key, another shape, or an unreadable file.
        """
        stored = self.shape(key)
        if stored != tuple(shape):
            raise CheckpointError(
                f"{self.path.name}: “{key}” has the shape {list(stored)} where {list(shape)} is "
                "expected; weights and config.json do not belong together."
            )
        tensor = self.read(key, rows)
        # A copy in any case: the rest of the program must not depend on the mapped file staying as it is.
        return tensor.to(device=self.device, dtype=dtype or self.dtype, copy=True).contiguous()

    def read(self, key: str, rows: int | None) -> Tensor:
        """Return `key`, or its first rows, as it is stored.

        Raises:
            CheckpointError: The file cannot be read.
        """
        part = self._file.get_slice(key)
        try:
            tensor: Tensor = part[:] if rows is None else part[:rows]
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{self.path.name}: “{key}” cannot be read ({error}).") from error
        if self._on_bytes is not None:
            self._on_bytes(tensor.numel() * tensor.element_size())
        return tensor
