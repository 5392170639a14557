"""What alerts and dashboard ask for, and what the documentation lists, is what a live ingest exposes."""

import re

import pytest

from tests.support.prometheus import rules
from tests.support.shipped_dashboard import dashboard, expressions
from tools.docs import stale
from tools.exposition import exposition
from tools.metrics_table import series


@pytest.fixture
async def exposed(redis_url: str) -> str:
    return await exposition(redis_url)


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
    assert rest <= {
        "ackfirst_spool_set_aside",
        "ackfirst_redis_data_losses_total",
        "ackfirst_redis_lost_events_total",
    }


def _stems(names: set[str]) -> set[str]:
    return {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in names}


async def test_every_generated_part_of_the_documentation_is_up_to_date(exposed: str) -> None:
    assert [path.name for path in stale(exposed)] == [], "run make docs"
