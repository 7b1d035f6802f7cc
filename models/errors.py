"""Every error of Sidecart, as one tree.

SidecartError
├── ConfigurationError    a setting, flag or file is wrong: the start is refused (exit code 2)
├── BrokerError           the broker cannot be reached or started, or refuses a request
├── TopicError            a topic is missing, or its partitions are not those that Sidecart needs
├── AccidentError         the logs and the state do not fit together any more: going on would miscount
├── RecordingError        a recorded file cannot be read
├── UnknownItemError      nothing has been learnt about the item that was asked for
├── BadEventError         one input event is wrong: it goes to the dead letters, nothing stops
├── StalledError          the worker does not get on: it stops, to be started again
├── LateWriterError       a former owner's message came first: the worker starts again from its mark
└── InvariantError        a rule of the fold is broken: the worker stops before it commits
"""

__all__ = [
    "AccidentError",
    "BadEventError",
    "BrokerError",
    "ConfigurationError",
    "InvariantError",
    "LateWriterError",
    "RecordingError",
    "SidecartError",
    "StalledError",
    "TopicError",
    "UnknownItemError",
]


class SidecartError(Exception):
    """The root: its text is one sentence that says what is wrong and what to do."""


class ConfigurationError(SidecartError):
    """A setting, a flag or a configuration file has a value that cannot be used."""


class BrokerError(SidecartError):
    """The broker cannot be reached, started, or does not do what it is asked."""


class TopicError(SidecartError):
    """A topic is missing or has another shape than the table of topics says."""


class AccidentError(SidecartError):
    """Logs and state do not fit together (a topic made again, a log cut below the mark)."""


class RecordingError(SidecartError):
    """A recorded file is missing, or is not of the stated format."""


class UnknownItemError(SidecartError):
    """No row of the table `cooccurrence` is that of the item that was asked for."""


class StalledError(SidecartError):
    """A part of the worker has stopped working."""


class LateWriterError(SidecartError):
    """A former owner of a partition published first what this worker has published too."""


class InvariantError(SidecartError):
    """A rule that must hold does not; nothing may be committed after it."""


class BadEventError(SidecartError):
    """One input event cannot be accepted.

    Parameters
    ----------
    reason : str
        A short slug, a bounded set: the label of the counter and the ``reason`` of the dead letter.
    detail : str
        One sentence with the field, the bad value and the allowed range.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
