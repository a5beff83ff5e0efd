"""The options of ``lookalike import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.domain.library import Kind
from lookalike.transfer.target import OnDuplicate

SourceArgument = Annotated[Path, typer.Argument(help="A folder, a .csv or .tsv file, a .jsonl file, or an archive.")]
LibraryOption = Annotated[
    str | None, typer.Option(help="The library to add to; made if there is none. Of an archive: one of its libraries.")
]
RenameOption = Annotated[str | None, typer.Option("--as", help="What an archive's library is to be called here.")]
ReembedOption = Annotated[
    bool, typer.Option("--reembed", help="Of an archive of another model: make vectors again from the originals.")
]
MapOption = Annotated[
    str, typer.Option("--map", help="Which column says what: brief=title,tags=category,id=sku. [default: by name]")
]
KindOption = Annotated[
    Kind | None, typer.Option(help="How likeness is judged in a library that is made. [default: same]")
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root", file_okay=False, exists=True, help="Files may lie anywhere in this folder. [default: SOURCE's]"
    ),
]
EncodingOption = Annotated[str | None, typer.Option(help="The table's encoding. [default: told by its bytes]")]
DuplicateOption = Annotated[
    OnDuplicate,
    typer.Option(help="What to do where the library holds the picture; update changes what is said of it."),
]
NameOption = Annotated[str | None, typer.Option(help="The application whose library it is. [default: the only one]")]
UrlOption = Annotated[str | None, typer.Option(help="A running server's address, instead of its data.")]
KeyOption = Annotated[
    str | None,
    typer.Option(
        help="With --url: an application's ACCESS_KEY:SECRET_KEY, or an access token; @FILE reads it from a file."
    ),
]
WorkersOption = Annotated[int | None, typer.Option(min=1, max=64, help="Rows, or calls, at the same time.")]
RateOption = Annotated[
    float | None, typer.Option(min=0.01, help="Rows a second at most. [default: as fast as the target takes them]")
]
JournalOption = Annotated[
    Path | None, typer.Option("--journal", help="What is done already. [default: SOURCE.lookalike-journal]")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", help="A line for each row. [default: SOURCE.report.csv]")
]
RestartOption = Annotated[bool, typer.Option("--restart", help="Forget the journal, and look at every row again.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, and add nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON: how far it is, a line a second.")]
