"""Write `requirements/`: base.in and dev.in from setup.cfg, and lock.txt from those.

The lock is solved in one call for every platform and Python, with hashes. torch stays
out, since its build depends on the machine (see bootstrap.py), and so do the CUDA
libraries that it brings. Versions change only where setup.cfg asks for it; with
--upgrade all become the newest.
"""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
LOCK = FOLDER / "lock.txt"
DEV_EXTRAS = ("dev", "docs", "slurm")
# nilearn and Snakemake want different versions of packaging; these two agree.
PAIR = {"nilearn": "0.14.1", "snakemake": "9.15.0"}
CUDA = re.compile(r"nvidia-|cuda-|triton")


def declared():
    """Requirements by extra, "" being those that everyone needs, as in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = {"": config["options"]["install_requires"]}
    lists.update(config["options.extras_require"])
    return {extra: text.split("\n")[1:] for extra, text in lists.items()}


def expand(extra, table):
    """The requirements of an extra, extras of our own resolved."""
    found = []
    for requirement in table[extra]:
        own = re.fullmatch(r"neuroana\[(.+)\]", requirement)
        inner = own[1].split(",") if own else []
        found += [need for name in inner for need in expand(name, table)]
        found += [] if own else [requirement]
    return found


def inputs():
    """What base.in and dev.in must hold."""
    table = declared()
    dev = [need for extra in DEV_EXTRAS for need in expand(extra, table)]
    listings = {"base.in": table[""], "dev.in": list(dict.fromkeys(dev))}
    return {name: "\n".join(lines) + "\n" for name, lines in listings.items()}


def solve(*more):
    """Solve for all inputs together; what the old lock has stays where it can."""
    part = FOLDER / "lock.part"
    shutil.copy(LOCK, part)
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", "3.11", "-c", "torch.txt", "--generate-hashes"]
    command += ["--no-emit-package", "torch", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", *more]
    command += ["--output-file", part.name, *inputs()]
    try:
        subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
        return part.read_text(encoding="utf-8")
    finally:
        part.unlink()


def strip_cuda(text):
    """Drop the requirements that only CUDA builds of torch have."""
    requirements = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return "".join(one for one in requirements if not CUDA.match(one))


def check(text):
    """Refuse a lock that would break an environment."""
    for line in text.splitlines():
        if CUDA.match(line) or "://" in line:
            raise SystemExit(f"must not be in the lock: {line}")
    for name, version in PAIR.items():
        if not re.search(rf"^{name}=={re.escape(version)}\b", text, flags=re.MULTILINE):
            raise SystemExit(f"the lock has another {name} than {version}")


def main():
    for name, text in inputs().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    text = strip_cuda(solve(*sys.argv[1:]))
    check(text)
    LOCK.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
