"""Make or mend the environment of this checkout; does nothing when it is current.

Standard library only. The environment is the folder VENV; its `.stamp` says what it
was made from, and another stamp means an update in place. While we change it the stamp
reads "unfinished", and an environment found like that is made again, never trusted.

environment variables:
  VENV                 the environment's folder (default: .venv)
  NEUROANA_TORCH       auto, cpu, cuda or skip (default: auto)
  NEUROANA_INSTALLER   auto, uv or pip (default: auto, which is uv, then pip)
  OFFLINE              1: nothing but the wheel folders that pip knows (PIP_FIND_LINKS)
"""

import argparse
import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "lock.txt"
TORCH = ROOT / "requirements" / "torch.txt"
UNFINISHED = "unfinished"
SIZES = "about 0.6 GB to download, 2 GB on disk"
SIZES_CUDA = "about 3 GB to download, 6 GB on disk"
GB = 10**9
OFFLINE = os.environ.get("OFFLINE", "0") not in ("", "0")

WAYS_OUT = """\
  NEUROANA_TORCH=cuda   take the CUDA build all the same
  NEUROANA_TORCH=skip   go without torch and the models that need it
  PIP_FIND_LINKS=DIR    a folder with a CPU wheel of torch; or PIP_EXTRA_INDEX_URL set
                        to the CPU index that PyTorch's installation page names"""

NO_NETWORK = re.compile(
    "NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|dns error"
    "|tcp connect error|client error|error sending request|Could not connect"
    "|unreachable"
)


class Stop(Exception):
    """The machine lacks something: the message says what, and the way out."""


