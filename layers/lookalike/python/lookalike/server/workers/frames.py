"""Frames between the server and a worker: JSON, and bytes behind it, with both lengths in front."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

#: Bytes of the JSON, and of what is behind it.
_LENGTHS = struct.Struct("!II")


class LostError(Exception):
    """The other process is gone, or sends what is no frame."""


def send_frame(connection: socket.socket, content: Any, data: bytes | memoryview = b"") -> None:
    """Send a frame: ``content`` as JSON, and bytes. Raises LostError."""
    text = json.dumps(content, separators=(",", ":")).encode()
    try:
        connection.sendall(_LENGTHS.pack(len(text), len(data)) + text)
        if len(data):
            connection.sendall(data)
    except OSError as error:
        raise LostError(error) from error


def receive_frame(connection: socket.socket) -> tuple[Any, bytearray]:
    """Wait for a frame; return its content and its bytes. Raises LostError."""
    text_length, data_length = _LENGTHS.unpack(_receive(connection, _LENGTHS.size))
    text, data = _receive(connection, text_length), _receive(connection, data_length)
    try:
        return json.loads(text), data
    except ValueError as error:
        raise LostError(error) from error


def is_readable(connection: socket.socket, seconds: float) -> bool:
    """Wait until something has been sent, or the other process is gone; return whether that is so within these seconds."""
    waiting = select.poll()  # select.select refuses descriptors from 1024 on, and a busy server has them
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(1000 * seconds))


def _receive(connection: socket.socket, length: int) -> bytearray:
    received = bytearray(length)
    room = memoryview(received)
    try:
        while room:
            count = connection.recv_into(room)
            if not count:
                raise LostError("the connection has ended")
            room = room[count:]
    except OSError as error:
        raise LostError(error) from error
    return received
