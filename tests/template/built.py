"""Says how big the built layers are, and refuses what Lambda would refuse, or find out only when it runs.

    python tests/template/built.py .aws-sam/build x86_64

Lambda takes 250 MB unzipped, of a function and its layers together; the layers keep well below it.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: What all layers may weigh together, in bytes.
LIMIT = 150 * 2**20

#: What must be in a built layer, and what must not.
WANTED = (
    "LookalikeLayer/python/lookalike/bootstrap.py",
    "RuntimeLayer/python/onnxruntime",
    "ModelLayer/model/model.onnx",
    "ModelLayer/model/card.json",
    "ModelLayer/model/codebooks.npz",
    "ModelLayer/model/keypoints/model.onnx",
    "ModelLayer/model/keypoints/card.json",
)
UNWANTED = (
    "LookalikeLayer/python/lookalike/cli",
    "LookalikeLayer/python/lookalike/server",
    "LookalikeLayer/python/lookalike/training",
    "LookalikeLayer/python/lookalike/stores/local",
    "LookalikeLayer/python/lookalike/stores/vectors",
    "RuntimeLayer/python/boto3",
    "RuntimeLayer/python/botocore",
)

#: Bytes 18 and 19 of an ELF file name its processor: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
PROCESSORS = {b"\x3e\x00": "x86_64", b"\xb7\x00": "arm64"}

APPS = sorted((Path(__file__).parents[2] / "functions").glob("*/app.py"))

#: Reads the model and looks at one grey picture, whose keypoints are detected too.
EMBED = """
import numpy as np
from pathlib import Path
from lookalike.embedding.embedder import OnnxEmbedder
embedder, grey = OnnxEmbedder(Path({model!r})), np.full((300, 400, 3), 128, np.uint8)
embedder.embed([grey]), embedder.keypoints(grey)
"""


def sizes(build: Path) -> dict[str, int]:
    """Unzipped bytes per layer."""
    return {
        layer.name: sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        for layer in sorted(build.glob("*Layer"))
    }


def processors(build: Path) -> set[str]:
    """The processors that the layers' shared libraries are made for."""
    libraries = [path.read_bytes() for path in build.rglob("*.so*") if path.is_file()]
    return {PROCESSORS.get(library[18:20], "unknown") for library in libraries}


def failures(build: Path) -> Iterator[str]:
    """What does not start with nothing but what is deployed and the standard library: functions, and the model."""
    programs = {f"functions/{app.parent.name}": (app.parent, "import app; app.handler") for app in APPS}
    model = build / "ModelLayer/model/model.onnx"
    programs["the model"] = (build, EMBED.format(model=str(model)))
    for name, (folder, program) in programs.items():
        path = [str(each) for each in (folder, build / "LookalikeLayer/python", build / "RuntimeLayer/python")]
        load = f"import sys; sys.path += {path!r}; {program}"
        run = subprocess.run([sys.executable, "-ISB", "-c", load], capture_output=True, text=True, check=False)
        if run.returncode:
            yield f"{name} does not start: {run.stderr.strip().splitlines()[-1]}"


def complaints(build: Path, architecture: str) -> Iterator[str]:
    """What is wrong, a line each."""
    total = sum(sizes(build).values())
    if total > LIMIT:
        yield f"the layers are too big: {total / 2**20:.1f} of {LIMIT / 2**20:.0f} MiB"
    if processors(build) != {architecture}:
        yield f"shared libraries are for {', '.join(processors(build)) or 'nothing'}, not {architecture}"
    yield from (f"{path} is missing" for path in WANTED if not (build / path).exists())
    yield from (f"{path} does not belong there" for path in UNWANTED if (build / path).exists())
    if runs_here(architecture):
        yield from failures(build)


def runs_here(architecture: str) -> bool:
    """Whether this Python can import what was built for Lambda's."""
    here = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return sys.platform == "linux" and sys.version_info[:2] == (3, 13) and here == architecture


def main(build: Path, architecture: str) -> int:
    """Print sizes and complaints; 1 if there are complaints."""
    for layer, size in sizes(build).items():
        print(f"{layer:<16}{size / 2**20:8.1f} MiB")
    if not runs_here(architecture):
        print(f"Not imported: that takes Python 3.13 on Linux, {architecture}.")
    found = list(complaints(build, architecture))
    for complaint in found:
        print(f"{build}: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
