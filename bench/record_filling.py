"""Fill a record with millions of events, in SQL on the server: through ``Store`` it would take an hour."""

import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, text
from sqlalchemy.engine import make_url

from ackfirst.shared.store.partitions import make_partitions
from ackfirst.shared.store.rollup_writes import STEPS
from ackfirst.shared.store.tables import metadata

#: The events are spread evenly over so many days.
DAYS: Final = 90
DAY_SECONDS: Final = 86_400
HANDLERS: Final = tuple(
    f"myapp.callbacks.on_{name}" for name in ("status", "message", "order", "reply", "stop", "price")
)
#: Columns of an event, each as SQL over its number ``n``.
_EVENT: Final = {
    "received_at": "{start} + n * {step}",
    "event_id": "'s-' || {hex32}",
    "account": "'abcd1234'",
    "application_id": "'aaaaaaaa-bbbb-4ccc-8ddd-' || substr(cast(1000000000000 + n % 20 as {text}), 2)",
    "lane": "'aaaaaaaa-bbbb-4ccc-8ddd-' || substr(cast(1000000000000 + n % 20 as {text}), 2)",
    "family": "case when n % 500000 = 3 then 'other' when n % 4 = 0 then 'inbound-message' else 'message-status' end",
    "channel": "'whatsapp'",
    "message_id": "{hex8} || '-bbbb-4ccc-8ddd-' || {hex12}",
    "client_ref": "case when n % 3 = 0 then 'order-' || {hex12} end",
    "status": "case n % 4 when 0 then null when 1 then 'submitted' when 2 then 'delivered' else 'read' end",
    "sender": "'447700900' || substr(cast(1000 + n % 20 as {text}), 2)",
    "recipient": "'4477' || substr(cast(100000000 + {random8} as {text}), 2)",
    "occurred_at": "{start} + n * {step} - 0.3",
    "encoding": "'json'",
    "content_type": "'application/json'",
    "body": "{body}",
    "query": "{empty}",
    "state": "case when n % 100 = 7 then 'dead' else 'processed' end",
    "state_at": "{start} + n * {step} + 0.02",
    "attempts": "1",
    "recorded_at": "{start} + n * {step} + 0.2",
}
_BODY_BYTES: Final = 640

_HANDLER: Final = "case n % 6 " + " ".join(f"when {n} then '{name}'" for n, name in enumerate(HANDLERS)) + " end"
#: The events with their number, which tells their handler.
_NUMBER: Final = "CAST((received_at - {start}) / {step} + 0.5 AS {integer}) AS n"
_NUMBERED: Final = f"(SELECT *, {_NUMBER} FROM events WHERE received_at < {{end}}) AS e"
_BOUND: Final = (
    f"CASE {' '.join(f'WHEN seconds <= {bound} THEN {bound}' for bound in (0.005, 0.01, 0.025))} ELSE 0.05 END"
)


def _by_step(time_column: str, step: int) -> str:
    return f"CAST(floor({time_column} / {step}) AS {{integer}}) * {step}"


def _within(time_column: str, step: int) -> str:
    """Match what minutes are kept of, or everything for hours."""
    return f"{time_column} >= {'{recent}' if step == STEPS[0] else '{start}'} AND {time_column} < {{end}}"


_COUNTS: Final = [
    f"INSERT INTO counts SELECT {step}, {_by_step('received_at', step)}, '{kind}', {name}, count(*) "
    f"FROM events WHERE {_within('received_at', step)} GROUP BY 2, 4"
    for step in STEPS
    for kind, name in (("family", "family"), ("outcome", "state"), ("lag", "'0.5'"))
]
_HANDLER_COUNTS: Final = [
    f"INSERT INTO handler_counts SELECT {step}, {_by_step('started', step)}, handler, {_BOUND}, count(*), 0, "
    f"sum(seconds) FROM attempts WHERE {_within('received_at', step)} GROUP BY 2, 3, 4"
    for step in STEPS
]
_ATTEMPTS: Final = (
    "INSERT INTO attempts "
    "(received_at, event_id, started, handler, number, worker, seconds, ending, error_type, message) "
    f"SELECT received_at, event_id, received_at + 0.01, {_HANDLER}, 1, 'host.123.0', 0.001 * (n % 50), "
    "CASE state WHEN 'dead' THEN 'dead' ELSE 'done' END, CASE state WHEN 'dead' THEN 'ValueError' END, "
    f"CASE state WHEN 'dead' THEN 'no such customer' END FROM {_NUMBERED}"
)
_LETTERS: Final = (
    f"INSERT INTO dead_letters SELECT received_at, event_id, {_HANDLER}, message_id, lane, "
    "CASE n % 3 WHEN 0 THEN 'KeyError' ELSE 'ValueError' END, 'no such customer', 1, state_at "
    f"FROM {_NUMBERED} WHERE state = 'dead'"
)
_LETTER_COUNTS: Final = (
    f"INSERT INTO dead_minutes SELECT handler, error_type, {_by_step('dead_at', 60)}, count(*) "
    "FROM dead_letters GROUP BY 1, 2, 3"
)
_AFTER: Final = (_ATTEMPTS, _LETTERS, _LETTER_COUNTS, *_COUNTS, *_HANDLER_COUNTS)

