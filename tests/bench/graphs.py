"""The graphs of OpenSearch 2.19 that its benchmark compares, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.stores.aws.opensearch_admin import GRAPH


def _graph(engine: str, encoder: Mapping[str, Any] | None = None, **fields: str) -> dict[str, Any]:
    """The deployed mapping of a vector, with another engine, an encoder of its numbers, and further fields."""
    method = GRAPH["method"]
    parameters = {**method["parameters"], **({"encoder": encoder} if encoder else {})}
    return {**GRAPH, **fields, "method": {**method, "engine": engine, "parameters": parameters}}


def _on_disk(times: int) -> dict[str, Any]:
    """FAISS's graph over numbers of a few bits; the best are compared once more, with vectors read from the disk."""
    return _graph("faiss", mode="on_disk", compression_level=f"{times}x")


#: Fields of the vector's mapping. Lucene knows no compression but 4x, its 7 bits a number; FAISS knows none of 4x.
GRAPHS: Mapping[str, dict[str, Any]] = {
    "lucene": GRAPH,
    "lucene-product": {**GRAPH, "space_type": "innerproduct"},
    "lucene-7-bit": _graph("lucene", {"name": "sq", "parameters": {"bits": 7}}),
    "lucene-on-disk-4x": _graph("lucene", mode="on_disk", compression_level="4x"),
    "faiss": _graph("faiss"),
    "faiss-fp16": _graph("faiss", {"name": "sq", "parameters": {"type": "fp16"}}),
    "faiss-on-disk-8x": _on_disk(8),
    "faiss-on-disk-16x": _on_disk(16),
    "faiss-on-disk-32x": _on_disk(32),
}


def needs_native_code(name: str) -> bool:
    """Whether a graph is made by FAISS's native library, which a distribution of OpenSearch has."""
    return bool(GRAPHS[name]["method"]["engine"] == "faiss")