class Failed(Exception):
    """A command did not succeed: the message is what it printed."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extra", nargs="*", help="requirement files to install on top")
    extra = [Path(name).resolve() for name in parser.parse_args().extra]
    venv = Path(os.path.abspath(ROOT / os.environ.get("VENV", ".venv")))
    try:
        check_python()
        if not is_current(venv, extra):
            with sole_maker(venv):
                if not is_current(venv, extra):
                    make(venv, extra)
    except (Stop, Failed) as stop:
        print(f"\n{stop}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted. The next run mends the environment.", file=sys.stderr)
        sys.exit(130)


def make(venv, extra):
    """Bring the environment to the state that the lock file describes."""
    fresh = not is_sound(venv)
    print(announcement(venv) if fresh else f"Bringing {venv.name} up to date.")
    require_space(venv, 3 * GB if fresh else GB)
    if fresh:
        with step("making the environment"):
            create(venv)
    elif stamp_of(venv):
        write_stamp(venv, UNFINISHED)
    tools = Installer(venv)
    install_torch(tools)
    tools.install("locked packages", "--no-deps", "-r", LOCK)
    for path in extra:
        tools.install(path.name, "-r", path)
    here = ["--no-deps", "--no-build-isolation", "-e", ROOT]
    with step("neuroana itself"):
        tools.pip("install", *here)
    with step("checking that all fits together"):
        check(tools)
    write_stamp(venv, digest(venv, extra))


def announcement(venv):
    packages = set(re.findall(r"^(\S+)==", LOCK.read_text(), flags=re.MULTILINE))
    torch = "" if torch_option() == "skip" else "torch and "
    return (
        f"Installing {torch}{len(packages)} packages into {venv.name}: {SIZES}, "
        "1-4 minutes; next time this step is skipped."
    )


# --- what is there -------------------------------------------------------------------


def check_python():
    """Refuse an interpreter that cannot make the environment."""
    version = "{}.{}.{}".format(*sys.version_info)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what older ones run
        raise Stop(
            f"{sys.executable} is Python {version}; neuroana needs 3.11 or newer. "
            "Name one that is: make demo PYTHON=python3.12"
        )
    missing = [m for m in ("venv", "ensurepip") if not importlib.util.find_spec(m)]
    if missing:
        raise Stop(
            f"{sys.executable} (Python {version}) has no module {missing[0]}. On "
            f"Debian and Ubuntu: apt-get install python{version.rsplit('.', 1)[0]}-venv"
        )


def option(name, *allowed):
    """The value of an environment variable, the first of `allowed` by default."""
    value = os.environ.get(name) or allowed[0]
    if value not in allowed:
        raise Stop(f"{name}={value} is unknown; it may be {', '.join(allowed)}.")
    return value


def torch_option():
    return option("NEUROANA_TORCH", "auto", "cpu", "cuda", "skip")


def digest(venv, extra=()):
    """One line for all that an environment is made from."""
    made_from = hashlib.sha256()
    for path in (LOCK, TORCH, ROOT / "setup.cfg", *extra):
        made_from.update(path.read_bytes())
    where = (sys.version_info[:2], sys.platform, torch_option(), str(venv))
    made_from.update(repr(where).encode())
    return made_from.hexdigest()


def stamp_of(venv):
    try:
        return (venv / ".stamp").read_text().strip()
    except OSError:
        return ""


def write_stamp(venv, text):
    part = venv / ".stamp.part"
    part.write_text(text + "\n")
    os.replace(part, venv / ".stamp")


def is_current(venv, extra):
    return stamp_of(venv) == digest(venv, extra) and is_sound(venv)


def is_sound(venv):
    """Whether the environment is finished, in its place, and runs this Python."""
    if stamp_of(venv) == UNFINISHED:
        return False
    probe = "import sys, pip; print(*sys.version_info[:2])"
    try:
        made_by = (venv / "pyvenv.cfg").read_text()
        answer = run([python_of(venv), "-c", probe])
    except (OSError, Failed):
        return False
    command = re.search(r"^command = .* -m venv (.*)$", made_by, flags=re.MULTILINE)
    moved = command and not command[1].endswith(str(venv))
    return not moved and answer.split() == [str(n) for n in sys.version_info[:2]]


def require_space(venv, needed):
    existing = next(folder for folder in (venv, *venv.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise Stop(
            f"{free / GB:.1f} GB are free at {existing}, {needed / GB:.0f} GB are "
            "needed. Make room, or put the environment elsewhere: VENV=/other/folder"
        )


# --- the environment's folder --------------------------------------------------------


def python_of(venv):
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def create(venv):
    """Make the environment from nothing, in place of an unsound one."""
    if venv.exists():
        ours = stamp_of(venv) or (venv / "pyvenv.cfg").exists()
        if not ours and any(path.is_file() for path in venv.rglob("*")):
            raise Stop(f"{venv} is not an environment; name another: VENV=FOLDER")
        old = venv.with_name(venv.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        venv.rename(old)
        shutil.rmtree(old)
    venv.mkdir(parents=True)
    write_stamp(venv, UNFINISHED)
    base = getattr(sys, "_base_executable", sys.executable)
    try:
        run([base, "-m", "venv", venv])
    except Failed as failed:
        raise Stop(f"{base} -m venv failed:\n{failed}") from failed


@contextlib.contextmanager
def sole_maker(venv):
    """Hold `VENV.lock`, so that of two makes at once the second waits."""
    lock = venv.with_name(venv.name + ".lock")
    waiting = False
    while True:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            if is_stale(lock):
                take_away(lock)
                continue
            if not waiting:
                print(f"Waiting for another make to finish ({lock}) ...", flush=True)
            waiting = True
            time.sleep(0.2)
        except OSError as error:
            raise Stop(
                f"{lock.parent} cannot be written ({error.strerror}). Choose folders "
                "that can: VENV=FOLDER for the environment, NEUROANA_CACHE=FOLDER "
                "for fetched recordings."
            ) from error
    try:
        os.write(handle, str(os.getpid()).encode())
        os.close(handle)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            lock.unlink()


def is_stale(lock):
    """Whether the process that holds the lock is gone."""
    try:
        holder = lock.read_text()
        age = time.time() - lock.stat().st_mtime
    except OSError:
        return False
    if not holder.isdigit():
        return age > 10
    if os.name == "nt":  # signal 0 is not a question there
        return False
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def take_away(lock):
    """Remove a stale lock, but put back one that somebody else has just renewed."""
    aside = lock.with_name(f"{lock.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        lock.rename(aside)
        if is_stale(aside):
            aside.unlink()
        else:
            aside.rename(lock)


# --- installing ----------------------------------------------------------------------


@contextlib.contextmanager
def step(what):
    print(f"  {what} ...", end=" ", flush=True)
    start = time.monotonic()
    try:
        yield
    except Failed:
        print("not possible", flush=True)
        raise
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def run(command, **environment):
    """Run a command quietly; return its output, or raise with all that it said."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise Failed((done.stdout + done.stderr).strip())
    return done.stdout


