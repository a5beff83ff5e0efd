"""``lookalike model``: models of your own."""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from lookalike.cli.tables import read_labels, read_pairs
from lookalike.errors import InvalidArgument, ModelError

app = typer.Typer(help="Make models that know your own pictures.", no_args_is_help=True)

#: Where a checkout keeps what makes models, and where `make model` puts the weights.
_SCRIPTS = Path(__file__).resolve().parents[4] / "model"
_BUILT = _SCRIPTS.parents[1] / "build"


class Size(StrEnum):
    """The networks there are, as `make model SIZE=` names them."""

    SMALL = "small"
    LARGE = "large"

    @property
    def folder(self) -> Path:
        """Where the model lies that comes along in this size."""
        return _SCRIPTS / "large" if self is Size.LARGE else _SCRIPTS

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
    name: Annotated[str, typer.Option(help="What to call the model; default: after its digest.")] = "",
    size: Annotated[
        Size, typer.Option(help="The network below the heads; large is more exact and slower.")
    ] = Size.SMALL,
    copies: Annotated[int, typer.Option(help="Changed copies to learn from, of each picture.", min=1, max=100)] = 3,
    seed: Annotated[int, typer.Option(help="Another seed draws other copies.")] = 1,
) -> None:
    """Fit the model's heads to your own pictures: a few minutes a thousand on a CPU, in a checkout.

    Its vectors are not those of other models: pictures have to be added again.
    """
    script = _script()
    if output.resolve() in {one.folder.resolve() for one in Size}:
        raise InvalidArgument("--output", f"{output} is the folder of the model that comes along; name another one")
    known = script.Known(
        pairs=[(pair.query, pair.picture) for pair in read_pairs(pairs) if pair.right] if pairs else (),
        labels=read_labels(labels) if labels else {},
    )
    try:
        paths = script.find_pictures(pictures.resolve())
        weights = script.pth.read(script.export.find_weights(size.weights))
        script.begin_card(output, size.folder)
        made = script.fit(paths, weights, output, known, name=name, seed=seed, copies=copies)
    except script.FitError as error:
        raise InvalidArgument("--pictures", str(error)) from error
    except script.pth.WeightsError as error:
        raise ModelError(f"{error}; run `make model SIZE={size}`") from error
    typer.echo(f"Made {made}. Use it with LOOKALIKE_MODEL={output / 'model.onnx'}")


def _script() -> ModuleType:
    """layers/model/fit.py, which is part of a checkout only."""
    if not (_SCRIPTS / "fit.py").is_file():
        raise ModelError(f"{_SCRIPTS / 'fit.py'} is not there: models are fitted in a checkout of lookalike")
    sys.path.insert(0, str(_SCRIPTS))  # its scripts import each other by name
    try:
        return importlib.import_module("fit")
    except ImportError as error:
        raise ModelError(f"{error}: models are fitted with the packages of `make setup`") from error
    finally:
        sys.path.remove(str(_SCRIPTS))
