"""Ten thousand hostile requests: every one is answered in the vendor's form, and the library stays as it was."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

from PIL import Image

from lookalike.domain.library import Kind
from lookalike.ports import Ports
from lookalike.server import api_gateway, sam_template
from lookalike.wire.baidu import access_tokens
from tests.support import photographs
from tests.wire.conftest import CALLER

REQUESTS = 10_000

#: Codes of bad input and of missing rights; 2 and 282000 would be our own failure.
EXPECTED = {
    3,
    14,
    100,
    110,
    111,
    216017,
    216100,
    216101,
    216103,
    216200,
    216201,
    216202,
    216203,
    216680,
    216681,
    282006,
}
EXPECTED |= {282111, 282112, 282113, 282114}

Chance = random.Random


def test_hostile_requests_get_the_vendors_errors_and_change_nothing(ports: Ports, tmp_path: Path) -> None:
    chance = Chance(7)
    routes = sam_template.read()
    picture = photographs.png(photographs.photograph("chelsea.png", 64))
    assert "cont_sign" in call(routes, ports, "same_hq/add", b"brief=b&image=" + quoted(picture))
    before = snapshot(ports, tmp_path)
    for number in range(REQUESTS):
        make = chance.choice(ATTACKS)
        operation = f"{chance.choice(LIBRARIES)}/{chance.choice(OPERATIONS)}"
        body, content_type = make(chance, picture)
        answer = call(routes, ports, operation, body, content_type)
        assert answer.get("error_code") in EXPECTED, (number, make.__name__, operation, body[:200], answer)
        assert "Traceback" not in json.dumps(answer)
    assert snapshot(ports, tmp_path) == before


def call(
    routes: sam_template.Template,
    ports: Ports,
    operation: str,
    body: bytes,
    content_type: str = "application/x-www-form-urlencoded",
) -> dict[str, Any]:
    """One request, as the gateway hands it to the function that answers its path."""
    path = f"/rest/2.0/realtime_search/{operation}"
    token = access_tokens.mint(CALLER, ports.clock() // 1000)
    headers = (("host", "localhost"), ("content-type", content_type)) if content_type else (("host", "localhost"),)
    received = api_gateway.HttpRequest(
        "POST", path, f"access_token={token}", headers, body, "127.0.0.1", api_gateway.now()
    )
    function = routes.function_for("POST", path)
    assert function is not None
    response = api_gateway.to_response(sam_template.load(function)(api_gateway.to_event(received), None))
    assert response.status == 200, (operation, body[:200], response)
    said: dict[str, Any] = json.loads(response.body.decode("ascii"))
    return said


def snapshot(ports: Ports, folder: Path) -> object:
    """Everything that could have changed."""
    rows = [(row.key.id, row.revision) for kind in Kind for batch in ports.catalog.scan(kind) for row in batch]
    originals = sorted(path.name for path in (folder / "originals").rglob("*") if path.is_file())
    return rows, originals, [library.name for library in ports.catalog.libraries("tenant")]


# -- Attacks: each makes a body that no operation may accept, and its content type --------------------------------------

LIBRARIES = ["same_hq", "similar", "product", "picturebook", "..", "%00", "same_hq%2F..", "x" * 300]
OPERATIONS = ["add", "search", "update", "delete", "add", "search", "drop"]
FORM = "application/x-www-form-urlencoded"
Attack = Callable[[Chance, bytes], tuple[bytes, str]]


def quoted(data: bytes) -> bytes:
    return quote(base64.b64encode(data).decode(), safe="").encode()


def image(data: bytes) -> tuple[bytes, str]:
    """A form whose picture is these bytes."""
    return b"brief=b&image=" + quoted(data), FORM


def truncated(chance: Chance, picture: bytes) -> tuple[bytes, str]:
    return image(picture[: chance.randrange(1, len(picture) - 30)])


def truncated_base64(chance: Chance, picture: bytes) -> tuple[bytes, str]:
    text = quoted(picture)
    return b"brief=b&image=" + text[: chance.randrange(8, len(text) - 200)], FORM


def noise(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    return image(chance.randbytes(chance.randrange(1, 400)))


def noise_behind_a_signature(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    heads = [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"BM",
        b"RIFF....WEBP",
        b"II*\x00",
        b"<svg>",
        b"%PDF",
    ]
    return image(chance.choice(heads) + chance.randbytes(chance.randrange(0, 200)))


def wrong_format(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, chance.choice(["TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000"]))
    return image(buffer.getvalue())


def wrong_size(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    sides = chance.choice([(14, 100), (100, 14), (1, 1), (4097, 20), (20, 4097)])
    buffer = io.BytesIO()
    Image.new("L", sides).save(buffer, chance.choice(["PNG", "GIF", "BMP"]))
    return image(buffer.getvalue())


def bomb(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    """A PNG that promises, and would unpack to, more than anybody has."""
    side = chance.choice([5_000, 60_000, 2_000_000_000])
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    return image(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) * chance.randrange(1, 5) + chunk(b"IEND", b""))


def text_bomb(chance: Chance, picture: bytes) -> tuple[bytes, str]:
    """A compressed text of many megabytes in front of a broken picture."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 20_000_000, 1))
    return image(picture[:33] + text * chance.randrange(1, 3) + picture[33:60])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bad_base64(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    text = bytearray(base64.b64encode(chance.randbytes(60)))
    text[chance.randrange(len(text))] = chance.choice(b"!$*()[]{}\x00\xff\xfe~`")
    return b"brief=b&image=" + quote_from_bytes(bytes(text)).encode(), FORM


def nothing(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    return chance.choice([b"", b"&", b"&&&=", b"image", b"image=", b"url=", b"cont_sign=", b"=", b"\x00", b"%"]), FORM


def odd_numbers(chance: Chance, picture: bytes) -> tuple[bytes, str]:
    """Every one of these fields is wrong for the operations that read it; the others miss what they need."""
    odd = chance.choice(["x", "-1", "1.5", "1e3", "٣", "9" * 400, "0x10", "NaN", "65536", "0 or 1=1", "\x00"])
    fields = "".join(f"{name}={quote(odd)}&" for name in ("tags", "class_id1", "pn", "tag_logic"))
    return fields.encode() + b"brief=b&image=" + quoted(picture[:-40]), FORM


def huge_fields(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    return chance.choice(
        [
            b"brief=" + b"x" * 300_000 + b"&image=AAAA",
            b"image=" + b"A" * (4 * 1024 * 1024 + 4),
            b"url=http://example.com/" + b"a" * 2000,
            b"cont_sign=" + b"1,2;" * 1001,
            b"a=b&" * 20_000,
            b"%41" * 50_000,
        ]
    ), FORM


def odd_signs(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    sign = chance.choice(
        ["8cnn32frvrr2cd901", "1,2,3", "-1,2", "4294967296,1", "'; DROP TABLE pictures", "%", "*", "\x00", "é,٣"]
    )
    return f"brief=b&cont_sign={quote(sign)}".encode(), FORM


def odd_urls(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    url = chance.choice(
        [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:8000/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "http://user:password@127.0.0.1/",
            "http://",
            "javascript:alert(1)",
            "http://127.0.0.1\r\nHost: x/",
            "http://１２７.０.０.１/",
        ]
    )
    return f"brief=b&url={quote(url)}".encode(), FORM


def odd_encodings(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    body = b"brief=" + chance.randbytes(40) + b"&image=" + chance.randbytes(40)
    types = [FORM + ";charset=utf-7", "", "text/plain", "image/png", "application/octet-stream", "x/y; boundary=a"]
    return body, chance.choice(types)


def odd_json(chance: Chance, _picture: bytes) -> tuple[bytes, str]:
    texts = [
        "{",
        "{}",
        "[]",
        '{"image": {"a": [1]}}',
        '{"image": 5}',
        '{"image": null, "brief": [' + "[" * 3000,
        '{"image": "\\ud800"}',
    ]
    return chance.choice(texts).encode(), "application/json"


def odd_multipart(chance: Chance, picture: bytes) -> tuple[bytes, str]:
    part = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
    bodies = [
        b"",
        b"--b--",
        part,
        part + picture[:-50] + b"\r\n--b--",
        part * 5000,
        b"--b\r\n" + b"x: y\r\n" * 5000,
        chance.randbytes(300),
    ]
    boundary = chance.choice(["; boundary=b", "", "; boundary=", "; boundary=" + "b" * 300, '; boundary="b'])
    return chance.choice(bodies), "multipart/form-data" + boundary


ATTACKS: list[Attack] = [
    truncated,
    truncated_base64,
    noise,
    noise_behind_a_signature,
    wrong_format,
    wrong_size,
    bad_base64,
    nothing,
    odd_numbers,
    odd_signs,
    odd_urls,
    odd_encodings,
    odd_json,
    odd_multipart,
    bomb,
]
# The big ones cost milliseconds each to make; often enough to matter, seldom enough to stay quick.
ATTACKS = ATTACKS * 12 + [huge_fields, text_bomb]
