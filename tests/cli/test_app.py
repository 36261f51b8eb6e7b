import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from neuroana.cli.app import main


def call(capsys, *arguments):
    """Exit code, standard output and standard error of one call."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


@pytest.fixture(autouse=True)
def _warnings_as_they_were(monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "sub-01_timeseries.tsv"
    header = "\t".join(["left", "right"])
    rows = "\n".join("\t".join(f"{v:.6f}" for v in row)
                     for row in rng.standard_normal((60, 2)))  # fmt: skip
    path.write_text(f"{header}\n{rows}\n")
    return path


def test_version_is_printed(capsys):
    code, out, _ = call(capsys, "--version")
    assert (code, out.split()[0]) == (0, "neuroana")


def test_a_misspelt_verb_names_the_right_one(capsys):
    code, _, err = call(capsys, "infoo", "x")
    assert code == 2
    assert "info" in err


def test_info_describes_a_table(capsys, table):
    code, out, _ = call(capsys, "info", table, "--modality", "fmri", "--json",
                        "--option", "t_r=2.0")  # fmt: skip
    facts = json.loads(out)
    assert code == 0
    assert facts["sampling rate (Hz)"] == 0.5
    assert facts["roi"] == ["left", "right"]


def test_info_asks_for_what_a_table_does_not_say(capsys, table):
    code, _, err = call(capsys, "info", table)
    assert code == 2
    assert "sampling_rate" in err
    assert "Traceback" not in err


def test_info_names_a_file_that_is_not_there(capsys, tmp_path):
    code, _, err = call(capsys, "info", tmp_path / "none.edf")
    assert code == 2
    assert "none.edf" in err


def test_convert_writes_a_recording_that_reads_back(capsys, table, tmp_path):
    target = tmp_path / "out.nc"
    code, _, _ = call(capsys, "convert", table, target, "--modality", "fmri",
                      "--option", "t_r=2.0", "--attr", "subject=01")  # fmt: skip
    assert code == 0
    _, out, _ = call(capsys, "info", target, "--json")
    assert json.loads(out)["recording"] == "sub-01"


def test_convert_writes_nwb_that_reads_back(capsys, table, tmp_path):
    target = tmp_path / "out.nwb"
    code, _, _ = call(capsys, "convert", table, target, "--modality", "fmri",
                      "--option", "t_r=2.0", "--attr", "subject=01")  # fmt: skip
    assert code == 0
    _, out, _ = call(capsys, "info", target, "--json")
    assert json.loads(out)["recording"] == "sub-01"


def test_convert_names_a_misspelt_option(capsys, table, tmp_path):
    code, _, err = call(capsys, "convert", table, tmp_path / "o.nc", "--modality",
                        "fmri", "--option", "sampling_rat=2")  # fmt: skip
    assert code == 2
    assert "sampling_rate" in err


def test_a_damaged_file_is_an_error_that_names_it(capsys, table, tmp_path):
    target = tmp_path / "out.nc"
    call(capsys, "convert", table, target, "--modality", "fmri", "--option", "t_r=2")
    damaged = bytearray(target.read_bytes())
    damaged[2000] ^= 0xFF
    target.write_bytes(damaged)
    code, _, err = call(capsys, "info", target)
    assert code == 2
    assert "out.nc" in err
    assert "Traceback" not in err


def test_verify_lists_damage_and_leaves_with_one(capsys, table, tmp_path):
    results = tmp_path / "results"
    target = results / "a.nc"
    call(capsys, "convert", table, target, "--modality", "fmri", "--option", "t_r=2")
    assert call(capsys, "verify", results)[0] == 0
    damaged = bytearray(target.read_bytes())
    damaged[2000] ^= 0xFF
    target.write_bytes(damaged)
    code, out, _ = call(capsys, "verify", results)
    assert code == 1
    assert "damaged" in out


def test_show_draws_a_picture(capsys, table, tmp_path):
    picture = tmp_path / "a.png"
    code, _, _ = call(capsys, "show", table, "--modality", "fmri",
                      "--option", "t_r=2.0", "--out", picture)  # fmt: skip
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_show_refuses_other_formats(capsys, table):
    code, _, err = call(capsys, "show", table, "--modality", "fmri",
                        "--option", "t_r=2.0", "--out", "a.bmp")  # fmt: skip
    assert code == 2
    assert ".png" in err


def test_fetch_lists_what_is_known(capsys):
    code, out, _ = call(capsys, "fetch", "--list", "--json")
    assert code == 0
    assert "fmri_rest_31roi" in json.loads(out)


def test_step_lists_describes_and_refuses(capsys):
    assert "switching.fit" in call(capsys, "step")[1]
    assert "n_states" in call(capsys, "step", "switching.fit", "--about")[1]
    schema = json.loads(call(capsys, "step", "switching.fit", "--schema")[1])
    assert schema["additionalProperties"] is False
    code, _, err = call(capsys, "step", "switching.fitt")
    assert code == 2
    assert "switching.fit" in err


def test_step_refuses_parameters_that_are_no_mapping(capsys):
    code, _, err = call(capsys, "step", "switching.fit", "--params", "[1")
    assert (code, "JSON or YAML" in err) == (2, True)


def test_report_asks_for_sections(capsys, tmp_path):
    code, _, err = call(capsys, "report", tmp_path)
    assert code == 2
    assert "neuroana run" in err


def test_doctor_finds_this_environment_sound(capsys):
    code, out, _ = call(capsys, "doctor", "--json")
    assert code == 0
    states = {row["what"]: row["state"] for row in json.loads(out)}
    assert states["nilearn"] == states["snakemake"] == "ok"


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from neuroana.cli.app import main\n"
        "try: main(['step', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'sklearn', 'mne', 'nilearn', 'lightning'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment
    )
    assert done.returncode == 0


def test_import_of_the_package_is_light():
    script = "import sys, neuroana; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
