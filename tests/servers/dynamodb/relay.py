"""Runs a server that would listen on every address in a network namespace of its own, where nobody can reach it.

    unshare --map-root-user --net python relay.py FD PORT COMMAND...

What arrives at the listening socket FD, which was made outside and stays there, goes on to the server's PORT. It says
``ready`` once the server answers, and ends, with the server, when its standard input does.
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
    """A new namespace has nothing but a loopback interface, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING))


def connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
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
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one side is gone: the other learns it
        source.close()
        target.close()


def relay(listening: socket.socket, port: int) -> None:
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
