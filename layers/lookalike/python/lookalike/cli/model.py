"""``lookalike model``: models of your own."""

from __future__ import annotations

import importlib
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from lookalike.cli.extras import require
from lookalike.embedding.model_card import CARD
from lookalike.errors import InvalidArgument, ModelError
from lookalike.training.labelled_csv import read_labels, read_pairs

app = typer.Typer(help="Make models that know your own pictures.", no_args_is_help=True)

#: Where a checkout keeps its models, and where `make model` puts the weights.
_MODELS = Path(__file__).resolve().parents[4] / "model"
_BUILT = _MODELS.parents[1] / "build"

#: Where a model is written before it is whole.
_PART = ".part"


class Size(StrEnum):
    """The networks there are, as `make model SIZE=` names them."""

    SMALL = "small"
    LARGE = "large"

    @property
    def folder(self) -> Path:
        """Where the model lies that comes along in this size."""
        return _MODELS / "large" if self is Size.LARGE else _MODELS

    @property
    def weights(self) -> Path:
        """Where `make model` puts what it is made of."""
        return _BUILT / ("weights-large" if self is Size.LARGE else "weights")


@app.callback()
def _group() -> None:
    """Keep ``fit`` a command of its own, although it is the only one."""


@app.command()
def fit(
    pictures: Annotated[Path, typer.Option(help="A folder of pictures, searched through and through.")],
    output: Annotated[Path, typer.Option(help="The folder to write the model to.")],
    pairs: Annotated[
        Path | None, typer.Option(help="CSV of two picture files and 0 or 1; what is 1 teaches same what to look past.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV of picture files and labels; they teach product and similar what may differ."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="What to call the model; its digest follows. Default: as its network.")
    ] = "",
    size: Annotated[
        Size, typer.Option(help="The network below the heads; large is more exact and slower.")
    ] = Size.SMALL,
    copies: Annotated[int, typer.Option(help="Changed copies to learn from, of each picture.", min=1, max=100)] = 3,
    seed: Annotated[int, typer.Option(help="Another seed draws other copies.")] = 1,
) -> None:
    """Fit the model's heads to your own pictures: a few minutes a thousand on a CPU, in a checkout.

    Its vectors are not those of other models: pictures have to be added again. The folder is new or empty: a model that
    pictures were added with is not to be had again once it is gone.
    """
    require("model")
    script = _script()
    if output.resolve() in {one.folder.resolve() for one in Size}:
        raise InvalidArgument("--output", f"{output} is the folder of the model that comes along; name another one")
    known = script.Known(
        pairs=_right(pairs) if pairs else (),
        labels=read_labels(labels) if labels else {},
    )
    try:
        with _whole(output) as folder:
            paths = script.find_pictures(pictures.resolve())
            weights = script.torch_weights.read(script.export_onnx.find_weights(size.weights))
            made = script.fit(paths, weights, known, name=name and f"{name}-", seed=seed, copies=copies)
            made.write(folder, script.begun_card(size.folder))
    except script.FitError as error:
        raise InvalidArgument("--pictures", str(error)) from error
    except script.torch_weights.WeightsError as error:
        raise ModelError(f"{error}; run `make model SIZE={size}`") from error
    except KeyboardInterrupt:
        typer.echo(f"Interrupted: nothing was written to {output}", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        raise ModelError(f"{error.filename or output}: {error.strerror or error}") from error
    typer.echo(f"Made {made.name}. Use it with LOOKALIKE_MODEL={shlex.quote(str(output / 'model.onnx'))}")


def _right(table: Path) -> list[tuple[Path, Path]]:
    right = [(pair.query, pair.picture) for pair in read_pairs(table) if pair.right]
    if not right:
        raise InvalidArgument("--pairs", f"{table}: there is no pair with a 1 in it, and the others teach nothing")
    return right


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """A folder whose files are moved to ``output`` at the end, the card last; if anything fails, nothing is left.

    Raises InvalidArgument at once for an ``output`` that is not new or empty, or cannot be written to.
    """
    _refuse_used(output)
    part, new = output / _PART, not output.exists()
    try:
        shutil.rmtree(part, ignore_errors=True)  # of one that was killed
        part.mkdir(parents=True)
    except OSError as error:
        raise InvalidArgument("--output", f"{output}: {error.strerror}") from error
    try:
        yield part
        for file in sorted(part.iterdir(), key=lambda file: file.name == CARD):
            file.rename(output / file.name)
        new = False
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if new:
            with suppress(OSError):
                output.rmdir()


def _refuse_used(output: Path) -> None:
    if (output / CARD).exists():
        reason = f"{output} holds a model already, which the pictures added with it need; name another folder"
        raise InvalidArgument("--output", reason)
    if output.is_dir() and any(file.name != _PART for file in output.iterdir()):
        raise InvalidArgument("--output", f"{output} is not empty; name another folder")


def _script() -> ModuleType:
    """Return the module that fits models; it needs a checkout, and packages of its own."""
    if not (_MODELS / CARD).is_file():
        raise ModelError(f"{_MODELS / CARD} is not there: models are fitted in a checkout of lookalike")
    try:
        return importlib.import_module("lookalike.training.fit_model")
    except ImportError as error:
        raise ModelError(f"{error}: models are fitted with the packages of `make setup WITH=model`") from error
