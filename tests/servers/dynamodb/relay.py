"""Runs a server that listens on every address in its own network namespace, so that no other machine can reach it.

    unshare --map-root-user --net python relay.py FD PORT COMMAND...

Connections to the listening socket FD, which was created outside the namespace, are forwarded to the server's PORT.
Prints ``ready`` once the server accepts connections. Ends, with the server, when its standard input is closed.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
import threading
import time

_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40  # linux/sockios.h, linux/if.h


def loopback_up() -> None:
    """Start the loopback interface, the only one of a new namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING))


def connected(port: int) -> socket.socket:
    """A connection to the server."""
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    """Start the server, and wait until it accepts connections."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    while True:
        try:
            connected(port).close()
        except OSError:
            if server.poll() is not None:
                sys.exit(f"{command[0]} has ended with {server.returncode}")
            time.sleep(0.05)
        else:
            return server


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes from one socket to the other until the source ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one side has closed: close the other
        source.close()
        target.close()


def relay(listening: socket.socket, port: int) -> None:
    """Forward each accepted connection to the server, in both directions."""
    while True:
        caller, _ = listening.accept()
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = connected(port)
        for ends in ((caller, server), (server, caller)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


if __name__ == "__main__":
    descriptor, port, *command = sys.argv[1:]
    loopback_up()
    server = started(command, int(port))
    threading.Thread(target=relay, args=(socket.socket(fileno=int(descriptor)), int(port)), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    server.terminate()
    server.wait()
