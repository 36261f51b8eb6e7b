"""Leave out what fits models where torch was left out (``NEUROANA_TORCH=skip``)."""

import importlib.util


WITH_MODELS = (
    "neuroana/core/estimator.py",
    "neuroana/connectome/*",
    "neuroana/eeg2fmri/*",
    "neuroana/learn/*",
    "neuroana/switching/*",
    "tests/connectome/*",
    "tests/eeg2fmri/*",
    "tests/learn/*",
    "neuroana/fc/*",
    "tests/fc/*",
    "tests/switching/*",
    "tests/pipelines/*",
    "tests/core/test_estimator.py",
    "tests/packaging/test_installed.py",
    "tests/test_golden.py",
    "tests/test_interface.py",
)

collect_ignore_glob: list[str] = []
if importlib.util.find_spec("torch") is None:
    collect_ignore_glob += WITH_MODELS
