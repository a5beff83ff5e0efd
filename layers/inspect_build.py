"""Says how big the built layers are, and refuses what Lambda would refuse, or find out too late.

    python layers/inspect_build.py .aws-sam/build x86_64

Lambda takes 250 MB unzipped, of a function and its layers together; we keep well below it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

#: What all layers may weigh together, in bytes.
LIMIT = 150 * 2**20

#: Folders in Lambda's /opt, per layer, that must and must not be there.
WANTED = ("LookalikeLayer/python/lookalike", "RuntimeLayer/python/onnxruntime", "ModelLayer/model/model.onnx")
UNWANTED = ("LookalikeLayer/python/lookalike/cli", "LookalikeLayer/python/lookalike/local", "RuntimeLayer/python/boto3")

#: Bytes 18 and 19 of an ELF file say the processor: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
PROCESSORS = {b"\x3e\x00": "x86_64", b"\xb7\x00": "arm64"}


def sizes(build: Path) -> dict[str, int]:
    """Unzipped bytes per layer."""
    return {
        layer.name: sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        for layer in sorted(build.glob("*Layer"))
    }


def processors(build: Path) -> set[str]:
    """The processors that the layers' shared libraries are made for."""
    heads = (path.open("rb").read(20) for path in build.rglob("*.so*") if path.is_file())
    return {PROCESSORS.get(head[18:20], "unknown") for head in heads}


def complaints(build: Path, architecture: str) -> Iterator[str]:
    """What is wrong, a line each."""
    total = sum(sizes(build).values())
    if total > LIMIT:
        yield f"the layers are too big: {total / 2**20:.1f} of {LIMIT / 2**20:.0f} MiB"
    if processors(build) != {architecture}:
        yield f"shared libraries for {processors(build) or 'nothing'}, wanted {architecture}"
    yield from (f"{path} is missing" for path in WANTED if not (build / path).exists())
    yield from (f"{path} does not belong there" for path in UNWANTED if (build / path).exists())


def main(build: Path, architecture: str) -> int:
    """Print the sizes and the complaints; 1 if there are any."""
    for layer, size in sizes(build).items():
        print(f"{layer:<16}{size / 2**20:8.1f} MiB")
    found = list(complaints(build, architecture))
    for complaint in found:
        print(f"{build}: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
