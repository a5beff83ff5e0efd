"""How the layers are built, and what the locks say."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.template import built
from tests.template.conftest import ROOT

LOCKS = ROOT / ".ci/locks"
ALL_LOCKS = sorted([ROOT / "requirements.txt", *LOCKS.iterdir(), *ROOT.glob("layers/**/requirements.txt")])


def make(layer: str, target: str, into: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a layer's Makefile as SAM does: from a copy of its folder, with the file where it really stands."""
    return subprocess.run(
        ["make", "--makefile", ROOT / "layers" / layer / "Makefile", target],
        cwd=folder,
        env={**os.environ, "ARTIFACTS_DIR": str(into), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_code_layer_leaves_out_what_only_one_machine_needs(tmp_path: Path) -> None:
    run = make("lookalike", "build-LookalikeLayer", tmp_path, ROOT / "layers/lookalike")
    assert run.returncode == 0, run.stderr
    python = tmp_path / "python"
    assert [path.name for path in python.iterdir() if path.name != "__pycache__"] == ["lookalike"]
    source = ROOT / "layers/lookalike/python"
    expected = {path.relative_to(source) for path in (source / "lookalike").rglob("*.py")}
    left_out = ("cli", "server", "training", "stores/local", "stores/vectors", "transfer")
    expected = {path for path in expected if not str(path).startswith(tuple(f"lookalike/{room}/" for room in left_out))}
    assert {path.relative_to(python) for path in python.rglob("*.py")} == expected
    assert (python / "lookalike/py.typed").exists()


def test_the_model_layer_says_what_is_missing(tmp_path: Path) -> None:
    run = make("model", "build-ModelLayer", tmp_path / "out", tmp_path)
    assert run.returncode != 0
    assert "layers/model/model.onnx is missing: run 'make model' first" in run.stderr


def test_the_model_layer_holds_what_the_service_reads(tmp_path: Path) -> None:
    folder, into = tmp_path / "model", tmp_path / "out"
    (folder / "keypoints").mkdir(parents=True)
    for name in ("model.onnx", "card.json", "codebooks.npz", "heads.npz", "learnt.txt"):
        (folder / name).write_text(name)
    run = make("model", "build-ModelLayer", into, folder)
    assert run.returncode != 0
    assert "layers/model/keypoints/model.onnx is missing: run 'make model' first" in run.stderr
    for name in ("model.onnx", "card.json", "requirements.txt"):
        (folder / "keypoints" / name).write_text(name)
    run = make("model", "build-ModelLayer", into, folder)
    assert run.returncode == 0, run.stderr
    assert {str(path.relative_to(into)) for path in into.rglob("*.*")} == {
        "model/model.onnx",
        "model/card.json",
        "model/codebooks.npz",
        "model/keypoints/model.onnx",
        "model/keypoints/card.json",
    }


def test_the_model_layer_holds_the_large_model_where_that_was_asked_for(tmp_path: Path) -> None:
    folder, into = tmp_path / "model", tmp_path / "out"
    for name in ("large", "keypoints"):
        (folder / name).mkdir(parents=True)
    for name in ("model.onnx", "card.json"):
        (folder / "keypoints" / name).write_text("keypoints")
    for name in ("model.onnx", "card.json", "codebooks.npz"):
        (folder / name).write_text("small")
    run = make("model", "build-ModelLayer", into, folder, LOOKALIKE_MODEL_SIZE="large")
    assert run.returncode != 0
    assert "layers/model/large/model.onnx is missing: run 'make model SIZE=large' first" in run.stderr
    for name in ("model.onnx", "card.json", "codebooks.npz", "learnt.txt"):
        (folder / "large" / name).write_text("large")
    run = make("model", "build-ModelLayer", into, folder, LOOKALIKE_MODEL_SIZE="large")
    assert run.returncode == 0, run.stderr
    assert {path.relative_to(into / "model").as_posix(): path.read_text() for path in into.rglob("*.*")} == {
        **dict.fromkeys(("model.onnx", "card.json", "codebooks.npz"), "large"),
        **dict.fromkeys(("keypoints/model.onnx", "keypoints/card.json"), "keypoints"),
    }


@pytest.mark.parametrize("lock", ALL_LOCKS, ids=[str(lock.relative_to(ROOT)) for lock in ALL_LOCKS])
def test_a_lock_pins_everything_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    lines = "\n".join(line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#"))
    entries = [line for line in lines.splitlines() if line.strip()]
    assert entries
    assert not [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert not re.search(r"https?://|--(index|extra-index|find-links)", lines)


RUN = ROOT / "requirements.txt"


def pins(lock: Path) -> dict[str, str]:
    """Versions by package, of the packages that are the same on every Python."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)( ;)?", lock.read_text(), re.MULTILINE)
    return {name: version for name, version, marker in found if not marker}


def needed_by(lock: Path) -> dict[str, set[str]]:
    """Packages that need a package, by that package, as uv notes them below each pin."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in lock.read_text().splitlines():
        if pin := re.match(r"[\w.-]+(?===)", line):
            name = pin[0]
        elif name and (note := re.fullmatch(r"    #(?: via)? +([\w.-]+)(?: \(pyproject\.toml\))?", line)):
            found.setdefault(name, set()).add(note[1])
    return found


def asked_for(*extras: str) -> set[str]:
    """Packages that pyproject.toml names, for every machine or in one of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {re.split(r"[^\w.-]", line)[0] for line in lines}


def test_every_lock_is_written_by_make_lock() -> None:
    makefile = (ROOT / "Makefile").read_text()
    written = set(re.findall(r"LOCK.* -o (?:\$\(LOCKS\)/)?(\S+)", makefile.replace("\\\n", "")))
    assert written == {"requirements.txt", "layers/runtime/requirements.txt", *(lock.name for lock in LOCKS.iterdir())}


def test_lambda_runs_the_versions_that_one_machine_runs() -> None:
    local, deployed = pins(LOCKS / "aws.txt"), pins(ROOT / "layers/runtime/requirements.txt")
    common = local.keys() & deployed.keys()
    assert {"onnxruntime", "pillow", "aws-lambda-powertools", "boto3", "opensearch-py"} <= common
    assert {name: deployed[name] for name in common} == {name: local[name] for name in common}


def test_one_machine_installs_nothing_that_only_others_need() -> None:
    local = pins(RUN).keys()
    assert {"onnxruntime", "faiss-cpu", "uvicorn"} <= local
    assert not local & {"boto3", "botocore", "opensearch-py", "onnx", "moto", "pytest"}


def test_one_machine_installs_what_it_asks_for_and_what_that_needs() -> None:
    needed = needed_by(RUN)
    assert {name for name, by in needed.items() if "lookalike" in by} == asked_for("local")
    # The command line's own need: it checks the types of options. Nothing of ours imports it.
    assert needed["pydantic"] == {"typer"}


@pytest.mark.parametrize("extra", ["aws", "model", "emulator", "dev"])
def test_what_is_installed_beside_the_service_changes_none_of_its_versions(extra: str) -> None:
    local, more = pins(RUN), pins(LOCKS / f"{extra}.txt")
    common = local.keys() & more.keys()
    assert "protobuf" in common
    assert {name: more[name] for name in common} == {name: local[name] for name in common}


def test_tests_have_what_every_command_needs() -> None:
    dev = pins(LOCKS / "dev.txt")
    for extra in ("aws", "model", "emulator"):
        assert pins(LOCKS / f"{extra}.txt").items() <= dev.items()


def test_the_runtime_layer_asks_for_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "layers/runtime/requirements.in").read_text().splitlines()
    wanted = project["dependencies"] + project["optional-dependencies"]["aws"]
    assert [line for line in lines if line and not line.startswith("#")] == wanted


def library(path: Path, head: bytes) -> None:
    """A shared library, as far as its first bytes go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF" + bytes(14) + head)


def test_a_build_is_refused_that_is_too_big_or_for_another_processor(tmp_path: Path) -> None:
    for wanted in built.WANTED:
        (tmp_path / wanted).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / wanted).touch()
    library(tmp_path / "RuntimeLayer/python/numpy/core.so", b"\xb7\x00")
    assert list(built.complaints(tmp_path, "arm64")) == []
    (tmp_path / "LookalikeLayer/python/lookalike/cli").mkdir()
    with (tmp_path / "ModelLayer/model/model.onnx").open("wb") as model:
        model.truncate(built.LIMIT)
    (tmp_path / built.WANTED[0]).unlink()
    library(tmp_path / "RuntimeLayer/python/numpy/more.so.1", b"\x3e\x00")
    complaints = "\n".join(built.complaints(tmp_path, "arm64"))
    for expected in ("too big: 150.0 of 150 MiB", "not arm64", "bootstrap.py is missing", "cli does not belong there"):
        assert expected in complaints
