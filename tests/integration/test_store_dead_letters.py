"""Dead letters are grouped, counted by age, and gone once their handler has run again."""

from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.store import DeadLetter, EventFilter, Store
from tests.support.record_rows import HANDLER, NOON, arrival, attempt, batch, ended, event_id, handled

HOUR, DAY = 3_600, 86_400


def dead(name: object, at: float, handler: str = HANDLER, error_type: str = "ValueError") -> dict[str, list[object]]:
    return {
        "arrivals": [arrival(name, at)],
        "attempts": [attempt(name, at, "dead", handler=handler, error_type=error_type, message=f"{name} failed")],
        "endings": [ended(name, at, "dead")],
    }


def test_groups_count_the_last_hour_day_and_week(store: Store) -> None:
    ages = {"now": 60, "today": 5 * HOUR, "this week": 3 * DAY, "long ago": 20 * DAY}
    store.write(batch(1, *(dead(name, NOON - age) for name, age in ages.items())))
    [group] = store.dead_groups(NOON)
    assert (group.handler, group.error_type) == (HANDLER, "ValueError")
    assert (group.hour, group.day, group.week) == (1, 2, 3)
    assert (group.oldest, group.newest) == (NOON - 20 * DAY + 0.12, NOON - 60 + 0.12)
    assert (group.sample, group.sample_event_id) == ("now failed", event_id("now"))


def test_groups_are_by_handler_and_type_of_error_the_largest_first(store: Store) -> None:
    store.write(
        batch(
            1,
            dead(1, NOON, "a.b", "KeyError"),
            *(dead(n, NOON + n, "a.b", "ValueError") for n in range(2, 5)),
            *(dead(n, NOON + n, "c.d") for n in range(5, 7)),
        )
    )
    groups = store.dead_groups(NOON + 60)
    assert [(g.handler, g.error_type, g.hour) for g in groups] == [
        ("a.b", "ValueError", 3),
        ("c.d", "ValueError", 2),
        ("a.b", "KeyError", 1),
    ]


def test_dead_letters_are_listed_newest_first_a_page_at_a_time(store: Store) -> None:
    store.write(batch(1, *(dead(n, NOON + n // 2) for n in range(9))))
    found: list[DeadLetter] = []
    while page := store.dead(HANDLER, "ValueError", after=found[-1].cursor if found else None, limit=2):
        found += page
    assert len({row.event_id for row in found}) == len(found) == 9
    assert [row.dead_at for row in found] == sorted((row.dead_at for row in found), reverse=True)
    assert store.dead(handler="other") == store.dead(error_type="KeyError") == []
    assert len(store.dead(since=NOON + 2, until=NOON + 4)) == 4
    newest = found[0]
    assert (newest.message_id, newest.lane, newest.error, newest.attempts) == ("uuid-8", "sales", "8 failed", 1)


def test_two_dead_handlers_of_an_event_are_two_letters_on_any_page(store: Store) -> None:
    tries = [attempt(1, ending="dead", handler=name) for name in ("a.b", "c.d", "e.f")]
    store.write(batch(1, arrivals=[arrival(1)], attempts=tries, endings=[ended(1, state="dead")]))
    first = store.dead(limit=2)
    assert [row.handler for row in [*first, *store.dead(after=first[-1].cursor)]] == ["e.f", "c.d", "a.b"]


def test_a_handler_that_has_run_again_is_no_dead_letter_and_the_other_one_is(store: Store) -> None:
    tries = [attempt(1, ending="dead", handler=name) for name in ("a.b", "c.d")]
    store.write(batch(1, arrivals=[arrival(1)], attempts=tries, endings=[ended(1, state="dead")]))
    again = attempt(1, handler="a.b", number=2, started=NOON + 90, replay="r1")
    store.write(batch(2, attempts=[again], endings=[ended(1, state="dead", at=NOON + 91)]))
    assert [row.handler for row in store.dead()] == ["c.d"]
    assert [(group.handler, group.hour) for group in store.dead_groups(NOON + 99)] == [("c.d", 1)]


def test_a_handler_that_dies_again_is_one_letter_at_its_new_time(store: Store) -> None:
    store.write(batch(1, dead(1, NOON - 2 * DAY)))
    again = attempt(1, NOON - 2 * DAY, "dead", number=2, started=NOON, error_type="KeyError")
    store.write(batch(2, attempts=[again], endings=[ended(1, NOON - 2 * DAY, "dead", at=NOON + 1)]))
    [group] = store.dead_groups(NOON + 60)
    assert (group.error_type, group.hour, group.week) == ("KeyError", 1, 1)
    assert [row.attempts for row in store.dead()] == [2]


def test_an_older_attempt_that_is_written_late_changes_no_letter(store: Store) -> None:
    died = attempt(1, ending="dead", number=3, started=NOON + 100)
    store.write(batch(1, arrivals=[arrival(1)], attempts=[died], endings=[ended(1, state="dead", at=NOON + 101)]))
    store.write(batch(2, attempts=[attempt(1, number=2, started=NOON + 50)]))
    assert [row.attempts for row in store.dead()] == [3]


def test_a_retry_and_a_death_in_one_batch_are_a_death(store: Store) -> None:
    tries = [attempt(1, ending="retry"), attempt(1, ending="dead", number=2, started=NOON + 5)]
    store.write(batch(1, arrivals=[arrival(1)], attempts=tries[::-1], endings=[ended(1, state="dead", at=NOON + 6)]))
    assert [row.attempts for row in store.dead()] == [2]


def test_an_event_that_died_without_an_attempt_is_a_letter_without_a_handler(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1)], endings=[ended(1, state="dead", reason="killed 3 workers")]))
    [letter] = store.dead()
    assert (letter.handler, letter.error_type, letter.error, letter.message_id) == (
        "",
        "",
        "killed 3 workers",
        "uuid-1",
    )
    assert store.dead(handler="") == [letter]
    store.write(batch(2, attempts=[attempt(1, started=NOON + 60)], endings=[ended(1, at=NOON + 61)]))
    assert store.dead() == [], "the event has ended otherwise"


def test_a_replay_of_nothing_leaves_the_letter_as_it_was(store: Store) -> None:
    store.write(batch(1, dead(1, NOON)))
    [before] = store.dead()
    again = [ended(1, state="waiting", at=NOON + 60, attempts=0), ended(1, state="dead", at=NOON + 61, attempts=0)]
    store.write(batch(2, endings=again))
    assert store.dead() == [before]
    [event] = store.message(event_id(1))
    assert (event.state, event.attempts) == ("dead", 1), "nothing was tried, and nothing is forgotten"


def test_a_letter_without_a_handler_keeps_its_cause_when_a_replay_has_nothing_to_run(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1)], endings=[ended(1, state="dead", reason="signal SIGKILL", attempts=0)]))
    [before] = store.dead()
    replayed = ended(1, state="waiting", at=NOON + 60, attempts=0, reason="replay r-1")
    kept = ended(1, state="dead", at=NOON + 61, attempts=1, reason=UNWANTED)
    store.write(batch(2, endings=[replayed, kept]))
    assert store.dead() == [before]
    assert (before.handler, before.error) == ("", "signal SIGKILL")
    store.write(batch(3, endings=[ended(1, at=NOON + 90)]))
    assert store.dead() == [], "one that runs after all is over"


