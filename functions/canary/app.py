"""Adds a picture, finds it by a changed copy, and deletes it; run by a schedule, if there is one."""

from lookalike.handlers.canary import canary_handler

handler = canary_handler()
