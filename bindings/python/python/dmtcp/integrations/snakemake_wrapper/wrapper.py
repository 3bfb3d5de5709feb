"""Runs the command of a rule so that it goes on where it was when its job is tried again."""

from dmtcp.integrations.snakemake import run_rule

run_rule(snakemake)  # type: ignore[name-defined]  # noqa: F821
