"""demo: the main job, with the real client, in a home that is gone afterwards."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.options import JsonOption, show


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the platform and its home when it is done")
    ] = False,
    port: Annotated[int | None, typer.Option(help="API port; default: a free one")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, build, push, deploy, predict: a model and then a bento of two services."""
    from rich.console import Console

    from cli.demo.journey import demo as run
    from cli.demo.steps import StepFailedError

    console = Console(stderr=as_json, width=None if not as_json else 120)
    try:
        outcome = run(console, keep=keep, port=port)
    except StepFailedError as error:
        console.print(error.log, markup=False, highlight=False)
        raise CommandError(f"{error.step}: {error.why}") from error
    first = outcome.first_prediction_seconds
    show(
        asdict(outcome),
        as_json=as_json,
        human=lambda: (
            f"first prediction after {first:.1f} s"
            + (f"; it runs on in {outcome.home}" if keep else "; everything is stopped and gone")
        ),
    )
