import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.core.recording import from_array
from neuroana.core.store import (
    atomic_path,
    read_json,
    read_netcdf,
    read_tree,
    verify,
    write_json,
    write_netcdf,
)


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    return from_array(
        1e-5 * rng.standard_normal((300, 3)),
        "eeg",
        sampling_rate=100.0,
        names=["Fp1", "Cz", "Oz"],
        coords={"bad": [False, True, False], "ch_type": ["eeg"] * 3},
        good=np.arange(300) > 3,
    )


def test_netcdf_round_trip_is_identical(recording, tmp_path):
    assert read_netcdf(write_netcdf(recording, tmp_path / "a.nc")).identical(recording)


def test_the_same_data_give_the_same_bytes(recording, tmp_path):
    one = write_netcdf(recording, tmp_path / "a.nc").read_bytes()
    two = write_netcdf(recording, tmp_path / "b.nc").read_bytes()
    assert one == two


def test_tree_round_trip_keeps_groups(recording, tmp_path):
    tree = xr.DataTree.from_dict({"/sub-01/rest": recording})
    back = read_tree(write_netcdf(tree, tmp_path / "a.nc"))
    assert back["/sub-01/rest"].to_dataset().identical(recording)


def test_a_flipped_byte_anywhere_is_found(recording, tmp_path):
    whole = write_netcdf(recording, tmp_path / "a.nc").read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(whole) - 90, 60):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "b.nc").write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=r"b\.nc"):
            read_netcdf(tmp_path / "b.nc")


def test_a_truncated_file_is_found(recording, tmp_path):
    whole = write_netcdf(recording, tmp_path / "a.nc").read_bytes()
    for share in (0.0, 0.3, 0.9, 0.98):
        (tmp_path / "b.nc").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CorruptFileError):
            read_netcdf(tmp_path / "b.nc")


def test_a_file_of_another_program_is_read_unverified(recording, tmp_path):
    recording.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert verify(tmp_path / "a.nc") is False
    assert read_netcdf(tmp_path / "a.nc").identical(recording)


def test_a_newer_schema_is_refused(recording, tmp_path):
    write_netcdf(recording.assign_attrs(neuroana_schema="99"), tmp_path / "a.nc")
    with pytest.raises(SchemaError, match="newer neuroana"):
        read_netcdf(tmp_path / "a.nc")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nc"):
        read_netcdf(tmp_path / "none.nc")


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way():
        with atomic_path(target) as part:
            part.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_the_old_or_the_new_file(tmp_path):
    script = textwrap.dedent(
        """
        import sys, numpy as np, xarray as xr
        from neuroana.core.store import write_netcdf
        print("ready", flush=True)
        for value in range(10**6):
            ds = xr.Dataset({"a": ("x", np.full(200_000, value))})
            write_netcdf(ds, sys.argv[1])
        """
    )
    target = tmp_path / "a.nc"
    rng = np.random.default_rng(2)
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE
        )
        child.stdout.readline()
        while not target.exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.02, 0.2))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        values = read_netcdf(target)["a"].to_numpy()
        assert len(values) == 200_000
        assert (values == values[0]).all()


def test_json_refuses_what_is_no_json(tmp_path):
    assert read_json(write_json({"b": np.float64(1)}, tmp_path / "a.json")) == {"b": 1}
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CorruptFileError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
