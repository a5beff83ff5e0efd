"""Sessions of onnxruntime."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from lookalike.errors import ModelError


def open_session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of an ONNX file. Raises ModelError, in one line, if it cannot be loaded."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads yield the core
    options.log_severity_level = 4  # errors are raised, so they need not be printed
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model}: onnxruntime cannot load it: {reason}") from error
