import pytest
from pydantic import Field

from neuroana.core import step as steps
from neuroana.core.errors import FailedRunError, ParameterError, SchemaError
from neuroana.core.step import (
    File,
    Parameters,
    failure_of,
    failures,
    pipeline_step,
    run,
)


class Settings(Parameters):
    factor: float = Field(2.0, description="what to multiply with")
    names: list[str] = Field(default_factory=list)


@pytest.fixture(autouse=True)
def double():
    @pipeline_step(
        "test.double",
        inputs={"numbers": File("numbers, one a file", many=True)},
        outputs={"sum": File("their sum")},
        params=Settings,
    )
    def compute(inputs, outputs, params):
        """Add numbers up."""
        values = [float(p.read_text()) for p in inputs["numbers"]]
        if any(v < 0 for v in values):
            raise SchemaError("a negative number")
        outputs["sum"].write_text(str(params.factor * sum(values)))

    yield
    del steps.STEPS["test.double"]


def number(tmp_path, value, name="a"):
    path = tmp_path / name
    path.write_text(str(value))
    return path


def test_run_hands_files_and_parameters_over(tmp_path):
    run(
        "test.double",
        {"numbers": [number(tmp_path, 1), number(tmp_path, 2, "b")]},
        {"sum": tmp_path / "sum"},
        {"factor": 3},
    )
    assert (tmp_path / "sum").read_text() == "9.0"


def test_run_names_a_misspelt_parameter(tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'factor'"):
        run(
            "test.double",
            {"numbers": number(tmp_path, 1)},
            {"sum": tmp_path / "sum"},
            {"facter": 3},
            record_failure=True,
        )


def test_run_names_missing_inputs_and_files(tmp_path):
    with pytest.raises(ParameterError, match=r"missing \['numbers'\]"):
        run("test.double", {}, {"sum": tmp_path / "sum"})
    with pytest.raises(ParameterError, match="nothing at"):
        run("test.double", {"numbers": tmp_path / "no"}, {"sum": tmp_path / "sum"})


def test_find_names_the_nearest_step():
    with pytest.raises(ParameterError, match=r"did you mean 'signal\.prepare'"):
        steps.find("signal.prepar")


def test_a_recorded_failure_stands_in_place_of_the_output(tmp_path):
    target = tmp_path / "sum"
    run("test.double", {"numbers": number(tmp_path, -1)}, {"sum": target},
        record_failure=True)  # fmt: skip
    assert failure_of(target)["step"] == "test.double"
    assert "negative" in failure_of(target)["error"]
    assert [p for p, _ in failures(tmp_path)] == [target]


def test_failed_inputs_are_left_out_and_pass_on_when_nothing_is_left(tmp_path):
    bad = tmp_path / "bad"
    steps.write_failure(bad, "io.read", SchemaError("damaged"))
    run("test.double", {"numbers": [bad, number(tmp_path, 2)]},
        {"sum": tmp_path / "sum"})  # fmt: skip
    assert (tmp_path / "sum").read_text() == "4.0"
    with pytest.raises(FailedRunError, match=r"io\.read.*damaged"):
        run("test.double", {"numbers": [bad]}, {"sum": tmp_path / "sum"})


def test_yaml_defaults_carry_their_comments():
    assert "factor: 2.0  # what to multiply with" in steps.commented_yaml(Settings)


def test_every_step_of_the_package_is_documented():
    for name in filter(lambda n: not n.startswith("test."), steps.names()):
        chosen = steps.find(name)
        assert chosen.about.endswith(".")
        assert all(f.about for f in (*chosen.inputs.values(), *chosen.outputs.values()))
        for parameter, field in chosen.params.model_fields.items():
            assert field.description, f"{name}: {parameter}"


def test_parameter_schemas_are_json():
    import json

    for name in steps.names():
        assert json.dumps(steps.find(name).params.model_json_schema())
