"""Takes away for good what was deleted long enough ago; run by a schedule."""

from lookalike.handlers.purge import purge_handler

handler = purge_handler()
