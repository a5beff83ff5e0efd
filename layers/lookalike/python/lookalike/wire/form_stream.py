"""A multipart form whose file is handed on piece by piece, so that it is never in memory as a whole."""

from __future__ import annotations

from lookalike.errors import InvalidArgument
from lookalike.wire import forms

#: Field with the file. What comes behind it is ignored, as by Amazon S3 ("POST Object").
FILE = "file"

#: Bytes of the fields before the file, their heads included.
_MAX_HEAD_BYTES = 32 * 1024


class FormStream:
    """Reads a form from pieces of its body, however they are cut.

    Attributes
    ----------
    fields : those before the file; None until the file begins.
    complete : whether the file has ended.

    Raises
    ------
    InvalidArgument : the type is no multipart form's.
    """

    def __init__(self, content_type: str) -> None:
        boundary = forms.boundary_of(content_type)
        if boundary is None:
            raise InvalidArgument("Content-Type", "must be multipart/form-data, with its boundary")
        self.fields: forms.Form | None = None
        self.complete = False
        self._content_type = content_type
        self._delimiter = b"\r\n--" + boundary
        self._waiting = b"\r\n"  # a delimiter begins a line, so the first one needs a line's end before it

    def feed(self, piece: bytes) -> bytes:
        """Take a piece of the body; return what it completes of the file.

        Raises InvalidArgument if the fields cannot be read, or are too long.
        """
        if self.complete:
            return b""
        self._waiting += piece
        if self.fields is None and not self._begins():
            return b""
        end = self._waiting.find(self._delimiter)
        self.complete = end >= 0
        if not self.complete:
            end = max(len(self._waiting) - len(self._delimiter), 0)  # the rest may be the beginning of the delimiter
        file, self._waiting = self._waiting[:end], self._waiting[end:]
        return file

    def _begins(self) -> bool:
        """Whether the file begins within what has come; then it is all that waits."""
        start = 0
        while (start := self._waiting.find(self._delimiter, start)) >= 0:
            begins = start + len(self._delimiter)
            end = self._waiting.find(b"\r\n\r\n", begins)
            if 0 <= end <= _MAX_HEAD_BYTES and FILE in self._read(self._waiting[begins : end + 4]):
                self.fields = forms.read(self._content_type, self._waiting[2:start] + self._delimiter + b"--\r\n")
                self._waiting = self._waiting[end + 4 :]
                return True
            start = begins
        if len(self._waiting) > _MAX_HEAD_BYTES:
            raise InvalidArgument(FILE, f"does not begin within {_MAX_HEAD_BYTES} bytes")
        return False

    def _read(self, part: bytes) -> forms.Form:
        """Read a part of the form that has no value yet."""
        return forms.read(self._content_type, self._delimiter[2:] + part + self._delimiter + b"--\r\n")
