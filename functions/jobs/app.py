"""Does the jobs that wait, a while at a time; run by a schedule."""

from lookalike.handlers.jobs import jobs_handler

handler = jobs_handler()
