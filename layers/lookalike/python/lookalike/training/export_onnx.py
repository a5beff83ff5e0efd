"""Writes model.onnx from the pinned weights and the committed heads.

    python -m lookalike.training.export_onnx --weights build/weights --output layers/model/model.onnx
    python -m lookalike.training.export_onnx --weights build/weights-large --heads layers/model/large \
        --output layers/model/large/model.onnx
    python -m lookalike.training.export_onnx --keypoints --weights build/weights-keypoints \
        --heads layers/model/keypoints --output layers/model/keypoints/model.onnx

The bytes are the same on every machine. They are checked against the SHA-256 in card.json, beside heads.npz. The
last of the three detects keypoints, and has no heads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from lookalike.training import efficientnet_onnx, heads, torch_weights, xfeat_onnx

FOLDER = Path(__file__).resolve().parents[4] / "model"
HEADS, CARD = "heads.npz", "card.json"


def find_weights(folder: Path) -> Path:
    """Return the only .pth file below a folder. Raises WeightsError if there is none, or more than one."""
    found = sorted(folder.rglob("*.pth"))
    if len(found) != 1:
        raise torch_weights.WeightsError(
            f"{folder}: {len(found)} .pth files where one is wanted; see requirements.txt here"
        )
    return found[0]


def build(weights: Path, folder: Path = FOLDER, *, classes: bool = False) -> bytes:
    """Return the model's bytes, with the heads in ``folder``, or with the network's 1,000 ``classes`` instead."""
    net = efficientnet_onnx.Network(torch_weights.read(find_weights(weights)))
    net = net.classes() if classes else net.heads(heads.load(folder / HEADS))
    model: bytes = net.model().SerializeToString(deterministic=True)
    return model


def build_keypoints(weights: Path, folder: Path) -> bytes:
    """Return the bytes of the model that detects keypoints, from the file of weights that the card in ``folder`` names."""
    (source,) = json.loads((folder / CARD).read_text())["sources"]
    made = xfeat_onnx.model(torch_weights.read_archive(weights / source["file"], source["sha256"]))
    model: bytes = made.SerializeToString(deterministic=True)
    return model


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Write model.onnx from the pinned weights and the committed heads.")
    parser.add_argument("--weights", type=Path, required=True, help="folder the weights package was installed in")
    parser.add_argument("--heads", type=Path, default=FOLDER, help="folder of heads.npz and card.json")
    parser.add_argument("--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--classes", action="store_true", help="answer ImageNet's classes, to check the conversion")
    parser.add_argument("--keypoints", action="store_true", help="write the model that detects keypoints")
    arguments = parser.parse_args()
    try:
        if arguments.keypoints:
            model = build_keypoints(arguments.weights, arguments.heads)
        else:
            model = build(arguments.weights, arguments.heads, classes=arguments.classes)
    except (torch_weights.WeightsError, OSError, KeyError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    digest = hashlib.sha256(model).hexdigest()
    card = arguments.heads / CARD
    promised = json.loads(card.read_text())["files"]["model.onnx"]
    if not arguments.classes and digest != promised:
        print(f"export: the model's SHA-256 is {digest}, {card} says {promised}: nothing written", file=sys.stderr)
        return 1
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = arguments.output.with_name(f"{arguments.output.name}.part")
    unfinished.write_bytes(model)
    unfinished.replace(arguments.output)
    print(f"{arguments.output}: {len(model) / 2**20:.1f} MiB, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