class Installer:
    """uv where it can be had, pip otherwise, both told the same."""

    def __init__(self, venv):
        self.venv = venv
        self.python = python_of(venv)
        self.choice = option("NEUROANA_INSTALLER", "auto", "uv", "pip")
        self.settings = self.pip_settings()
        self.has_uv = self.choice != "pip" and self.get_uv()

    def pip_settings(self):
        """What pip is configured with; uv does not read it."""
        listing = self.pip("config", "list")
        found = re.findall(r"^[^.]+\.([a-z-]+)=(.+)$", listing, flags=re.MULTILINE)
        settings = {}
        for name, value in found:
            settings.setdefault(name, []).extend(ast.literal_eval(value).split())
        return settings

    def get_uv(self):
        try:
            with step("uv"):
                self.pip("install", "uv>=0.8")
        except Failed as failed:
            if self.choice == "uv":
                raise Stop(self.explain(str(failed))) from failed
            return False
        return True

    def pip(self, verb, *arguments):
        flags = ["--disable-pip-version-check", "--no-input"]
        if verb in ("install", "download"):
            flags += ["--quiet"] + ["--no-index"] * OFFLINE
        return run([self.python, "-m", "pip", verb, *flags, *arguments])

    def uv(self, *arguments, **environment):
        links = dict.fromkeys(self.settings.get("find-links", []))
        flags = [f"--find-links={link}" for link in links]
        flags += ["--no-index"] * (OFFLINE and "--no-index" not in arguments)
        if "index-url" in self.settings and "UV_DEFAULT_INDEX" not in os.environ:
            environment["UV_DEFAULT_INDEX"] = self.settings["index-url"][-1]
        if "cert" in self.settings and not os.environ.get("SSL_CERT_FILE"):
            environment["SSL_CERT_FILE"] = self.settings["cert"][-1]
        command = [self.python, "-m", "uv", "pip", "install", "--quiet"]
        run([*command, "--python", self.python, *flags, *arguments], **environment)

    def install(self, what, *arguments):
        """By uv; by uv with its index pages read anew; by pip."""
        for refresh in ([], ["--refresh"]) if self.has_uv else ():
            try:
                with step(f"{what}, by uv"):
                    return self.uv(*refresh, *arguments)
            except Failed as failed:
                failure = failed
                if NO_NETWORK.search(str(failed)):
                    break
        if self.choice == "uv":
            raise Stop(self.explain(str(failure))) from failure
        try:
            with step(f"{what}, by pip"):
                self.pip("install", *arguments)
        except Failed as failed:
            raise Stop(self.explain(str(failed))) from failed

    def explain(self, output):
        """What went wrong, in the words of someone who wants to go on."""
        if "No space left" in output or "os error 28" in output:
            require_space(self.venv, 3 * GB)
            return f"The disk filled up.\n{output}"
        if NO_NETWORK.search(output):
            return (
                "No package index answers. Needed, from an index or from a folder of "
                f"wheels (PIP_FIND_LINKS=DIR OFFLINE=1): {SIZES}.\n"
                + output.splitlines()[-1]
            )
        missing = re.search(
            r"No matching distribution found for (\S+)|there is no version of (\S+)"
            r"|Because (\S+) was not found",
            output,
        )
        if missing:
            package = next(filter(None, missing.groups()))
            lines = LOCK.read_text().splitlines()
            line = next((n for n, text in enumerate(lines, 1) if package in text), None)
            where = f"line {line} of {LOCK}" if line else str(TORCH)
            place = "The wheel folders do not have" if OFFLINE else "The index lacks"
            return f"{place} {package} ({where}); `make lock` renews it."
        return output


# --- torch ---------------------------------------------------------------------------


