"""The estimator contract: scikit-learn's, with labelled results and safe files.

An estimator only stores its arguments in ``__init__``; ``fit`` checks, calls
kernels and labels. Learned attributes end in ``_``: labelled DataArrays, numbers,
text, or other fitted estimators. They are what :meth:`Estimator.save` writes, as one
NetCDF file, estimators within as groups of it.
"""

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

from neuroana.core.checks import message
from neuroana.core.contract import SCHEMA
from neuroana.core.errors import SchemaError
from neuroana.core.provenance import bibtex, plain, record, versions
from neuroana.core.sequences import Sequences, as_sequences
from neuroana.core.store import read_netcdf, read_tree, write_netcdf


__all__ = ["Estimator", "Sequences", "as_sequences", "load"]
EXECUTION = ("n_jobs", "progress")
OWN = "own"  # group of the arrays of an estimator that is made of others


class Estimator(BaseEstimator):
    """Base of all estimators of the package.

    Subclasses set ``_citation``, the BibTeX of their paper.
    """

    _citation: str = ""

    def __sklearn_is_fitted__(self) -> bool:
        return any(_is_learned(name) for name in vars(self))

    def to_dataset(self) -> xr.Dataset:
        """Learned attributes as one Dataset, parameters and provenance in its attrs."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        arrays, scalars = {}, {}
        for name, value in vars(self).items():
            if not _is_learned(name):
                continue
            if isinstance(value, xr.DataArray):
                arrays[name.rstrip("_")] = value
            elif value is not None and not isinstance(value, Estimator):
                scalars[name] = plain(value)
        ds = xr.Dataset(arrays)
        ds.attrs = {
            "neuroana_schema": SCHEMA,
            "neuroana_estimator": _path_of(type(self)),
            "parameters": json.dumps(encode(self.get_params(deep=False))),
            "learned": json.dumps(scalars),
            "versions": json.dumps(versions()),
        }
        name = f"{type(self).__module__.split('.')[1]}.{type(self).__name__}"
        given = {k: repr(v) for k, v in self.get_params(deep=False).items()}
        return record(ds, name, **given)

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to one NetCDF file, atomically.

        Parameters
        ----------
        path : str or Path
            File to write; :meth:`load` and :func:`neuroana.load` read it back.
        """
        ds = self.to_dataset()
        parts = {
            name.rstrip("_"): value.to_dataset()
            for name, value in vars(self).items()
            if _is_learned(name) and isinstance(value, Estimator)
        }
        if not parts:
            return write_netcdf(ds, path)
        top = xr.Dataset(attrs=ds.attrs | {"parts": list(parts)})
        groups = {"/": top, OWN: ds.drop_attrs(), **parts}
        return write_netcdf(xr.DataTree.from_dict(groups), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a fitted estimator that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError, CorruptFileError
            If the file is not there or damaged.
        SchemaError
            If it holds something else than this class.
        """
        ds = read_netcdf(path)
        if "parts" not in ds.attrs:
            return cls.from_dataset(ds, path)
        tree = read_tree(path)
        own = tree[OWN].to_dataset().assign_attrs(ds.attrs)
        estimator = cls.from_dataset(own, path)
        for name in np.atleast_1d(ds.attrs["parts"]).tolist():
            part = Estimator.from_dataset(tree[name].to_dataset(), path)
            setattr(estimator, f"{name}_", part)
        return estimator

    @classmethod
    def from_dataset(cls, ds: xr.Dataset, where: str | Path = "dataset") -> Self:
        """Undo :meth:`to_dataset`; `where` is named when something is wrong.

        Raises
        ------
        SchemaError
            If it holds something else than this class.
        """
        kind = resolve(str(ds.attrs.get("neuroana_estimator", "")), Estimator, where)
        if not issubclass(kind, cls):
            raise SchemaError(
                message(f"{where}", f"a fitted {cls.__name__}", f"a {kind.__name__}")
            )
        estimator = kind(**decode(json.loads(ds.attrs["parameters"]), where))
        for name, value in json.loads(ds.attrs["learned"]).items():
            setattr(estimator, name, value)
        for name, array in ds.data_vars.items():
            setattr(estimator, f"{name}_", array)
        return estimator

    def cite(self) -> str:
        """BibTeX of the method and of the packages that compute it."""
        own = [self._citation] if self._citation else []
        return "\n\n".join([*own, bibtex("scipy", "xarray")])

    def to_config(self) -> dict[str, Any]:
        """Arguments as the configuration of a pipeline takes them.

        Returns
        -------
        dict
            All arguments but those that change no result (``n_jobs``, ``progress``)
            and a seed that is left open: ``na.run(name, {"fit": est.to_config()})``.
        """
        mine = self.get_params(deep=False)
        if mine.get("random_state") is None:
            mine.pop("random_state", None)
        return {k: encode(v) for k, v in mine.items() if k not in EXECUTION}


def load(path: str | Path) -> Estimator:
    """Read any fitted estimator of the package.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`Estimator.save` wrote; its checksum is verified.

    Raises
    ------
    FileNotFoundError, CorruptFileError, SchemaError
        As :meth:`Estimator.load`.

    Examples
    --------
    >>> import tempfile
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=3, n_bins=200, n_sequences=1, random_state=0)
    >>> model = HMMGLM(2, n_init=1, max_iter=3, tol=1.0, random_state=0).fit(data)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(model.save(Path(folder, "model.nc"))).coupling_.sizes["state"]
    2
    """
    return Estimator.load(path)


def encode(value: Any) -> Any:
    """Turn parameters into JSON; settings and estimators keep their class."""
    if isinstance(value, Estimator):
        return {"class": _path_of(type(value)),
                **encode(value.get_params(deep=False))}  # fmt: skip
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: encode(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.init
        }
        return {"class": _path_of(type(value)), **fields}
    if isinstance(value, dict):
        return {k: encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    return plain(value)


def decode(value: Any, where: str | Path = "parameters") -> Any:
    """Undo :func:`encode`; only classes of this package are made."""
    if isinstance(value, dict):
        inner = {k: decode(v, where) for k, v in value.items() if k != "class"}
        if "class" not in value:
            return inner
        kind = resolve(value["class"], object, where)
        if not (dataclasses.is_dataclass(kind) or issubclass(kind, Estimator)):
            raise SchemaError(message(f"{where}", "a setting", value["class"]))
        return kind(**inner)
    if isinstance(value, list):
        return [decode(v, where) for v in value]
    return value


def resolve(path: str, base: type, where: str | Path) -> type:
    """Find a class of this package by ``module:Name``; refuse any other."""
    module, _, name = path.partition(":")
    found = None
    if module.split(".")[0] == "neuroana" and name.isidentifier():
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SchemaError(
            message(
                f"{where}",
                f"a class of neuroana ({base.__name__})",
                repr(path),
                "read it with the version of neuroana that wrote it",
            )
        )
    return found


def _is_learned(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _path_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
