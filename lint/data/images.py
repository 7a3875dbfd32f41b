"""Inspect encoded images: their size and channels, whether they can be decoded, and the distribution of values."""

from __future__ import annotations

import io
import warnings
from typing import Any

from ..proto.named_tuple import NamedTuple
from .broken import BrokenData
from .libraries import library

# Magic bytes of image formats that OpenCV reads and people use for training.
_KINDS = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    (b"RIFF", "WebP"), (b"P5", "PGM"), (b"P6", "PPM"),
)  # fmt: skip
# Formats that OpenCV's imread reads, by Pillow's names. No decoder of them starts another program.
_DECODED = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "SUN")


class Image(NamedTuple):
    """An image: its stored channels (4 with transparency), and its histogram of 256 counts over all channels.

    `fault` is `unreadable` (not an image), `truncated` or empty (no fault); `detail` says more.
    """

    channels: int
    height: int
    width: int
    histogram: list[int]
    fault: str
    detail: str


class BrokenImage(BrokenData):
    """An image cannot be decoded; says why. `size` is its channels, height and width as far as they are known."""

    def __init__(self, reason: str, size: tuple[int, int, int] = (0, 0, 0)) -> None:
        super().__init__(reason)
        self.size = size


def decoded(content: bytes) -> Any:
    """The image of Pillow that is encoded, decoded completely. Raises MissingLibrary, BrokenImage."""
    pillow = library("PIL.Image", "reading encoded images")
    if not content:
        raise BrokenImage("it is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            image = pillow.open(io.BytesIO(content), formats=_DECODED)
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        raise BrokenImage(f"it has more than {pillow.MAX_IMAGE_PIXELS} pixels, the most that are decoded") from None
    except Exception as error:
        raise BrokenImage(_fault_in_words(error, content)) from None
    try:
        image.load()
    except Exception as error:
        raise BrokenImage(_fault_in_words(error, content), (_channels(image), image.height, image.width)) from None
    return image


def look_at(content: bytes) -> Image:
    """Inspect an encoded image by decoding it completely. Raises MissingLibrary."""
    try:
        image = decoded(content)
    except BrokenImage as error:
        return Image(*error.size, [], "truncated" if any(error.size) else "unreadable", str(error))
    channels = _channels(image)
    width, height = image.size
    histogram = [0] * 256
    if image.mode in ("L", "RGB", "RGBA", "P", "CMYK"):
        whole = image.convert("RGB").histogram() if image.mode in ("P", "CMYK") else image.histogram()
        for value in range(256):
            histogram[value] = sum(whole[value::256][:3])
    return Image(channels, height, width, histogram, "", "")


def kind_of(content: bytes) -> str:
    """Return the image format according to the first bytes, empty if it is unknown."""
    return next((kind for magic, kind in _KINDS if content.startswith(magic)), "")


def _channels(image: Any) -> int:
    return {"L": 1, "1": 1, "I": 1, "I;16": 1, "F": 1, "LA": 1, "RGBA": 4}.get(image.mode, 3)


def _fault_in_words(error: Exception, content: bytes) -> str:
    kind = kind_of(content)
    if "truncated" in str(error).lower() or "unexpected end" in str(error).lower():
        return f"{kind or 'the image'} is truncated".strip()
    return f"a damaged {kind}" if kind else "it is not an image"
