"""Which room of the source may import which, where vendors' words may stand, and how large things may be.

The rooms are data: moving a module changes tables here and no test. Tables are exact in both directions: what is not
listed may not be, and what is listed and no longer needed fails as well, so that they only shrink.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from tests.architecture import source

#: Every room, and the rooms that its modules import today, for types included. The name of a room is what its modules'
#: names begin with.
MAY_IMPORT: dict[str, set[str]] = {
    # What runs in Lambda: a function names its routes, its handler works with the ports of the process.
    "functions": {
        "lookalike.handlers",
        "lookalike.wire",
        "lookalike.wire.baidu",
        "lookalike.wire.console",
        "lookalike.wire.jumdata",
        "lookalike.wire.native",
        "lookalike.wire.qiniu",
    },
    "lookalike.handlers": {
        "lookalike.bootstrap",
        "lookalike.limits",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.stores.aws",
        "lookalike.triggers",
        "lookalike.wire",
    },
    "lookalike.bootstrap": {
        "lookalike.download",
        "lookalike.embedding",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.settings",
        "lookalike.stores.aws",
        "lookalike.stores.local",
    },
    # The vendors' dialects, and the events of AWS: they know use cases and no store.
    "lookalike.wire": {
        "lookalike",
        "lookalike.domain",
        "lookalike.embedding",
        "lookalike.errors",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
    },
    "lookalike.wire.baidu": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.wire",
    },
    "lookalike.wire.qiniu": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.wire",
    },
    "lookalike.wire.jumdata": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.wire",
    },
    # Files alone, so that what serves them starts at once.
    "lookalike.wire.console": set(),
    "lookalike.wire.native": {
        "lookalike",
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.wire",
        "lookalike.wire.baidu",  # whose access tokens open this API, too
    },
    "lookalike.triggers": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
    },
    # The use cases: no dialect, no HTTP, no store.
    "lookalike.service": {
        "lookalike.domain",
        "lookalike.embedding",  # which crops of a query are embedded
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.limits",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.verification",
    },
    # What they work with: URLs to bytes, bytes to pixels, pixels to vectors, vectors and pixels to a match.
    "lookalike.download": {"lookalike", "lookalike.errors", "lookalike.ports"},
    "lookalike.imaging": {"lookalike.domain", "lookalike.errors", "lookalike.limits"},
    "lookalike.embedding": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.once",
        "lookalike.ports",
        "lookalike.verification",
    },
    "lookalike.verification": {"lookalike.domain", "lookalike.embedding", "lookalike.ports"},
    # Technologies, each behind a port.
    "lookalike.stores": {"lookalike.domain"},
    "lookalike.stores.aws": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.observability",
        "lookalike.once",
        "lookalike.ports",
        "lookalike.settings",
        "lookalike.stores",
        "lookalike.stores.segments",
    },
    "lookalike.stores.local": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.observability",
        "lookalike.once",
        "lookalike.ports",
        "lookalike.settings",
        "lookalike.stores",
        "lookalike.stores.aws",
        "lookalike.stores.vectors",
    },
    "lookalike.stores.vectors": {
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.stores",
        "lookalike.stores.segments",
    },
    # The format that both keep segments in.
    "lookalike.stores.segments": {"lookalike.domain", "lookalike.stores"},
    # What all of them share.
    "lookalike.ports": {"lookalike.domain", "lookalike.limits", "lookalike.settings"},
    "lookalike.domain": {"lookalike.errors"},
    "lookalike.limits": {"lookalike.errors"},
    "lookalike.errors": {"lookalike.domain"},
    "lookalike.settings": {"lookalike.errors"},
    "lookalike.observability": {"lookalike.errors", "lookalike.settings"},
    "lookalike.once": set(),
    "lookalike": set(),
    # One machine, the command line, and what makes models.
    "lookalike.__main__": {"lookalike.cli"},
    "lookalike.cli": {
        "lookalike",
        "lookalike.bootstrap",
        "lookalike.domain",
        "lookalike.embedding",
        "lookalike.errors",
        "lookalike.imaging",  # previews for the report of a folder
        "lookalike.limits",
        "lookalike.ports",
        "lookalike.server",
        "lookalike.service",
        "lookalike.settings",
        "lookalike.stores.aws",
        "lookalike.stores.local",
        "lookalike.training",
        "lookalike.transfer",
        "lookalike.verification",
        "lookalike.wire.baidu",
        "lookalike.wire.native",
    },
    # Many pictures at once: use cases below it, and the API of a running service.
    "lookalike.transfer": {
        "lookalike",
        "lookalike.domain",
        "lookalike.embedding",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.limits",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.wire",
        "lookalike.wire.jumdata",
        "lookalike.wire.native",
    },
    "lookalike.server": {
        "lookalike",
        "lookalike.bootstrap",
        "lookalike.domain",
        "lookalike.errors",
        "lookalike.handlers",
        "lookalike.limits",
        "lookalike.observability",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.settings",
        "lookalike.stores.local",
        "lookalike.triggers",
        "lookalike.wire",
        "lookalike.wire.native",  # whose problems answer files that are sent ahead
    },
    "lookalike.training": {
        "lookalike.domain",
        "lookalike.embedding",
        "lookalike.errors",
        "lookalike.imaging",
        "lookalike.ports",
        "lookalike.service",
        "lookalike.verification",
    },
}

#: What only one machine or training has; the deployed layer leaves it out.
NOT_DEPLOYED = {
    "lookalike.cli",
    "lookalike.server",
    "lookalike.training",
    "lookalike.transfer",
    "lookalike.stores.local",
    "lookalike.stores.vectors",
}

_STORES = {
    "lookalike.stores",
    "lookalike.stores.aws",
    "lookalike.stores.local",
    "lookalike.stores.segments",
    "lookalike.stores.vectors",
}
_WIRE = {
    "lookalike.wire",
    "lookalike.wire.baidu",
    "lookalike.wire.qiniu",
    "lookalike.wire.jumdata",
    "lookalike.wire.console",
    "lookalike.wire.native",
}
_ABOVE = {
    "functions",
    "lookalike.handlers",
    "lookalike.bootstrap",
    "lookalike.cli",
    "lookalike.server",
    "lookalike.training",
    "lookalike.transfer",
}

#: What no table above may ever allow.
NEVER: dict[str, set[str]] = {
    "functions": set(MAY_IMPORT) - {"functions", "lookalike.handlers", *_WIRE},
    "lookalike.domain": set(MAY_IMPORT) - {"lookalike.domain", "lookalike.errors"},
    "lookalike.service": _WIRE | _STORES | _ABOVE,
    "lookalike.triggers": _WIRE | _STORES | _ABOVE,
    **dict.fromkeys(_WIRE, _STORES | _ABOVE),
    **{room: {"lookalike.service"} | _WIRE | _ABOVE for room in _STORES},
    "lookalike.stores.aws": {"lookalike.service", "lookalike.stores.local", "lookalike.stores.vectors"}
    | _WIRE
    | _ABOVE,
    **{
        room: {"lookalike.service"} | _STORES | _WIRE | _ABOVE
        for room in ("lookalike.imaging", "lookalike.embedding", "lookalike.verification")
    },
    "lookalike.download": {"lookalike.imaging", "lookalike.embedding", "lookalike.verification", "lookalike.service"}
    | _STORES
    | _WIRE
    | _ABOVE,
}

#: All that verification imports of other rooms, beside the domain: no embedder, no store. Modules.
VERIFICATION_IMPORTS = {
    "lookalike.embedding.feature_map",
    "lookalike.ports.models",
}

#: Only these may import the composition root.
ABOVE_BOOTSTRAP = {"lookalike.handlers", "lookalike.cli", "lookalike.server"}

#: The composition root opens one machine's stores where the settings name a folder, which no function's do.
OPENS_LOCAL_STORES = "lookalike.bootstrap"

#: Modules that import each other's module from within a function, because their own import would be a circle. None.
CIRCLES: list[str] = []

#: Rooms in which no vendor is named, not even in comments.
VENDOR_FREE = (
    "lookalike.domain",
    "lookalike.service",
    "lookalike.errors",
    "lookalike.ports",
    "lookalike.limits",
    "lookalike.triggers",
    "lookalike.stores",
    "lookalike.stores.aws",
    "lookalike.stores.local",
    "lookalike.stores.segments",
    "lookalike.stores.vectors",
    "lookalike.embedding",
    "lookalike.verification",
    "lookalike.imaging",
    "lookalike.download",
)
VENDORS = re.compile(r"baidu|qiniu|jumdata", re.IGNORECASE)

#: How often a vendor is named in them all the same.
NAMES_VENDORS = {
    "lookalike.service.tags": 1,  # its docstring: whose tags it keeps
    "lookalike.service.libraries": 1,  # data: the name of a library
}

#: Lines of a function at most, its signature and docstring counted; and those that are longer, which may only shrink.
LONGEST_FUNCTION = 40
LONGER_FUNCTIONS: dict[str, int] = {}

#: Paths through a function at most, as ruff counts them.
MOST_COMPLEX = 8

#: Lines of a module at most; and those that are longer, which may only shrink.
LONGEST_MODULE = 400
LONGER_MODULES: dict[str, int] = {}


def left_out() -> set[str]:
    """The rooms that the deployed layer leaves out, as its Makefile has them."""
    recipe = (source.ROOT / "layers/lookalike/Makefile").read_text()
    removed = re.search(r'cd "\$\(ARTIFACTS_DIR\)/python/lookalike" && rm -rf ([\w ./]+)', recipe)
    assert removed is not None, "how the layer's Makefile leaves rooms out has changed: say so here"
    return {f"lookalike.{folder.replace('/', '.')}" for folder in removed[1].split()}


def lines(imports: Iterable[source.Import]) -> str:
    return ", ".join(sorted(f"{one.module} imports {one.imported}" for one in imports))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_it_may_and_the_table_lists_no_more(room: str) -> None:
    imported = source.between_rooms(MAY_IMPORT)[room]
    wrong = {other: lines(found) for other, found in imported.items() if other not in MAY_IMPORT[room]}
    assert not wrong, f"{room} may not import {wrong}"
    unused = MAY_IMPORT[room] - imported.keys()
    assert not unused, f"{room} no longer imports {sorted(unused)}: take them out of MAY_IMPORT"


@pytest.mark.parametrize("room", sorted(NEVER))
def test_what_must_never_be_imported_is_not(room: str) -> None:
    imported = source.between_rooms(MAY_IMPORT)[room]
    wrong = {other: lines(imported[other]) for other in NEVER[room] & imported.keys()}
    assert not wrong, f"{room} must never import {wrong}"
    assert not MAY_IMPORT[room] & NEVER[room], "the tables contradict each other"


def test_verification_is_a_function_of_data() -> None:
    rooms = source.between_rooms(MAY_IMPORT)["lookalike.verification"]
    imported = {one.imported for room, found in rooms.items() if room != "lookalike.domain" for one in found}
    assert imported == VERIFICATION_IMPORTS


def test_every_room_is_there() -> None:
    inhabited = {source.room_of(module, MAY_IMPORT) for module in source.modules()}
    assert inhabited == MAY_IMPORT.keys()
    assert set(VENDOR_FREE) | ABOVE_BOOTSTRAP | NEVER.keys() <= inhabited


def test_nobody_below_imports_the_composition_root() -> None:
    importers = {
        room for room, imported in source.between_rooms(MAY_IMPORT).items() if "lookalike.bootstrap" in imported
    }
    assert importers == ABOVE_BOOTSTRAP


def test_no_function_loads_what_the_deployed_layer_leaves_out() -> None:
    """Not even late, from within a function: in Lambda it would fail in the middle of a call."""
    away = left_out()
    assert away == NOT_DEPLOYED
    handlers = [module for module in source.modules() if module.startswith("functions.")]
    loaded = source.reachable(handlers, late=True, but={OPENS_LOCAL_STORES: away})
    wrong = {
        module: importer
        for module, importer in loaded.items()
        if any(module == room or module.startswith(f"{room}.") for room in away)
    }
    assert not wrong, f"left out of the deployed layer, and imported by: {wrong}"
    assert "lookalike.wire.qiniu.calls" in loaded, "the walk finds nothing"


def test_only_late_does_the_composition_root_open_stores_of_one_machine() -> None:
    rooms = source.between_rooms(MAY_IMPORT)[OPENS_LOCAL_STORES]
    found = [one for room in NOT_DEPLOYED & rooms.keys() for one in rooms[room]]
    assert found
    assert all(one.late or one.typing for one in found), lines(found)


def test_no_function_loads_a_package_that_lambda_has_not() -> None:
    """Packages that one machine alone has are imported late, by what runs there."""
    handlers = [module for module in source.modules() if module.startswith("functions.")]
    loaded = source.reachable(handlers, late=False)
    foreign = {
        module.partition(".")[0]: importer for module, importer in loaded.items() if module not in source.modules()
    }
    requirements = (source.ROOT / "layers/runtime/requirements.in").read_text()
    installed = {name.replace("-", "_") for name in re.findall(r"^([\w-]+)", requirements, re.MULTILINE)}
    called = {"aws_lambda_powertools": "aws_lambda_powertools", "pillow": "PIL", "opensearch_py": "opensearchpy"}
    known = {called.get(name, name) for name in installed} | {"botocore"}  # boto3 brings it
    wrong = {name: importer for name, importer in foreign.items() if name not in known | source.STANDARD}
    assert not wrong, f"not in layers/runtime/requirements.in, and imported by: {wrong}"
    assert "numpy" in foreign, "the walk finds nothing"


def test_nothing_imports_itself_in_a_circle() -> None:
    assert source.circle(late=False) == []
    assert source.circle(late=True) == CIRCLES


def test_no_vendor_is_named_where_no_dialect_is_known() -> None:
    named = {
        module: found
        for module in source.modules()
        if source.room_of(module, MAY_IMPORT) in VENDOR_FREE and (found := source.words(module, VENDORS))
    }
    counts = {module: len(found) for module, found in named.items()}
    assert counts == NAMES_VENDORS, f"vendors are named at {named}"


def test_no_function_is_longer_than_the_longest() -> None:
    lengths = sorted(source.functions(), key=lambda one: one[1])
    print("longest functions:", *(f"{count:4} {name}" for name, count in lengths[-8:]), sep="\n")
    long = {name: count for name, count in lengths if count > LONGEST_FUNCTION}
    only_shrinks(long, LONGER_FUNCTIONS)


def test_no_function_is_more_complex_than_the_most_complex() -> None:
    complexities = source.complexities()
    worst = sorted(complexities, key=lambda name: -complexities[name])[:8]
    print("most complex functions:", *(f"{complexities[name]:4} {name}" for name in worst), sep="\n")
    assert complexities[worst[0]] == MOST_COMPLEX, f"the most complex function has {complexities[worst[0]]}: {worst[0]}"


def test_no_module_is_longer_than_the_longest() -> None:
    counts = {module: len(path.read_text().splitlines()) for module, path in source.modules().items()}
    worst = sorted(counts, key=lambda module: -counts[module])[:8]
    print("longest modules:", *(f"{counts[module]:4} {module}" for module in worst), sep="\n")
    only_shrinks({module: count for module, count in counts.items() if count > LONGEST_MODULE}, LONGER_MODULES)


def only_shrinks(found: dict[str, int], allowed: dict[str, int]) -> None:
    """Asserts that nothing is larger than allowed, and that nothing is allowed that has become small enough."""
    grown = {name: count for name, count in found.items() if count > allowed.get(name, 0)}
    assert not grown, f"too long: {grown}"
    assert not allowed.keys() - found.keys(), f"no longer needed: {sorted(allowed.keys() - found.keys())}"