_SQLITE: Final = {
    "text": "TEXT",
    "integer": "INTEGER",
    "hex32": "lower(hex(randomblob(16)))",
    "hex12": "lower(hex(randomblob(6)))",
    "hex8": "lower(hex(randomblob(4)))",
    "random8": "abs(random() % 100000000)",
    "body": f"CAST(printf('%.{_BODY_BYTES}c', 'x') AS BLOB)",
    "empty": "x''",
}
_POSTGRESQL: Final = {
    "text": "TEXT",
    "integer": "BIGINT",
    "hex32": "md5(random()::text)",
    "hex12": "substr(md5(random()::text), 1, 12)",
    "hex8": "substr(md5(random()::text), 1, 8)",
    "random8": "(random() * 99999999)::bigint",
    "body": f"convert_to(repeat('x', {_BODY_BYTES}), 'UTF8')",
    "empty": "''::bytea",
}


def fill(url: str, rows: int) -> int:
    """Add events of the 90 days before today, with all that belongs to them; return the bytes of the record."""
    parsed = make_url(url)
    is_postgresql = parsed.get_backend_name() == "postgresql"
    engine = create_engine(parsed.set(drivername="postgresql+psycopg") if is_postgresql else parsed)
    before = _size(engine, parsed.database, is_postgresql=is_postgresql)
    end = time.time() // DAY_SECONDS * DAY_SECONDS
    start = end - DAYS * DAY_SECONDS
    words = {
        **(_POSTGRESQL if is_postgresql else _SQLITE),
        "start": f"{start:.1f}",
        "end": f"{end:.1f}",
        "recent": f"{end - 2 * DAY_SECONDS:.1f}",
        "step": repr(DAYS * DAY_SECONDS / rows),
    }
    if not is_postgresql:
        _journal(engine, "OFF")
    with engine.begin() as connection:
        if is_postgresql:
            _make_partitions(connection, int(start))
        _drop_indexes(connection, metadata)
        for statement in (_events(rows, is_postgresql=is_postgresql), *_AFTER):
            connection.exec_driver_sql(statement.format(**words).replace("%", "%%" if is_postgresql else "%"))
    with engine.begin() as connection:
        _make_indexes(connection, metadata)
    if is_postgresql:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    else:
        _journal(engine, "WAL")
    size = _size(engine, parsed.database, is_postgresql=is_postgresql)
    engine.dispose()
    return size - before


def _journal(engine: Engine, mode: str) -> None:
    """Change SQLite's journal; needs the file for itself. OFF writes millions of rows once instead of twice."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        found = connection.exec_driver_sql(f"PRAGMA journal_mode={mode}").scalar_one()
        connection.exec_driver_sql(f"PRAGMA synchronous={'OFF' if mode == 'OFF' else 'FULL'}")
        connection.exec_driver_sql("PRAGMA cache_size=-400000")
    if str(found).lower() != mode.lower():
        raise SystemExit(f"the journal of the record stays {found}: it is open elsewhere")


def _events(rows: int, *, is_postgresql: bool) -> str:
    series = (
        f"generate_series(0, {rows - 1}) AS n"
        if is_postgresql
        else f"(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {rows - 1}) SELECT n FROM s)"
    )
    return f"INSERT INTO events ({', '.join(_EVENT)}) SELECT {', '.join(_EVENT.values())} FROM {series}"


def _make_partitions(connection: Connection, start: int) -> None:
    first = start // DAY_SECONDS
    make_partitions(connection, range(first, first + DAYS + 2))


def _drop_indexes(connection: Connection, tables: MetaData) -> None:
    for table in tables.sorted_tables:
        for index in table.indexes:
            connection.execute(text(f"DROP INDEX {index.name}"))


def _make_indexes(connection: Connection, tables: MetaData) -> None:
    for table in tables.sorted_tables:
        for index in table.indexes:
            index.create(connection)


def _size(engine: Engine, database: str | None, *, is_postgresql: bool) -> int:
    if not is_postgresql:
        return Path(str(database)).stat().st_size
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
