"""A source of choices that reads its choices from bytes, so that a fuzzer that changes bytes changes single choices."""

from __future__ import annotations

import random
import zlib


class Choices(random.Random):
    """Choices as bytes say, in their order; once these are used up, as a generator says that they seed."""

    def __init__(self, data: bytes) -> None:
        super().__init__(zlib.crc32(data))
        self._data = data
        self._at = 0

    def getrandbits(self, k: int, /) -> int:
        """Return a number of k bits."""
        size = (k + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        if len(piece) < size:
            return super().getrandbits(k)
        return int.from_bytes(piece, "little") & ((1 << k) - 1)

    def random(self) -> float:
        """Return a number from 0 to 1."""
        return self.getrandbits(16) / (1 << 16)
