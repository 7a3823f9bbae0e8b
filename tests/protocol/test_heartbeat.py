"""When a client pings, and when it gives up."""

from protocol.heartbeat import Backoff, Heartbeat


def lost_at(heartbeat: Heartbeat, times: list[float]) -> float | None:
    """When the heartbeat gives up, asked at `times`."""
    return next((time for time in times if heartbeat.beat(time) == "lost"), None)


def every(step: float, start: float, end: float) -> list[float]:
    return [start + step * n for n in range(int((end - start) / step) + 1)]


def test_silence_is_answered_by_three_pings_and_then_given_up() -> None:
    heartbeat = Heartbeat(now=100.0)
    beats = [heartbeat.beat(time) for time in (100.5, 101.0, 101.5, 102.0, 103.0, 103.9, 104.0)]
    assert beats == ["wait", "ping", "wait", "ping", "ping", "wait", "lost"]


def test_any_traffic_counts_as_life() -> None:
    heartbeat = Heartbeat(now=0.0)
    for time in every(0.25, 0.0, 60.0):
        if time % 3.5 == 0:
            heartbeat.traffic(time)
        assert heartbeat.beat(time) != "lost"
    assert lost_at(heartbeat, every(0.25, 60.0, 70.0)) == 63.5  # traffic last at 59.5


def test_nothing_is_sent_while_there_is_traffic() -> None:
    heartbeat = Heartbeat(now=0.0)
    for time in every(0.5, 0.0, 30.0):
        heartbeat.traffic(time)
        assert heartbeat.beat(time) == "wait"
        assert heartbeat.due_in(time) == 1.0


def test_the_other_side_is_not_blamed_for_this_sides_sleep() -> None:
    heartbeat = Heartbeat(now=0.0)
    assert heartbeat.beat(3600.0) == "ping"
    heartbeat.traffic(3600.1)
    assert heartbeat.beat(3600.2) == "wait"


def test_waits_for_the_next_attempt_double_up_to_32_seconds() -> None:
    backoff = Backoff()
    assert [backoff.next_delay() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 32, 32]
