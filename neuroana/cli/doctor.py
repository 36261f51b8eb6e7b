"""``neuroana doctor``: can this environment do what it should?"""

import importlib
import os
import platform
import shutil
import subprocess
from typing import Any

from neuroana.cli.options import AsJson, print_json, print_table
from neuroana.core.errors import FailedRunError


PAIRS = "nilearn 0.14.1 with snakemake 9.15.0, or nilearn 0.13.1 with snakemake 9.27.1"
NEEDED = ("numpy", "scipy", "xarray", "h5netcdf", "mne", "nilearn.maskers", "torch")
OPTIONAL = {
    "snakemake": "workflow",
    "numba": "fast",
    "dask": "lazy",
    "pyarrow": "parquet",
}


def command(
    json: AsJson = False,
) -> None:
    """Look at packages, devices and folders; say what to mend."""
    rows = [["ok", "python", platform.python_version()]]
    rows += [_import_row(module) for module in NEEDED]
    for module, extra in OPTIONAL.items():
        row = _import_row(module)
        if row[0] != "ok":
            row = ["absent", module, f"pip install 'neuroana[{extra}]'"]
        rows.append(row)
    rows += [_device_row(), _cache_row()]
    if json:
        print_json([dict(zip(("state", "what", "note"), row)) for row in rows])
    else:
        print_table(["state", "what", "note"], rows)
    if any(row[0] == "broken" for row in rows):
        raise FailedRunError("something in this environment has to be mended.")


def _import_row(module: str) -> list[Any]:
    name = module.split(".")[0]
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if name == "torch":
            return ["absent", "torch", "models on torch will not run"]
        return ["broken", name, f"{error}; pip install neuroana"]
    except Exception as error:
        hint = f"; pairs that work: {PAIRS}" if name in ("nilearn", "snakemake") else ""
        return ["broken", name, f"{type(error).__name__}: {error}{hint}"]
    from importlib.metadata import version

    return ["ok", name, version(name)]


def _device_row() -> list[Any]:
    from neuroana.core.device import describe

    found = describe()
    if found["cuda"]:
        return ["ok", "device", ", ".join(found["devices"])]
    if shutil.which("nvidia-smi") is None:
        return ["ok", "device", "CPU (no NVIDIA driver)"]
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    build = found.get("built_for_cuda") or "none (CPU build)"
    note = f"driver: {asked.stdout.strip() or 'no answer'}; torch's CUDA: {build}"
    return ["ok", "device", f"CPU is used. {note}"]


def _cache_row() -> list[Any]:
    from neuroana.io.registry import cache_folder

    folder = cache_folder()
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(nearest, os.W_OK):
        return ["ok", "cache", str(folder)]
    return ["broken", "cache", f"{folder} cannot be written; set NEUROANA_CACHE"]
