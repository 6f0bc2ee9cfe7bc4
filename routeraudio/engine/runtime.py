"""ONNX Runtime as this engine uses it: one thread, no memory kept back, nothing sent anywhere.

Its thread pools do not survive a fork (microsoft/onnxruntime#31961), and its arena would grow each worker;
telemetry is switched off by environment before the import, and the versions from 1.29 on, which have it, are not
allowed.
"""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any, Final

from routeraudio.engine.faults import EngineMissing

TELEMETRY_OFF: Final = {"ORT_DISABLE_TELEMETRY": "1"}


def is_installed() -> bool:
    """Whether ONNX Runtime can be imported; does not import it."""
    return importlib.util.find_spec("onnxruntime") is not None


def session(path: Path) -> Any:
    """The model in this file, ready to run on the calling thread.

    Raises:
        EngineMissing: ONNX Runtime is not installed.
    """
    if not is_installed():
        raise EngineMissing("ONNX Runtime")
    os.environ.update(TELEMETRY_OFF)
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
