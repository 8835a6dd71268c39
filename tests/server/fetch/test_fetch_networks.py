"""Cuts, silence, kills and lies on the way: a fetch goes on, and what lies there in the end is right."""

from __future__ import annotations

import json
import signal
import time

from peers.fetching import LM, SECONDS, Fetch, model
from peers.hugging_face import Hub, running


def test_cut_connections_are_taken_up_where_they_ended(hub: Hub, fetch: Fetch) -> None:
    hub.weather.cut_after = 50_000
    hub.weather.cuts = 6
    ended = fetch(hub)
    assert ended.code == 0, ended
    assert fetch.is_whole(hub)
    begins = [int(r.range.removeprefix("bytes=").split("-")[0]) for r in hub.sent()]
    # Each cut lost what was in the socket, not the file: nobody began at 0 again.
    assert sum(begin > 0 for begin in begins) >= 5
    assert ended.last["fetched"] == ended.last["size"]


def test_a_silent_connection_is_made_anew(hub: Hub, fetch: Fetch) -> None:
    hub.weather.stall_after = 20_000
    hub.weather.stalls = 2
    began = time.monotonic()
    ended = fetch(hub)
    assert ended.code == 0, ended
    assert fetch.is_whole(hub)
    assert 0.9 < time.monotonic() - began < 30


def test_addresses_that_expired_are_asked_for_again(hub: Hub, fetch: Fetch) -> None:
    hub.weather.expire = 2
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_busy_hub_is_asked_again(hub: Hub, fetch: Fetch) -> None:
    hub.weather.busy = 2
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_hub_that_knows_no_ranges_still_serves(hub: Hub, fetch: Fetch) -> None:
    hub.weather.ranges = False
    hub.weather.cut_after = 150_000
    hub.weather.cuts = 1
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_a_fetch_goes_on_after_it_was_killed_again_and_again(fetch: Fetch) -> None:
    with running(model(6_000_000)) as hub:
        hub.weather.bytes_per_s = 900_000
        kept = []
        for _ in range(3):
            process = fetch.start(hub)
            before = fetch.part()
            until = time.monotonic() + SECONDS
            while fetch.part() <= before:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert not (fetch.to / LM).exists()
            kept.append(fetch.part())
        assert kept == sorted(set(kept))
        assert kept[0] > 0
        hub.weather.bytes_per_s = None
        ended = fetch(hub)
        assert ended.code == 0, ended
        assert ended.last["fetched"] == 6_000_000 - kept[-1]
        assert fetch.is_whole(hub)


def test_told_to_end_it_keeps_every_byte(fetch: Fetch) -> None:
    with running(model(3_000_000)) as hub:
        hub.weather.bytes_per_s = 500_000
        process = fetch.start(hub)
        for line in process.stdout:
            event = json.loads(line)
            if event["file"] == LM and event["done"] > 500_000:
                break
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        process.stdin = None
        assert fetch.end(process).code == 143
        assert fetch.part() >= event["done"] - 200_000
        hub.weather.bytes_per_s = None
        ended = fetch(hub)
        assert ended.code == 0
        assert ended.last["fetched"] < 3_000_000 - 200_000


def test_two_fetches_into_one_folder_share_the_work(hub: Hub, fetch: Fetch) -> None:
    hub.weather.bytes_per_s = 300_000
    first, second = fetch.start(hub), fetch.start(hub)
    results = [fetch.end(first), fetch.end(second)]
    assert [ended.code for ended in results] == [0, 0]
    assert sorted(ended.last["fetched"] > 0 for ended in results) == [False, True]
    waited = next(ended for ended in results if ended.last["fetched"] == 0)
    assert waited.events[0]["phase"] == "waiting"
    assert fetch.is_whole(hub)


def test_notes_of_other_content_are_not_believed(hub: Hub, fetch: Fetch) -> None:
    fetch.to.mkdir()
    size = len(hub.files[LM])
    (fetch.to / f".{LM}.part").write_bytes(b"\0" * size)
    notes = {"digest": "sha256:of something else", "piece": 64 << 20, "done": [size]}
    (fetch.to / f".{LM}.part.json").write_text(json.dumps(notes))
    assert fetch(hub).code == 0
    assert fetch.is_whole(hub)


def test_content_that_came_wrong_is_fetched_once_more(hub: Hub, fetch: Fetch) -> None:
    hub.weather.wrong[LM] = 1
    ended = fetch(hub)
    assert ended.code == 0
    assert ended.last["fetched"] == ended.last["size"] + len(hub.files[LM])
    assert fetch.is_whole(hub)
