"""``neuroana step``: one step of a pipeline, as Snakemake calls it."""

import os
from typing import Annotated

import typer

from neuroana.cli.options import named_paths, print_json, print_table
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def command(
    name: Annotated[
        str | None, typer.Argument(help="The step, for example switching.fit.")
    ] = None,
    input: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="name=path, repeatable.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", help="name=path, repeatable.")
    ] = None,
    params: Annotated[str, typer.Option(help="Parameters, JSON or YAML.")] = "{}",
    threads: Annotated[int, typer.Option(help="Threads of the arithmetic.")] = 1,
    record_failure: Annotated[
        bool,
        typer.Option("--record-failure", help="Leave a record instead of failing."),
    ] = False,
    about: Annotated[
        bool, typer.Option("--about", help="Files and parameters of the step.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="JSON schema of its parameters.")
    ] = False,
) -> None:
    """Run one step: files in, files out. Without a name, list all steps."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    from neuroana.core import step as steps

    if name is None:
        rows = [[n, steps.STEPS[n].about] for n in steps.names()]
        print_table(["step", "what it does"], rows)
        return
    if schema:
        print_json(steps.find(name).params.model_json_schema())
        return
    if about:
        chosen = steps.find(name)
        typer.echo(chosen.about)
        files = [["input", n, f.about] for n, f in chosen.inputs.items()]
        files += [["output", n, f.about] for n, f in chosen.outputs.items()]
        print_table(["file", "name", "what"], files)
        rows = [list(row) for row in steps.parameter_table(chosen.params)]
        print_table(["parameter", "type", "default", "what"], rows)
        return
    import yaml

    try:
        given = yaml.safe_load(params) or {}
    except yaml.YAMLError as error:
        raise ParameterError(message("--params", "JSON or YAML", params)) from error
    if not isinstance(given, dict):
        raise ParameterError(message("--params", "a mapping", params))
    steps.run(
        name,
        named_paths(input or [], "input"),
        named_paths(output or [], "output"),
        given,
        record_failure=record_failure,
    )
