"""Reads and applies the EXIF orientation.

Pillow would parse the whole EXIF block and report broken entries through :mod:`warnings`, which is shared by threads.
One SHORT of one directory needs neither.
"""

from __future__ import annotations

import struct

from PIL import Image

_ORIENTATION = 0x0112  # tag number, EXIF 2.32 (CIPA DC-008) §4.6.4
_SHORT = 3  # the only type allowed for the tag
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(exif: bytes) -> int:
    """Return the orientation (1…8) of an EXIF block, a TIFF structure; 1 if it is missing or corrupt."""
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and value in _TRANSPOSES else 1
    except struct.error:
        pass
    return 1


def upright(image: Image.Image, exif: bytes) -> Image.Image:
    """Return the image with its EXIF orientation applied."""
    method = _TRANSPOSES.get(orientation(exif))
    return image if method is None else image.transpose(method)
