"""What a team writes first with Faust: typed agents, a table on RocksDB, one write a change, one `send` a suggestion.

The rule is simple: the four items that followed, within a session's last five, most often in this partition. State is
at least once: after a kill events count twice, and those count not at all whose commit went ahead of the changelog.
"""

import asyncio
import uuid
from typing import Any

import faust
from peer import Peer, peer_from_command_line

_REMEMBERED = 5
_SUGGESTED = 4


class ItemEvent(faust.Record, serializer="json"):
    """A view of an item, or an item put into the cart."""

    event_id: str
    session_id: str
    item_id: str
    time: int


class OrderEvent(faust.Record, serializer="json"):
    """An order with its lines."""

    event_id: str
    session_id: str
    time: int
    lines: list[dict[str, Any]]


class Suggestion(faust.Record, serializer="json"):
    """What is published for each event."""

    suggestion_id: str
    event_id: str
    session_id: str
    time: int
    anchor: str
    items: list[str]


def app_of(peer: Peer) -> faust.App:
    """Return the application with its topics, tables and agents."""
    app = faust.App(
        peer.group,
        broker=f"kafka://{peer.servers}",
        store="rocksdb://",
        datadir=str(peer.folder / "state"),
        topic_partitions=8,
        topic_replication_factor=1,
        value_serializer="json",
        web_enabled=False,
    )
    by_kind = {kind: name for name, kind in peer.inputs.items()}
    suggestions = app.topic(peer.output, value_type=Suggestion)
    sessions = app.Table("sessions", default=list)
    followers = app.Table("followers", default=dict)
    arrivals = app.Table("arrivals", default=int)
    served = 0
    is_through = asyncio.Event()

    async def serve(event: Any, items: list[str]) -> None:
        nonlocal served
        seen = sessions[event.session_id]
        for item in items:
            for earlier in seen[-_REMEMBERED:]:
                if earlier != item:
                    row = followers[earlier]
                    row[item] = row.get(item, 0) + 1
                    followers[earlier] = row
            seen.append(item)
            arrivals[item] += 1
        sessions[event.session_id] = seen
        row = followers[items[-1]]
        best = sorted((item for item in row if item not in seen), key=lambda item: (-row[item], item))[:_SUGGESTED]
        await suggestions.send(
            key=event.session_id,
            value=Suggestion(str(uuid.uuid4()), event.event_id, event.session_id, event.time, items[-1], best),
        )
        served += 1
        if served == peer.events:
            is_through.set()

    @app.agent(app.topic(by_kind["browse"], value_type=ItemEvent))
    async def view(events: Any) -> None:
        async for event in events:
            await serve(event, [event.item_id])

    @app.agent(app.topic(by_kind["add-to-cart"], value_type=ItemEvent))
    async def put_into_cart(events: Any) -> None:
        async for event in events:
            await serve(event, [event.item_id])

    @app.agent(app.topic(by_kind["orders"], value_type=OrderEvent))
    async def order(events: Any) -> None:
        async for event in events:
            await serve(event, [line["item_id"] for line in event.lines])

    @app.task
    async def end_when_through() -> None:
        await is_through.wait()
        await app.producer.flush()
        counts: dict[str, float] = {}
        for item, count in arrivals.items():
            counts[item] = counts.get(item, 0) + count
        peer.end(counts)

    return app


def main() -> None:
    """Run the worker."""
    peer = peer_from_command_line()
    faust.Worker(app_of(peer), loglevel="INFO").execute_from_commandline()


if __name__ == "__main__":
    main()