def test_an_event_that_an_operator_drops_has_no_letters(store: Store) -> None:
    store.write(batch(1, dead(1, NOON), dead(2, NOON)))
    store.write(batch(2, endings=[ended(1, state="discarded", at=NOON + 60, reason="dropped by ann")]))
    assert [row.event_id for row in store.dead()] == [event_id(2)]
    assert store.events(EventFilter(state="discarded"))[0].reason == "dropped by ann"
    assert [group.hour for group in store.dead_groups(NOON + 70)] == [1]


def test_good_events_leave_the_letters_of_others_alone(store: Store) -> None:
    store.write(batch(1, dead(1, NOON)))
    store.write(batch(2, handled(2, NOON), handled(3, NOON - 1), handled(4, NOON + 1)))
    assert [row.event_id for row in store.dead()] == [event_id(1)]


def test_a_replay_of_a_cause_finds_its_events_whenever_they_were_received(store: Store) -> None:
    others = [dead(f"other-{n}", NOON - n * DAY, "c.d") for n in range(12)]
    late = {
        "arrivals": [arrival("late", NOON - 10 * DAY)],
        "attempts": [attempt("late", NOON - 10 * DAY, "dead", handler="a.b", started=NOON - HOUR)],
        "endings": [ended("late", NOON - 10 * DAY, "dead", at=NOON - HOUR)],
    }
    early = dead("early", NOON - 9 * DAY, "a.b")
    store.write(batch(1, *others, late, early, dead("new", NOON - 60, "a.b")))

    cause = EventFilter(state="dead", handler="a.b", error_type="ValueError", died_since=NOON - DAY, died_until=NOON)
    assert [day.count for day in store.replay_plan(cause)] == [1, 1]
    assert store.replay_handlers(cause) == {"a.b": 2}
    first = store.resolve(cause, None, limit=1)
    second = store.resolve(cause, first[0].cursor, limit=1)
    assert [row.event_id for row in first + second] == [event_id("late"), event_id("new")]
    assert store.resolve(cause, second[0].cursor) == []

    nothing = EventFilter(state="dead", handler="e.f", died_until=NOON)
    assert (store.replay_plan(nothing), store.replay_handlers(nothing), store.resolve(nothing, None)) == ([], {}, [])
