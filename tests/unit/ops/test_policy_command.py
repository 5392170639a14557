"""The verdict table as it is printed."""

import json

from click.testing import CliRunner

from ackfirst.ops.policy import command
from ackfirst.shared.policy import TABLE, Policy, Verdict


def output(*args: str) -> str:
    result = CliRunner().invoke(command, args, env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0
    return result.output


def test_the_table_has_a_row_for_every_verdict_and_fits_80_columns() -> None:
    shown = output()
    first_words = {line.split(" ")[0] for line in shown.splitlines()}
    assert {verdict.value for verdict in Verdict} <= first_words
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80


def test_a_row_says_what_either_policy_answers() -> None:
    (suspect,) = [line for line in output().splitlines() if line.startswith("suspect ")]
    assert suspect.split()[1:5] == ["200", "quarantined", "401", "quarantined"]
    (verified,) = [line for line in output().splitlines() if line.startswith("verified ")]
    assert verified.split()[1:4] == ["200", "queued", "same"]


def test_json_is_the_same_table_one_object_a_line() -> None:
    records = {record["verdict"]: record for record in map(json.loads, output("--json").splitlines())}
    assert list(records) == [verdict.value for verdict in TABLE]
    for verdict, row in TABLE.items():
        for policy in Policy:
            ruling = row.under(policy)
            expected = {"status": ruling.status, "fate": ruling.fate.value, "retry_after": ruling.retry_after}
            assert records[verdict.value][policy.value] == expected
