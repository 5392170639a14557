"""What is remembered of unsigned callbacks."""

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ingest.unsigned_memory import UnsignedMemory
from tests.support.callbacks import any_text, callback


def test_the_same_body_is_known_the_second_time() -> None:
    memory = UnsignedMemory()
    assert [memory.seen_before(callback(b"{}")) for _ in range(3)] == [False, True, True]


def test_another_query_is_another_callback() -> None:
    memory = UnsignedMemory()
    assert not memory.seen_before(callback(query="a=1"))
    assert not memory.seen_before(callback(query="a=2"))
    assert not memory.seen_before(callback(b"a=1"))


@given(st.binary(), any_text)
def test_any_content_can_be_remembered(body: bytes, query: str) -> None:
    memory = UnsignedMemory()
    request = callback(body, query=query)
    assert not memory.seen_before(request)
    assert memory.seen_before(request)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
def test_it_never_remembers_more_than_its_limit_and_forgets_the_least_recent(numbers: list[int], limit: int) -> None:
    memory = UnsignedMemory(limit)
    recent: list[int] = []
    for number in numbers:
        assert memory.seen_before(callback(b"%d" % number)) == (number in recent)
        recent = [*(other for other in recent if other != number), number][-limit:]
        assert len(memory) == len(recent)
