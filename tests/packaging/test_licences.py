"""No user has to install a package under a licence that binds their own code."""

import configparser
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement


ROOT = Path(__file__).resolve().parents[2]
# Public domain and BSD but for one editor file; Snakemake and Sphinx bring it.
ALLOWED = {"docutils"}


def required(*extras):
    """Names of all distributions that the package and some of its extras pull in."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    for extra in extras:
        lines += config["options.extras_require"][extra].split("\n")
    found = {}
    todo = [Requirement(line) for line in lines if line and "neuroana[" not in line]
    while todo:
        need = todo.pop()
        key = (re.sub("[-_.]+", "-", need.name).lower(), tuple(sorted(need.extras)))
        if key in found:
            continue
        try:
            found[key] = distribution(need.name)
        except PackageNotFoundError:  # torch where the environment goes without
            continue
        for line in found[key].requires or []:
            inner = Requirement(line)
            wanted = need.extras or {""}
            if not inner.marker or any(
                inner.marker.evaluate({"extra": e}) for e in wanted
            ):
                todo.append(inner)
    return {name: dist for (name, _), dist in found.items()}


def licences(dist):
    """What a distribution says of its licence; whole licence texts are left out."""
    said = [dist.metadata.get("License-Expression"), dist.metadata.get("License")]
    said += dist.metadata.get_all("Classifier") or []
    return [s for s in said if s and len(s) < 200 and (s in said[:2] or "License" in s)]


def binding(dist):
    return re.search(r"GPL|General Public License", " | ".join(licences(dist)))


@pytest.mark.parametrize("extra", ["workflow", "slurm", "nwb", "lazy", "fast", "dev"])
def test_nothing_required_is_under_a_gpl(extra):
    found = {name for name, dist in required(extra).items() if binding(dist)}
    assert found <= ALLOWED


def test_the_search_would_find_a_gpl():
    assert binding(distribution("docutils"))
    assert len(required()) > 40
