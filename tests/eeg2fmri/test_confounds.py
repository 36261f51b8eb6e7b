import functools

import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri import (
    BandPowerRidge,
    ConfoundRidge,
    compare_models,
    confound_audit,
    confound_courses,
    simulate_eeg_fmri,
)
from neuroana.eeg2fmri.confounds import confound_verdict


CHANNELS = ("FZ", "CZ", "C3", "OZ")


@functools.cache
def audited(neural, confound):
    runs, _ = simulate_eeg_fmri(
        6, n_volumes=350, channels=CHANNELS, neural_gain=neural,
        confound_gain=confound, pulse_uv=10.0, random_state=0,
    )  # fmt: skip
    models = {
        "ridge": BandPowerRidge(),
        "confounds": ConfoundRidge(confound_courses(runs)),
    }
    made = compare_models(runs, models, protocol="inter-subject", n_splits=3)
    return confound_audit(made, "confounds")


def test_confound_audit_explains_a_model_that_reads_the_pulse():
    table = audited(0.0, 1.0)
    assert (table["r"] > 0.15).all()
    assert (table["share"] >= 0.8).all()
    assert table["warning"].all()
    assert confound_verdict(table).startswith("Warning")


def test_confound_audit_leaves_a_neural_model_alone():
    table = audited(1.0, 0.0).set_index("roi")
    assert table.loc[["alpha", "mu"], "r"].min() > 0.35
    assert table.loc[["alpha", "mu"], "share"].max() < 0.15
    assert not table["warning"].any()
    assert confound_verdict(table.reset_index()) == ""


def test_confound_courses_take_channels_by_type_and_columns_by_volume():
    runs, _ = simulate_eeg_fmri(1, n_volumes=60, channels=CHANNELS, random_state=0)
    run = runs[0]
    eeg = run["eeg"].to_dataset()
    kinds = np.array(["emg", "resp", "eeg", "eeg"])
    run["eeg"] = run["eeg"].assign(eeg.assign_coords(ch_type=("channel", kinds)))
    label = confound_courses(run)["run"].item()
    moved = pd.DataFrame({"displacement": np.arange(60.0)})
    found = confound_courses(run, {label: moved})
    assert {"emg power", "respiration", "displacement"} <= set(found.confound.values)
    assert "heart rate" not in found.confound.values
    with pytest.raises(SchemaError, match="60 rows"):
        confound_courses(run, {label: moved[:50]})


def test_confound_ridge_survives_saving(tmp_path):
    runs, _ = simulate_eeg_fmri(
        2, n_volumes=150, channels=CHANNELS, pulse_uv=5.0, random_state=0
    )
    model = ConfoundRidge(confound_courses(runs)).fit(runs[:1])
    model.save(tmp_path / "model.nc")
    again = ConfoundRidge.load(tmp_path / "model.nc")
    np.testing.assert_array_equal(model.predict(runs[1]), again.predict(runs[1]))
