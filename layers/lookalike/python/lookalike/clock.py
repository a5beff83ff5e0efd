"""The time, as the use cases ask for it."""

import time


def unix_milliseconds() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
