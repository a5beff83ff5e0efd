"""The interfaces that the use cases depend on, as small protocols. Every store passes the same contract suite.

A revision-checked write is the one primitive of change: ``put(picture, previous)`` takes effect only when the
stored revision is still ``previous``. Everything else (duplicate refusal, soft deletion, purge) is built on it.
"""

from __future__ import annotations

from lookalike.ports.applications import ApplicationLookup, Applications, Counters
from lookalike.ports.backlog import Backlogs
from lookalike.ports.catalog import Catalog
from lookalike.ports.clock import Clock
from lookalike.ports.embeddings import Embeddings, Indices, ModelFiles, Models, View
from lookalike.ports.fetcher import Fetcher
from lookalike.ports.finder import Finder, Looking
from lookalike.ports.index import Generations, VectorIndex
from lookalike.ports.models import BatchVerification, Embedder, QueryVerifier, Verifier
from lookalike.ports.objects import MapStore, PictureStore
from lookalike.ports.ports import Ports
from lookalike.ports.records import Records
from lookalike.ports.staging import StagedFiles
from lookalike.ports.stores import Stores
from lookalike.ports.uploads import DeadLetters, Uploads, UploadStore

__all__ = [
    "ApplicationLookup",
    "Applications",
    "Backlogs",
    "BatchVerification",
    "Catalog",
    "Clock",
    "Counters",
    "DeadLetters",
    "Embedder",
    "Embeddings",
    "Fetcher",
    "Finder",
    "Generations",
    "Indices",
    "Looking",
    "MapStore",
    "ModelFiles",
    "Models",
    "PictureStore",
    "Ports",
    "QueryVerifier",
    "Records",
    "StagedFiles",
    "Stores",
    "UploadStore",
    "Uploads",
    "VectorIndex",
    "Verifier",
    "View",
]
