"""Somebody who uses the console, and what goes wrong for them: errors of the page, violations of its policy."""

from __future__ import annotations

import base64
import io
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from lookalike.domain.application import Application
from lookalike.wire.native.session_tokens import Use, mint
from tests.support.live import Keys

#: Milliseconds that anything on a page may take, on a machine that does much else.
PATIENCE = 20_000

#: Gives a page a picture as if it had been pasted, or dropped at an element.
_HAND_OVER = """({kind, files, target, shift}) => {
  const transfer = new DataTransfer();
  for (const {name, data} of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, {type: 'image/png'}));
  }
  if (shift) window.dispatchEvent(new KeyboardEvent('keydown', {key: 'V', shiftKey: true, ctrlKey: true}));
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true})
    : new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
  document.querySelector(target).dispatchEvent(event);
}"""

#: What a browser says of an answer that is an error; tests expect those that they cause.
_REFUSED = "Failed to load resource: the server responded with a status of "


@dataclass
class Visitor:
    """A page of the console. ``url`` is where programs find the service, ``at`` where browsers do; ``patience``: milliseconds that anything on a page may take. ``wrong`` is what has gone wrong; ``refused`` are statuses of errors that answers had."""

    page: Any
    url: str
    keys: Keys
    at: str
    patience: int = PATIENCE
    wrong: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: Any, url: str, keys: Keys, at: str = "", patience: int = PATIENCE) -> Visitor:
        """Return a visitor with a page of this context."""
        page = context.new_page()
        visitor = cls(page, url, keys, at or url, patience)
        page.set_default_timeout(patience)
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error('CSP', event.violatedDirective, event.blockedURI))"
        )
        page.on("console", visitor._hear)
        page.on("pageerror", lambda error: visitor.wrong.append(str(error)))
        page.on("request", lambda request: visitor.requests.append(request.url))
        page.on("dialog", visitor._refuse)
        return visitor

    def _hear(self, message: Any) -> None:
        if message.type not in ("error", "warning"):
            return
        if message.text.startswith(_REFUSED):
            self.refused.append(int(message.text.removeprefix(_REFUSED)[:3]))
        elif "net::ERR_" not in message.text:
            self.wrong.append(message.text)

    def _refuse(self, dialog: Any) -> None:
        """No script of a picture's text opens one; the browser's own asks before a tab is closed amid an upload."""
        if dialog.type != "beforeunload":
            self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def link(self) -> str:
        """A link that signs in once."""
        keys = self.keys
        application = Application(keys.access_key, keys.secret_key, keys.app_id, keys.tenant, "operator")
        return f"{self.at}/console/#once={mint(application, Use.LOOPBACK_LINK, int(time.time()))}"

    def sign_in_by_link(self) -> None:
        self.page.goto(self.link())
        self.page.get_by_role("heading", level=1).wait_for()

    def sign_in_by_keys(self) -> None:
        self.open()
        self.page.get_by_label("API key").fill(self.keys.access_key)
        self.page.get_by_label("Secret key").fill(self.keys.secret_key)
        self.button("Sign in").click()
        self.says("Libraries")

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API as a program of the same application."""
        answer = httpx.request(
            method, f"{self.url}/api/v1{path}", auth=(self.keys.access_key, self.keys.secret_key), timeout=60, **options
        )
        assert answer.is_success, answer.text
        return answer

    def library(self, *pictures: bytes, kind: str = "same", briefs: Sequence[str] = (), name: str = "") -> str:
        """Make a library with these pictures, and return its name."""
        name = name or f"lib-{uuid.uuid4().hex[:8]}"
        self.api("PUT", f"/libraries/{name}", json={"kind": kind})
        for i, picture in enumerate(pictures):
            brief = briefs[i] if i < len(briefs) else f"picture {i}"
            image = {"base64": base64.b64encode(picture).decode()}
            self.api("POST", f"/libraries/{name}/pictures", json={"image": image, "id": f"p{i}", "brief": brief})
        return name

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.at}/console/{path}")
        self.page.get_by_role("heading", level=1).wait_for()

    def paste(self, *files: bytes, shift: bool = False) -> None:
        """Paste pictures from the clipboard."""
        self._hand_over("paste", files, "body", shift)

    def drop(self, *files: bytes, on: int = 0) -> None:
        """Drop files on one of the targets that are shown while they are dragged."""
        self._hand_over("dragover", files, "main")
        self.page.locator(f"[data-target='{on}']").wait_for()
        self._hand_over("drop", files, f"[data-target='{on}']")

    def _hand_over(self, kind: str, files: Sequence[bytes], target: str, shift: bool = False) -> None:
        given = [{"name": f"file-{i}.png", "data": base64.b64encode(file).decode()} for i, file in enumerate(files)]
        self.page.evaluate(_HAND_OVER, {"kind": kind, "files": given, "target": target, "shift": shift})

    def button(self, name: str, within: str = "body") -> Any:
        return self.page.locator(within).get_by_role("button", name=name, exact=True)

    def tiles(self) -> Any:
        return self.page.get_by_role("option")

    def wait_for_tiles(self, count: int) -> None:
        self.page.wait_for_function("(n) => document.querySelectorAll('li[role=option]').length === n", arg=count)

    def says(self, text: str, times: int = 1) -> None:
        """Wait until the page says this, so many times longer than for anything else."""
        self.page.get_by_text(text).first.wait_for(timeout=times * self.patience)

    def hindrances(self) -> list[str]:
        """What hinders people, of impact serious or critical."""
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - apart from what other tests need

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {node['html'][:200]} {node['any'][:1]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def shot(self, path: Path) -> None:
        """Take a screenshot as soon as every picture is seen."""
        self.page.wait_for_function("() => [...document.images].every((one) => one.complete)")
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=path)


def png(picture: Image.Image) -> bytes:
    """Return the picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
