"""Errors of jobs."""

from __future__ import annotations

from lookalike.errors import StateError


class JobNotFound(StateError):
    """The tenant has no job of that name."""

    field = "job"
    problem = "there is none called {0.name}"


class JobIsOther(StateError):
    """The job of that name does something else."""

    field = "job"
    problem = "{0.name} is the name of a job that does something else"
    remedy = "choose another name"


class JobInProgress(StateError):
    """Another job does this to the library now: ``name`` is its name."""

    field = "job"
    problem = "{0.name} does this now"
    remedy = "wait for it, or cancel it"


class JobFinished(StateError):
    """The job has finished, and can neither be paused nor go on.

    Parameters
    ----------
    name : of the job.
    state : its state.
    """

    field = "job"
    problem = "{0.name} is {0.state}"
    remedy = "start another one"

    def __init__(self, name: str, state: str) -> None:
        super().__init__(name)
        self.state = state


class JobFailed(StateError):
    """The job has come to an end, and is not done.

    Parameters
    ----------
    name : of the job.
    state : its state.
    detail : why, if it has failed.
    """

    field = "job"
    problem = "{0.name} is {0.state}{0.detail}"

    def __init__(self, name: str, state: str, detail: str) -> None:
        super().__init__(name)
        self.state = state
        self.detail = f": {detail}" if detail else ""
