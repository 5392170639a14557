"""What alerts and dashboard ask for, and what the documentation lists, is what a live ingest exposes."""

import json
import re
from pathlib import Path

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.ingest import running_ingest
from tests.support.metrics_table import series, table
from tests.support.processes import ROOT
from tests.support.prometheus import rules
from tests.support.shipped_dashboard import dashboard, expressions

PAGE = ROOT / "docs" / "operating.md"


@pytest.fixture
async def exposed(redis_url: str, redis_sync: redis.Redis) -> str:
    """``/metrics`` of an ingest that had a callback, where a handler has run."""
    redis_sync.hset(keys.HANDLER_TIMES, mapping={"app.callbacks:reply:seconds": "1.5", "app.callbacks:reply:runs": 3})
    async with running_ingest(redis_url) as ingest:
        await ingest.post_signed(json.dumps(inbound_message()).encode())
        await ingest.send("GET", "/nowhere")
        return (await ingest.admin("/metrics")).body.decode()


def named(*texts: str) -> set[str]:
    return {name for text in texts for name in re.findall(r"\backfirst_\w+", text)}


async def test_every_metric_of_an_alert_is_exposed(exposed: str) -> None:
    wanted = named(*(rule["expr"] for rule in rules()))
    assert len(wanted) > 15
    assert wanted - series(exposed) == set()


async def test_every_metric_of_the_dashboard_is_exposed(exposed: str) -> None:
    lists = (variable["definition"] for variable in dashboard()["templating"]["list"])
    wanted = named(*expressions(), *lists)
    assert len(wanted) > 30
    assert wanted - series(exposed) == set()


async def test_every_metric_is_on_the_dashboard_or_in_an_alert(exposed: str) -> None:
    shown = named(*expressions(), *(rule["expr"] for rule in rules()))
    rest = {name for name in series(exposed) if re.sub(r"_(bucket|sum|count|created)$", "", name) not in _stems(shown)}
    assert rest <= {"ackfirst_spool_set_aside", "ackfirst_redis_data_losses_total"}


def _stems(names: set[str]) -> set[str]:
    return {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in names}


async def test_the_page_holds_the_table_of_metrics(exposed: str, tmp_path: Path) -> None:
    fresh = tmp_path / "table.md"
    fresh.write_text(table(exposed))
    assert table(exposed) in PAGE.read_text(), f"docs/operating.md is old: {fresh} has the new table"
