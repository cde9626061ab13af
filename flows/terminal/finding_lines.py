"""How commands without a run print what they found, besides what they were asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from tasks.operations.reports.advice import advice_on
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.ports import Finding

SHOWN = 25
"""How many findings of one code are shown: a registry's own storage has one for each blob."""


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings to standard error, a line each."""
    for finding in findings:
        click.echo(printable(f"! {finding.path}: {finding.message} ({finding.code})"), err=True)


def print_findings_with_advice(findings: Collection[Finding]) -> None:
    """The same, so many of each code, and below them what to do about each that keeps a command from its end."""
    numbers: Counter[str] = Counter()
    for finding in findings:
        numbers[finding.code] += 1
        if numbers[finding.code] <= SHOWN:
            print_findings([finding])
    for code, number in numbers.items():
        if number > SHOWN:
            click.echo(f"! … and {number - SHOWN:,} more ({code}), which --json lists", err=True)
    print_advice((finding.code for finding in findings if is_harmful(finding)), err=True)


def print_advice(codes: Iterable[str | None], *, err: bool) -> None:
    """Print what to do about each of these codes once, where their problems went: to standard error if `err`."""
    for code in dict.fromkeys(codes):
        click.echo(f"    {code}: {advice_on(code)}", err=err)
