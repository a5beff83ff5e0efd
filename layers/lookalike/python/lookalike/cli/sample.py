"""Shows a newcomer the keys, a small library of pictures, one search, and a command line to paste.

All calls go over HTTP, like those of any client.
"""

from __future__ import annotations

import base64
import io
import json
import shlex
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lookalike.domain.application import Application
from lookalike.ports.clock import unix_milliseconds
from lookalike.wire.native.session_tokens import is_loopback, link

#: The path of each library's calls; the first two require a brief.
LIBRARIES: Mapping[str, str] = {
    "same_hq": "/rest/2.0/realtime_search/same_hq",
    "similar": "/rest/2.0/image-classify/v1/realtime_search/similar",
    "product": "/rest/2.0/image-classify/v1/realtime_search/product",
}

#: The library of the search that is shown, and of the command line to paste.
_SEARCHED = "same_hq"

#: Longer side of a sample picture, in pixels.
_MAX_SIDE = 640

#: Sample pictures loaded: ready in seconds.
_MAX_PICTURES = 40

#: The error code for a picture that is present already: sample folders hold some twice.
_ALREADY_PRESENT = 216681

_console = Console(stderr=True, highlight=False)


#: Returns a `lookalike` command line to paste, given its words.
CommandLine = Callable[..., str]


class SampleError(Exception):
    """The sample could not be loaded; the service keeps running."""


@dataclass(frozen=True, slots=True)
class Client:
    """A minimal Baidu client: an access token, and posted forms."""

    url: str
    token: str

    @classmethod
    def of(cls, application: Application, url: str) -> Client:
        """Fetch a token with the application's keys."""
        form = {
            "grant_type": "client_credentials",
            "client_id": application.access_key,
            "client_secret": application.secret_key,
        }
        return cls(url, _post(f"{url}/oauth/2.0/token", form)["access_token"])

    def call(self, library: str, operation: str, **form: object) -> dict[str, Any]:
        """Call one operation of one library."""
        return _post(f"{self.url}{LIBRARIES[library]}/{operation}?{urlencode({'access_token': self.token})}", form)


def print_address_and_keys(application: Application, url: str, command: CommandLine, *, made: bool) -> None:
    """Print the address, the keys and the console's address.

    The secret key is printed only when it was just made, and only to a terminal, as is the link that signs in.
    """
    shows = f"`{command('keys', 'show', '--name', application.name)}` prints it"
    secret = application.secret_key if made and sys.stderr.isatty() else shows
    _print(f"\n  Address     {url}")
    _print(f"  App id      {application.app_id}")
    _print(f"  API key     {application.access_key}")
    _print(f"  Secret key  {secret}")
    _print(f"  Console     {_console_address(application, url, command)}\n")


def print_key_commands(applications: Sequence[Application], url: str, command: CommandLine) -> None:
    """Print the commands that show the keys of existing applications, and what leads to the console."""
    if len(applications) == 1:
        _print(f"  Keys: `{command('keys', 'show', '--name', applications[0].name)}` prints them")
        _print(f"  Console: {_console_address(applications[0], url, command)}")
    else:
        _print(
            f"  Keys: `{command('keys', 'list')}` lists applications, `keys show --name NAME` prints the keys of one"
        )
        _print(f"  Console: `console --name NAME --url {url}` prints an address that signs a browser in")


def _console_address(application: Application, url: str, command: CommandLine) -> str:
    """Return an address that signs a browser of this machine in; where that cannot be, the command that prints one."""
    parts = urlsplit(url)
    here = f"{parts.scheme}://127.0.0.1:{parts.port}" if parts.hostname in ("0.0.0.0", "::") else url  # noqa: S104
    if application.active and is_loopback(urlsplit(here).hostname or "") and sys.stderr.isatty():
        return link(application, here, unix_milliseconds() // 1000)
    words = ("console", "--name", application.name, "--url", here)
    return f"`{command(*words)}` prints an address that signs a browser in"


@dataclass(frozen=True, slots=True)
class Sample:
    """A folder of pictures, and the application of a running service that they are loaded for."""

    application: Application
    url: str
    folder: Path
    command: CommandLine

    def show(self, *, load: bool) -> None:
        """Load the pictures if ``load``, then search for a cropped and recompressed copy of one. Raises SampleError."""
        client = Client.of(self.application, self.url)
        if load:
            _load(client, self.folder)
        path, picture = next(_pictures(self.folder), (None, None))
        if path is None or picture is None:
            _print(f"  No pictures in {self.folder}.")
            return
        found = client.call(_SEARCHED, "search", image=_cropped_copy(picture), rn=3)
        _print(f"  A cut, recompressed copy of {path.name}, searched in {_SEARCHED}:")
        table = _table(found.get("result", []))
        _console.print(table if table.row_count else "  Nothing was found.")
        _print("  Try it yourself:\n")
        _print(self._line(path))

    def _line(self, path: Path) -> str:
        """Return a shell command that searches. It fetches its token when run, so none stays in a log or on screen."""
        return (
            f"base64 < {shlex.quote(str(path))} | tr -d '\\n' | curl -s -d rn=3 --data-urlencode image@- "
            f'"{self.url}{LIBRARIES[_SEARCHED]}/search?access_token='
            f'$({self.command("token", "--name", self.application.name)})"'
        )


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table()
    table.add_column("brief")
    table.add_column("score", justify="right")
    table.add_column("cont_sign")
    for match in found:
        score = int(match["score"] * 10_000) / 10_000  # rounded down: 1 means the identical picture only
        table.add_row(match["brief"], f"{score:.4f}", match["cont_sign"])
    return table


def _print(line: str) -> None:
    """Print a line without wrapping it: users copy parts of it."""
    _console.print(line, soft_wrap=True, markup=False)


def _load(client: Client, folder: Path) -> None:
    for path, picture in track(list(_pictures(folder)), "Loading the sample pictures", console=_console):
        image = _encoded(picture, quality=92)
        for library in LIBRARIES:
            reply = client.call(library, "add", image=image, brief=json.dumps({"name": path.stem}))
            if reply.get("error_code") not in (None, _ALREADY_PRESENT):
                raise SampleError(f"{path} was refused: {reply}")


def _pictures(folder: Path) -> Iterator[tuple[Path, Image.Image]]:
    """Yield the photographs below a folder, scaled down."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    taken = 0
    for path in paths:
        try:
            picture = Image.open(path).convert("RGB")
        except (UnidentifiedImageError, OSError):
            continue
        if min(picture.size) < _MAX_SIDE // 4:  # icons and test patterns
            continue
        picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
        yield path, picture
        taken += 1
        if taken == _MAX_PICTURES:
            return


def _cropped_copy(picture: Image.Image) -> str:
    width, height = picture.size
    return _encoded(picture.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8)), quality=60)


def _encoded(picture: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _post(url: str, form: Mapping[str, object]) -> dict[str, Any]:
    request = urllib.request.Request(url, urlencode(form).encode())  # noqa: S310 - our own address
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        reply: dict[str, Any] = json.load(answer)
    return reply