def choose_torch(mode, *, installed, linux, wheel, driver):
    """Which build of torch to install: the first rule that applies.

    Linux wheels of the plain name bring CUDA and several GB; the CPU build is a
    tenth of that, and only the machine can tell which of them is wanted.
    """
    if mode == "skip":
        return "skip"
    in_range = (2, 6) <= tuple(map(int, installed.split(".")[:2])) < (3,)
    asked_for = mode == "auto" or (mode == "cpu") == ("+cpu" in installed)
    if in_range and (asked_for or not linux):
        return "keep"
    if not linux:
        return "plain"
    if mode == "cuda":
        return "cuda"
    if wheel:
        return "wheel"
    if mode == "auto" and driver:
        return "cuda"
    return "cpu"


def install_torch(tools):
    pin = TORCH.read_text().strip()
    folder = wheel_folder(pin, tools.settings.get("find-links", []))
    choice = choose_torch(
        torch_option(),
        installed=installed_torch(tools.python),
        linux=sys.platform == "linux",
        wheel=folder,
        driver=has_nvidia_driver(),
    )
    if choice == "plain":
        tools.install("torch", "--no-deps", pin)
    elif choice == "wheel":
        local = ["--no-deps", "--no-index", "--find-links", folder, pin]
        tools.install("torch for CPUs from a wheel folder", *local)
    elif choice == "cuda":
        print(f"  torch with CUDA: {SIZES_CUDA}; NEUROANA_TORCH=cpu avoids it")
        require_space(tools.venv, 8 * GB)
        tools.install("torch with CUDA", pin.replace("==", "==="))
    elif choice == "cpu":
        install_torch_for_cpus(tools, pin)


def install_torch_for_cpus(tools, pin):
    """From PyTorch's own CPU index, else from the usual one unless that means CUDA."""
    if tools.has_uv and not OFFLINE:
        patience = {"UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}
        try:
            with step("torch for CPUs, by uv"):
                return tools.uv("--no-deps", "--torch-backend=cpu", pin, **patience)
        except Failed:
            pass
    try:
        report = tools.pip(
            "install", "--dry-run", "--ignore-installed", "--no-deps", "--report=-", pin
        )
    except Failed as failed:
        raise Stop(tools.explain(str(failed))) from failed
    if brings_cuda(json.loads(report)):
        raise Stop(
            f"No CPU build of {pin} was found; the index has it with CUDA only, "
            f"{SIZES_CUDA}. The ways out:\n{WAYS_OUT}"
        )
    tools.install("torch", "--no-deps", pin)


def brings_cuda(report):
    """Whether pip's installation report names NVIDIA's libraries."""
    needs = [
        need
        for package in report["install"]
        for need in package["metadata"].get("requires_dist", [])
    ]
    return any(re.match("nvidia-|cuda-|triton", need) for need in needs)


def wheel_folder(pin, folders):
    """The first local folder that holds the CPU wheel of this torch and Python."""
    name = "{}+cpu-cp{}{}-*.whl".format(pin.replace("==", "-"), *sys.version_info)
    local = [folder.removeprefix("file://") for folder in folders]
    return next((folder for folder in local if any(Path(folder).glob(name))), "")


def installed_torch(python):
    probe = "import importlib.metadata as m; print(m.version('torch'))"
    try:
        return run([python, "-c", probe]).strip()
    except Failed:
        return "0.0"


def has_nvidia_driver():
    if Path("/proc/driver/nvidia/version").exists():
        return True
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.call(["nvidia-smi", "-L"], timeout=5, **quiet) == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


# --- the last word -------------------------------------------------------------------


def check(tools):
    """Look for packages that contradict each other, and import the heavy ones once."""
    without_torch = torch_option() == "skip"
    try:
        tools.pip("check")
    except Failed as failed:
        complaints = str(failed).splitlines()
        if without_torch:
            complaints = [c for c in complaints if " requires torch" not in c]
        if complaints:
            text = "\n".join(complaints)
            raise Stop(f"Packages contradict each other:\n{text}") from failed
    modules = "neuroana, nilearn.maskers, snakemake" + ", torch" * (not without_torch)
    try:
        run([tools.python, "-P", "-c", f"import {modules}"])
    except Failed as failed:
        raise Stop(f"The environment is complete but broken:\n{failed}") from failed


if __name__ == "__main__":
    main()
