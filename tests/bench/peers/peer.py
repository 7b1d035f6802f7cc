"""What all peers share: their command line, how they end, and the file that they leave behind."""

import argparse
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from models.records import Kind
from streams.topics import INPUTS

__all__ = ["Peer", "peer_from_command_line"]

#: From the last event to what is not part of the work.
_REST_S = 1.0


@dataclass(frozen=True)
class Peer:
    """What a peer is told: where to read and write, and when it is through.

    Attributes
    ----------
    servers : str
        The broker's address, host:port.
    inputs : mapping of str to Kind
        The kind of the events in each input topic.
    output : str
        Topic of the suggestions.
    group : str
        Consumer group, and name of the application.
    events : int
        Events after which it is through.
    folder : Path
        Its own: for state, and for what it leaves behind.
    """

    servers: str
    inputs: Mapping[str, Kind]
    output: str
    group: str
    events: int
    folder: Path

    @property
    def topics(self) -> list[str]:
        """The names of the input topics."""
        return list(self.inputs)

    def leave(self, item_events: Mapping[str, float]) -> None:
        """Write how often each item arrived, for the bench to check, when it has had time to read the CPU used."""
        sleep(_REST_S)
        unfinished = self.folder / "item-events.part"
        unfinished.write_text(json.dumps(dict(item_events)), encoding="utf-8")
        unfinished.rename(self.folder / "item-events.json")

    def end(self, item_events: Mapping[str, float]) -> None:
        """Leave the file and end at once, whatever a framework would still like to do."""
        self.leave(item_events)
        os._exit(0)


def peer_from_command_line() -> Peer:
    """Read the flags, and make sure that the process ends by its timeout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", required=True)
    parser.add_argument("--inputs", nargs=len(INPUTS), required=True, help=f"topics of {', '.join(INPUTS)}")
    parser.add_argument("--output", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--timeout", type=int, required=True, help="seconds")
    flags = parser.parse_args()
    signal.alarm(flags.timeout)
    inputs = dict(zip(flags.inputs, INPUTS, strict=True))
    return Peer(flags.servers, inputs, flags.output, flags.group, flags.events, flags.folder)
