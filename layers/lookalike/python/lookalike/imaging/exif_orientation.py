"""Which way up a picture is: the one EXIF field that matters here.

Pillow reads all of EXIF and warns of what is broken in it, through :mod:`warnings`, which threads share.
One SHORT of one directory needs neither.
"""

from __future__ import annotations

import struct

from PIL import Image

_ORIENTATION = 0x0112  # the tag's number, EXIF 2.32 (CIPA DC-008) §4.6.4
_SHORT = 3  # the only type it may have
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(exif: bytes) -> int:
    """The orientation (1…8) in an EXIF block, which is a TIFF structure; 1 if there is none or it is corrupt."""
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and value in _UPRIGHT else 1
    except struct.error:
        pass
    return 1


def upright(image: Image.Image, exif: bytes) -> Image.Image:
    """The picture turned as its EXIF block asks."""
    method = _UPRIGHT.get(orientation(exif))
    return image if method is None else image.transpose(method)
