"""The documented ways to switch a client over, run as they stand on their pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import photographs
from tests.support.documents import block
from tests.support.live import Keys, LiveServer

HERE = Path(__file__).parent
PRINTED_ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "picture.jpg").write_bytes(photographs.jpeg(photographs.photograph("coffee.png")))
    return tmp_path


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run it where ``picture.jpg`` is; what it prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_keys(program: str, server: LiveServer, keys: Keys) -> str:
    """The program with the reader's own address and keys in it."""
    assert "SECRET_KEY" in program
    for name, value in {"APP_ID": keys.app_id, "API_KEY": keys.access_key, "SECRET_KEY": keys.secret_key}.items():
        program = program.replace(name, f'"{value}"')
    return program.replace(PRINTED_ADDRESS, server.url)


def test_jumdata(server: LiveServer, folder: Path) -> None:
    program = with_keys(block("python", "/image/similarity/v2/"), server, server.keys("readme-jumdata"))
    said = run([sys.executable, "-c", program], folder)
    assert "'brief': 'mine', 'score': 1" in said


def test_python(server: LiveServer, folder: Path) -> None:
    program = with_keys(block("python", "AipImageSearch"), server, server.keys("readme-python"))
    assert "'score': 1" in run([sys.executable, "-c", program], folder)


def test_python_with_groups(server: LiveServer, folder: Path) -> None:
    keys = server.keys("readme-qiniu")
    program = block("python", "QiniuMacAuth").replace(PRINTED_ADDRESS, server.url)
    for name, value in {"API_KEY": keys.access_key, "SECRET_KEY": keys.secret_key}.items():
        program = program.replace(name, f'"{value}"')
    printed = run([sys.executable, "-c", program], folder)
    assert "'score': 1.0" in printed
    assert "'desc': {'price': 9.9}" in printed


def test_node(server: LiveServer, folder: Path) -> None:
    if shutil.which("node") is None or not (HERE / "node/node_modules").is_dir():
        pytest.skip("needs node and `make clients`")
    program = with_keys(block("js", "HttpClient"), server, server.keys("readme-node"))
    assert '"score":1' in run(["node", "-e", program], folder, NODE_PATH=str(HERE / "node/node_modules"))


def test_java(server: LiveServer, folder: Path) -> None:
    if shutil.which("java") is None or not (HERE / "java/jars").is_dir():
        pytest.skip("needs java and `make clients`")
    keys = server.keys("readme-java")
    body = block("java", "setURLStreamHandlerFactory").replace(PRINTED_ADDRESS, server.url)
    (folder / "Main.java").write_text(
        "import com.baidu.aip.imagesearch.AipImageSearch; import java.io.IOException; import java.net.*;"
        "import java.util.HashMap; public class Main { public static void main(String[] args) throws IOException {"
        f'{body} AipImageSearch client = new AipImageSearch("{keys.app_id}", "{keys.access_key}", "{keys.secret_key}");'
        'client.productAdd("picture.jpg", new HashMap<String, String>());'
        'System.out.println(client.productSearch("picture.jpg", new HashMap<String, String>())); } }'
    )
    printed = run(["java", "-cp", f"{HERE / 'java/jars'}/*", "Main.java"], folder)
    assert '"score":1' in printed


def test_curl(server: LiveServer, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    keys = server.keys("readme-curl")
    printed = run(
        ["bash", "-euo", "pipefail", "-c", block("sh", "TOKEN=")],
        folder,
        ADDRESS=server.url,
        API_KEY=keys.access_key,
        SECRET_KEY=keys.secret_key,
    )
    assert '"score":1' in printed
