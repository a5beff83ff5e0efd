"""``lookalike model``: fits models to a user's own pictures."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.extras import require
from lookalike.embedding.model_path import CARD
from lookalike.errors import InvalidArgument, ModelError
from lookalike.training.fit_inputs import FitError, Labels
from lookalike.training.fitted_card import base_card
from lookalike.training.labelled_csv import read_labels, read_pairs
from lookalike.training.torch_weights import WeightsError

if TYPE_CHECKING:
    from lookalike.training.fitted_model import FittedModel

app = typer.Typer(help="Make models that know your own pictures.", no_args_is_help=True)

#: The folder of the shipped models in a checkout.
_MODELS = Path(__file__).resolve().parents[4] / "model"

#: The folder that `make model` puts the weights into.
_BUILT = _MODELS.parents[1] / "build"

#: The folder within the output that an unfinished model is written to.
_STAGING = ".part"


class Size(StrEnum):
    """The networks, as `make model SIZE=` names them."""

    SMALL = "small"
    LARGE = "large"

    @property
    def folder(self) -> Path:
        """The folder of the shipped model of this size."""
        return _MODELS / "large" if self is Size.LARGE else _MODELS

    @property
    def weights(self) -> Path:
        """The folder of the network's weights."""
        return _BUILT / ("weights-large" if self is Size.LARGE else "weights")


PicturesOption = Annotated[Path, typer.Option(help="A folder of pictures, searched through and through.")]
OutputOption = Annotated[Path, typer.Option(help="The folder to write the model to.")]
PairsOption = Annotated[
    Path | None, typer.Option(help="CSV of two picture files and 0 or 1; what is 1 teaches same what to look past.")
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(help="CSV of picture files and labels; they teach product and similar what may differ."),
]
NameOption = Annotated[str, typer.Option(help="What to call the model; its digest follows. Default: as its network.")]
SizeOption = Annotated[Size, typer.Option(help="The network below the heads; large is more exact and slower.")]
CopiesOption = Annotated[int, typer.Option(help="Changed copies to learn from, of each picture.", min=1, max=100)]
SeedOption = Annotated[int, typer.Option(help="Another seed draws other copies.")]


@app.callback()
def _group() -> None:
    """Keep ``fit`` a command of its own, although it is the only one."""


@app.command()
def fit(
    pictures: PicturesOption,
    output: OutputOption,
    pairs: PairsOption = None,
    labels: LabelsOption = None,
    name: NameOption = "",
    size: SizeOption = Size.SMALL,
    copies: CopiesOption = 3,
    seed: SeedOption = 1,
) -> None:
    """Fit the model's heads to your own pictures: a few minutes a thousand on a CPU, in a checkout.

    Its vectors are not those of other models: pictures have to be added again. The folder is new or empty: a model that
    pictures were added with is not to be had again once it is gone.
    """
    require("model")
    fit_folder = _fit_folder()
    if output.resolve() in {one.folder.resolve() for one in Size}:
        raise InvalidArgument("--output", f"{output} is the folder of the model that comes along; name another one")
    known = Labels(_positive_pairs(pairs) if pairs else (), read_labels(labels) if labels else {})
    with _errors_of_fit(output, size), _staged_output(output) as folder:
        model = fit_folder(pictures, size.weights, known, name=name and f"{name}-", seed=seed, copies=copies)
        model.write(folder, base_card(size.folder))
    typer.echo(f"Made {model.name}. Use it with LOOKALIKE_MODEL={shlex.quote(str(output / 'model.onnx'))}")


def _fit_folder() -> Callable[..., FittedModel]:
    """Import what fits models; it needs a checkout, and packages of its own. Raises ModelError."""
    if not (_MODELS / CARD).is_file():
        raise ModelError(f"{_MODELS / CARD} is not there: models are fitted in a checkout of lookalike")
    try:
        from lookalike.training.fit_model import fit_folder  # noqa: PLC0415 - loads onnx and faiss
    except ImportError as error:
        raise ModelError(f"{error}: models are fitted with the packages of `make setup WITH=model`") from error
    return fit_folder


@contextmanager
def _errors_of_fit(output: Path, size: Size) -> Iterator[None]:
    """Translate what a fit raises into errors that name the option, or the remedy."""
    try:
        yield
    except FitError as error:
        raise InvalidArgument("--pictures", str(error)) from error
    except WeightsError as error:
        raise ModelError(f"{error}; run `make model SIZE={size}`") from error
    except KeyboardInterrupt:
        typer.echo(f"Interrupted: nothing was written to {output}", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        raise ModelError(f"{error.filename or output}: {error.strerror or error}") from error


def _positive_pairs(table: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of a table that show the same picture. Raises InvalidArgument if there are none."""
    right = [(pair.query, pair.picture) for pair in read_pairs(table) if pair.right]
    if not right:
        raise InvalidArgument("--pairs", f"{table}: there is no pair with a 1 in it, and the others teach nothing")
    return right


@contextmanager
def _staged_output(output: Path) -> Iterator[Path]:
    """Yield a staging folder whose files are moved to ``output`` at the end, the card last.

    If the block fails, nothing is left. Raises InvalidArgument before the block for an ``output`` that is not new or
    empty, or cannot be written to.
    """
    _require_unused(output)
    part, new = output / _STAGING, not output.exists()
    try:
        shutil.rmtree(part, ignore_errors=True)  # left by a fit that was killed
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


def _require_unused(output: Path) -> None:
    """Raise InvalidArgument if the folder holds anything but a staging folder."""
    if (output / CARD).exists():
        reason = f"{output} holds a model already, which the pictures added with it need; name another folder"
        raise InvalidArgument("--output", reason)
    if output.is_dir() and any(file.name != _STAGING for file in output.iterdir()):
        raise InvalidArgument("--output", f"{output} is not empty; name another folder")
