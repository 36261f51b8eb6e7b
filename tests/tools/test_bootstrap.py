"""The environment's maker: what it refuses, what it repairs, what it says."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "bootstrap.py"
GONE = 2**22 + 1  # above the largest process number of Linux


@pytest.fixture
def bootstrap(monkeypatch):
    """The script as a fresh module, in an environment without its variables."""
    for name in ("VENV", "NEUROANA_TORCH", "NEUROANA_INSTALLER", "OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    described = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.fixture
def commands(bootstrap, monkeypatch):
    """Commands that would have run; those containing a word of `failing` fail."""
    ran = []

    def run(command, **_environment):
        words = " ".join(str(part) for part in command)
        ran.append(words)
        for word, said in run.failing.items():
            if word in words:
                raise bootstrap.Failed(said)
        return ""

    run.failing = {}
    run.ran = ran
    monkeypatch.setattr(bootstrap, "run", run)
    return run


# --- the interpreter -----------------------------------------------------------------


def test_script_parses_on_old_python():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_old_python_is_named_with_the_way_out(bootstrap, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(bootstrap.Stop, match=r"3\.10\.4.*3\.11.*PYTHON=python3\.12"):
        bootstrap.check_python()


def test_missing_ensurepip_names_the_system_package(bootstrap, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "ensurepip" else found(n)
    )
    with pytest.raises(bootstrap.Stop, match=r"apt-get install python3\.\d+-venv"):
        bootstrap.check_python()


def test_unknown_option_ends_with_2(tmp_path):
    environment = {**os.environ, "NEUROANA_TORCH": "rocm", "VENV": str(tmp_path / "v")}
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert "NEUROANA_TORCH=rocm" in done.stderr
    assert "Traceback" not in done.stderr


# --- the stamp -----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["mode", "lock", "place", "extra"])
def test_stamp_changes_with_what_the_environment_is_made_from(
    bootstrap, monkeypatch, tmp_path, what
):
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    before = bootstrap.digest(tmp_path)
    assert bootstrap.digest(tmp_path) == before
    place, extra = tmp_path, ()
    if what == "mode":
        monkeypatch.setenv("NEUROANA_TORCH", "skip")
    elif what == "lock":
        lock.write_text("a==2\n")
    elif what == "place":
        place = tmp_path / "elsewhere"
    else:
        extra = (lock,)
    assert bootstrap.digest(place, extra) != before


def test_current_environment_is_left_alone(bootstrap, commands, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "is_sound", lambda venv: True)
    bootstrap.write_stamp(tmp_path, bootstrap.digest(tmp_path))
    monkeypatch.setenv("VENV", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    bootstrap.main()
    assert commands.ran == []


def test_unfinished_environment_is_not_trusted(bootstrap, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True
    )
    site = next((tmp_path / "v" / "lib").glob("python*")) / "site-packages"
    (site / "pip.py").touch()
    assert bootstrap.is_sound(tmp_path / "v")
    bootstrap.write_stamp(tmp_path / "v", bootstrap.UNFINISHED)
    assert not bootstrap.is_sound(tmp_path / "v")


def test_moved_environment_is_not_trusted(bootstrap, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True
    )
    site = next((tmp_path / "v" / "lib").glob("python*")) / "site-packages"
    (site / "pip.py").touch()
    moved = (tmp_path / "v").rename(tmp_path / "w")
    assert not bootstrap.is_sound(moved)


def test_broken_environment_is_made_again(bootstrap, commands, tmp_path):
    venv = tmp_path / "a folder" / "v"
    venv.mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /nowhere\n")
    (venv / "leftover").touch()
    assert not bootstrap.is_sound(venv)
    bootstrap.create(venv)
    assert not (venv / "leftover").exists()
    assert bootstrap.stamp_of(venv) == bootstrap.UNFINISHED
    assert commands.ran[-1].endswith(f"-m venv {venv}")
    assert [p.name for p in venv.parent.iterdir()] == ["v"]


def test_folder_that_is_no_environment_is_kept(bootstrap, commands, tmp_path):
    (tmp_path / "thesis.tex").write_text("ten years")
    with pytest.raises(bootstrap.Stop, match="VENV=FOLDER"):
        bootstrap.create(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "ten years"


def test_interrupted_making_leaves_no_stamp_to_trust(bootstrap, commands, tmp_path):
    commands.failing = {"-m venv": "killed"}
    with pytest.raises(bootstrap.Stop, match="killed"):
        bootstrap.create(tmp_path / "v")
    assert bootstrap.stamp_of(tmp_path / "v") == bootstrap.UNFINISHED


def test_full_disk_is_told_before_anything_is_installed(bootstrap, tmp_path):
    with pytest.raises(bootstrap.Stop, match=r"GB are free at .* 1000000 GB are"):
        bootstrap.require_space(tmp_path / "v", 10**15)


def test_first_line_says_how_much_and_how_long(bootstrap, monkeypatch, tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1 ; python_version < '3.12'\na==2\nb==1\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    said = bootstrap.announcement(tmp_path / "v")
    for words in ("torch and 2 packages into v", "GB to download", "minutes"):
        assert words in said
    monkeypatch.setenv("NEUROANA_TORCH", "skip")
    assert "torch" not in bootstrap.announcement(tmp_path / "v")


# --- the lock ------------------------------------------------------------------------


def test_lock_is_held_and_given_back(bootstrap, tmp_path):
    lock = tmp_path / "v.lock"
    with bootstrap.sole_maker(tmp_path / "v"):
        assert lock.read_text() == str(os.getpid())
    assert not lock.exists()


@pytest.mark.parametrize("holder", [str(GONE), ""])
def test_stale_lock_is_taken_over(bootstrap, tmp_path, holder):
    lock = tmp_path / "v.lock"
    lock.write_text(holder)
    long_ago = time.time() - 60
    os.utime(lock, (long_ago, long_ago))
    with bootstrap.sole_maker(tmp_path / "v"):
        assert lock.read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_second_make_waits_for_the_first(bootstrap, monkeypatch, tmp_path, capsys):
    lock = tmp_path / "v.lock"
    lock.write_text(str(os.getpid()))
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            lock.unlink()

    monkeypatch.setattr(bootstrap.time, "sleep", sleep)
    with bootstrap.sole_maker(tmp_path / "v"):
        pass
    assert len(waits) == 3
    assert capsys.readouterr().out.count(str(lock)) == 1


def test_lock_renewed_meanwhile_is_put_back(bootstrap, tmp_path):
    lock = tmp_path / "v.lock"
    lock.write_text(str(os.getpid()))
    bootstrap.take_away(lock)
    assert lock.read_text() == str(os.getpid())


def test_read_only_checkout_names_the_way_out(bootstrap, monkeypatch, tmp_path):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bootstrap.os, "open", refuse)
    ways_out = r"VENV=FOLDER.*NEUROANA_CACHE=FOLDER"
    holding = bootstrap.sole_maker(tmp_path / "v")
    with pytest.raises(bootstrap.Stop, match=ways_out), holding:
        pass


# --- which torch ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "installed", "linux", "wheel", "driver", "choice"),
    [
        ("skip", "0.0", True, "", True, "skip"),
        ("auto", "2.13.0", True, "", False, "keep"),
        ("auto", "2.13.0+cpu", True, "", True, "keep"),
        ("auto", "2.5.1", True, "", False, "cpu"),
        ("auto", "3.0.0", True, "", False, "cpu"),
        ("cpu", "2.13.0", True, "", False, "cpu"),
        ("cpu", "2.13.0+cpu", True, "", False, "keep"),
        ("cuda", "2.13.0+cpu", True, "", False, "cuda"),
        ("cuda", "2.13.0", True, "", False, "keep"),
        ("cuda", "0.0", True, "wheels", False, "cuda"),
        ("cpu", "0.0", True, "wheels", True, "wheel"),
        ("cpu", "0.0", True, "", True, "cpu"),
        ("auto", "0.0", False, "", True, "plain"),
        ("cpu", "0.0", False, "", False, "plain"),
        ("cpu", "2.13.0", False, "", False, "keep"),
        ("auto", "0.0", True, "wheels", True, "wheel"),
        ("auto", "0.0", True, "", True, "cuda"),
        ("auto", "0.0", True, "", False, "cpu"),
    ],
)
def test_torch_is_chosen_by_the_first_rule_that_applies(
    bootstrap, mode, installed, linux, wheel, driver, choice
):
    machine = {"linux": linux, "wheel": wheel, "driver": driver}
    assert bootstrap.choose_torch(mode, installed=installed, **machine) == choice


def test_wheel_folder_has_the_pinned_torch_for_this_python(bootstrap, tmp_path):
    older, right = tmp_path / "older", tmp_path / "right"
    python = "cp{}{}".format(*sys.version_info)
    for folder, version in ((older, "2.12.0"), (right, "2.13.0")):
        folder.mkdir()
        (folder / f"torch-{version}+cpu-{python}-{python}-linux_x86_64.whl").touch()
    (older / "torch-2.13.0+cpu-cp39-cp39-linux_x86_64.whl").touch()
    folders = [str(tmp_path / "missing"), str(older), right.as_uri()]
    assert bootstrap.wheel_folder("torch==2.13.0", folders) == str(right)


def test_cuda_build_is_not_downloaded_unasked(bootstrap, commands, monkeypatch):
    report = {"install": [{"metadata": {"requires_dist": ["nvidia-cudnn-cu13==9"]}}]}
    tools = bootstrap.Installer(Path("v"))
    monkeypatch.setattr(tools, "pip", lambda *_: json.dumps(report))
    commands.failing = {"-m uv": "dns error"}
    with pytest.raises(bootstrap.Stop) as caught:
        bootstrap.install_torch_for_cpus(tools, "torch==2.13.0")
    for way in ("NEUROANA_TORCH=cuda", "NEUROANA_TORCH=skip", "PIP_FIND_LINKS", "GB"):
        assert way in str(caught.value)


def test_plain_cpu_torch_of_a_mirror_is_taken(bootstrap):
    report = {"install": [{"metadata": {"requires_dist": ["sympy", "networkx"]}}]}
    assert not bootstrap.brings_cuda(report)


# --- installing ----------------------------------------------------------------------


def test_uv_comes_first(bootstrap, commands):
    bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")
    assert "uv pip install" in commands.ran[-1]
    assert commands.ran[-1].endswith("-r lock.txt")


def test_uv_reads_stale_pages_anew_and_then_pip_takes_over(bootstrap, commands):
    commands.failing = {"uv pip install": "there is no version of numpy==2.5.5"}
    bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")
    first, second, third = commands.ran[-3:]
    assert "uv" in first
    assert "--refresh" not in first
    assert "--refresh" in second
    assert "-m pip install" in third
    assert third.endswith("-r lock.txt")


def test_pip_does_all_where_uv_cannot_be_had(bootstrap, commands):
    commands.failing = {"uv>=": "No matching distribution found for uv"}
    bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")
    assert "-m pip install" in commands.ran[-1]


def test_installer_pip_never_asks_for_uv(bootstrap, commands, monkeypatch):
    monkeypatch.setenv("NEUROANA_INSTALLER", "pip")
    bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")
    assert not any("uv" in words for words in commands.ran)


def test_installer_uv_does_not_fall_back(bootstrap, commands, monkeypatch):
    monkeypatch.setenv("NEUROANA_INSTALLER", "uv")
    commands.failing = {"uv pip install": "dns error"}
    with pytest.raises(bootstrap.Stop, match="No package index answers"):
        bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")


def test_uv_is_told_what_pip_is_configured_with(bootstrap, commands, monkeypatch):
    listing = ":env:.find-links='/wheels /more'\nglobal.index-url='file:///mirror'\n"
    listing += "global.cert='/etc/own.pem'\n"
    told = {}

    def run(command, **environment):
        told.update(environment, words=[str(part) for part in command])
        return listing

    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(bootstrap, "run", run)
    bootstrap.Installer(Path("v")).install("packages", "-r", "lock.txt")
    assert "--find-links=/wheels" in told["words"]
    assert "--find-links=/more" in told["words"]
    assert told["UV_DEFAULT_INDEX"] == "file:///mirror"
    assert told["SSL_CERT_FILE"] == "/etc/own.pem"


@pytest.mark.parametrize("arguments", [["a==1"], ["--no-index", "a==1"]])
def test_offline_is_told_once(bootstrap, commands, monkeypatch, arguments):
    monkeypatch.setattr(bootstrap, "OFFLINE", True)
    bootstrap.Installer(Path("v")).install("packages", *arguments)
    assert commands.ran[-1].count("--no-index") == 1


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("NewConnectionError(...)\nERROR: No matching", ["index", "PIP_FIND_LINKS"]),
        ("OSError: [Errno 28] No space left on device", ["disk"]),
        (
            "No matching distribution found for typer==9",
            ["typer", "line 2", "lock"],
        ),
        ("Because numpy==9 was not found in the", ["numpy==9", "make lock"]),
        ("something else", ["something else"]),
    ],
)
def test_failures_are_explained(
    bootstrap, commands, monkeypatch, tmp_path, output, words
):
    lock = tmp_path / "lock.txt"
    lock.write_text("numpy==2.4.6\ntyper==9\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    explained = bootstrap.Installer(tmp_path).explain(output)
    for word in words:
        assert word in explained


def test_without_torch_only_torch_may_be_missing(bootstrap, commands, monkeypatch):
    monkeypatch.setenv("NEUROANA_TORCH", "skip")
    tools = bootstrap.Installer(Path("v"))
    missing = "lightning 2.6.6 requires torch, which is not installed."
    commands.failing = {"pip check": missing}
    bootstrap.check(tools)
    assert "torch" not in commands.ran[-1]
    commands.failing = {"pip check": missing + "\na 1 has requirement b<2, got b 3"}
    with pytest.raises(bootstrap.Stop, match="a 1 has requirement b<2"):
        bootstrap.check(tools)
