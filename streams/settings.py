"""The configuration: flags, then environment, then a TOML file, then the defaults below; frozen once read.

Every field is a key of the TOML file and, upper-cased behind ``SIDECART_``, an environment variable
(``state_dir`` is ``SIDECART_STATE_DIR``). The file is named by ``SIDECART_CONFIG``; without it there is none.

The parameters of the ranking are the table ``[model]`` of the file, and only there: `sidecart tune` finds them.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import ConfigurationError, InvariantError
from models.parameters import DEFAULTS, SUGGESTIONS_LIMIT, Parameters
from models.tunable import TUNABLES

__all__ = ["ENVIRONMENT_PREFIX", "MODEL_KEYS", "Settings", "load_settings"]

ENVIRONMENT_PREFIX = "SIDECART_"

_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,180}")
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,60}")

#: The keys of the table ``[model]``; the half-life is a setting of its own, for all that counts.
MODEL_KEYS = {each.name: each for each in TUNABLES if each.name != "half_life_ms"}


def _setting(default: Any, meaning: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default, unit and range; see `load_settings` for where the values come from."""

    bootstrap_servers: str = _setting("127.0.0.1:9092", "address of the broker, host:port, several with commas")
    state_dir: Path = _setting(Path(".sidecart/state"), "folder of a worker's local tables; one for each worker")
    metrics_port: int = _setting(9464, "port of /metrics, /live and /ready; one for each worker", 1, 65535)
    metrics_host: str = _setting("127.0.0.1", "address that /metrics, /live and /ready listen on")
    topic_prefix: str = _setting("", "put before the name of every topic and of the consumer group")
    topic_browse: str = _setting("browse", "input: product views")
    topic_add_to_cart: str = _setting("add-to-cart", "input: cart changes")
    topic_orders: str = _setting("orders", "input: orders")
    topic_dead_letters: str = _setting("dead-letters", "output: events that could not be accepted")
    topic_session_events: str = _setting("session-events", "internal: accepted events, one order for each session")
    topic_pairs: str = _setting("pairs", "internal: co-occurrence increments")
    topic_tallies: str = _setting("tallies", "internal: what is counted in the KPI windows")
    topic_suggestions: str = _setting("suggestions", "output: one message an accepted event")
    topic_acceptance: str = _setting("acceptance", "output: outcomes of suggestions")
    topic_acceptance_metrics: str = _setting("acceptance-metrics", "output: totals and rates by window")
    replication_factor: int = _setting(1, "copies of each topic that `topics create` asks for", 1, 15)
    session_gap_s: float = _setting(
        DEFAULTS.session_gap_ms / 1000, "seconds without an event after which a session has ended", 1, 86_400
    )
    attribution_window_s: float = _setting(
        DEFAULTS.attribution_window_ms / 1000, "seconds in which a suggestion can be accepted", 1, 86_400
    )
    half_life_days: float = _setting(
        DEFAULTS.half_life_ms / 86_400_000, "days of event time after which a count weighs half", 0.01, 3650
    )
    catalogue_max: int = _setting(
        DEFAULTS.catalogue_max, "items with counts, at most; beyond it the least met of late are dropped", 1, 10_000_000
    )
    suggestions_max: int = _setting(DEFAULTS.suggestions_max, "items in a suggestion, at most", 1, SUGGESTIONS_LIMIT)
    kpi_window_s: float = _setting(
        DEFAULTS.kpi_window_ms / 1000, "length in seconds of a window of acceptance-metrics", 1, 86_400
    )
    commit_interval_s: float = _setting(2.0, "seconds between flushes of the tables", 0.1, 60)
    tick_ms: float = _setting(
        30.0, "milliseconds that events gather: the longest wait for ingest, and again for suggest", 0, 1000
    )
    session_timeout_s: float = _setting(10.0, "seconds after which a silent worker's partitions move", 6, 300)
    log_level: str = _setting("info", "debug, info, warning or error")
    #: The defaults with what the table ``[model]`` says; where a setting says something too, the setting holds.
    model: Parameters = DEFAULTS
    #: The file that was read, for `as_environment`; it is not what the settings are.
    config: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for spec in _SPECS.values():
            _check_range(spec, getattr(self, spec.name))
        for key, tunable in MODEL_KEYS.items():
            value = tunable.of(self.model)
            if not tunable.low <= value <= tunable.high:
                raise ConfigurationError(
                    f"{key}={value!r} in [model] is out of range: {tunable.low:.12g} to {tunable.high:.12g}; it is "
                    f"{tunable.meaning}"
                )
        if not _TOPIC_PREFIX.fullmatch(self.topic_prefix):
            raise ConfigurationError(
                f"topic_prefix={self.topic_prefix!r} is not a prefix of topic names: at most 60 of A-Z a-z 0-9 . _ -"
            )
        names: dict[str, str] = {}
        for spec in _SPECS.values():
            if not spec.name.startswith("topic_") or spec.name == "topic_prefix":
                continue
            name = getattr(self, spec.name)
            if not _TOPIC_NAME.fullmatch(name):
                raise ConfigurationError(f"{spec.name}={name!r} is not a topic name: 1 to 180 of A-Z a-z 0-9 . _ -")
            if name in names:
                raise ConfigurationError(f"{spec.name} and {names[name]} name the same topic {name!r}")
            names[name] = spec.name
            if name.endswith("-changelog"):
                raise ConfigurationError(f"{spec.name}={name!r} ends in -changelog, as only the tables' changelogs do")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ConfigurationError(f"log_level={self.log_level!r} is none of debug, info, warning, error")
        for server in self.bootstrap_servers.split(","):
            address = _ADDRESS.fullmatch(server.strip())
            if not address or not 0 < int(address["port"]) < 65536:
                raise ConfigurationError(f"bootstrap_servers={self.bootstrap_servers!r}: {server!r} is not host:port")

    @property
    def servers(self) -> list[str]:
        """The brokers' addresses, each as host:port."""
        return [server.strip() for server in self.bootstrap_servers.split(",")]

    def as_environment(self) -> dict[str, str]:
        """Return the variables by which another process reads the same settings, while their file stays as it is.

        Raises
        ------
        InvariantError
            If the model's parameters come from no file: no variable can hold them.
        """
        if self.config is None and self.model != DEFAULTS:
            raise InvariantError("the model's parameters can be passed on in a configuration file only; load them")
        # With a file, a default must be said too: the file may say something else.
        variables = {
            f"{ENVIRONMENT_PREFIX}{name.upper()}": str(getattr(self, name))
            for name, spec in _SPECS.items()
            if self.config is not None or getattr(self, name) != spec.default
        }
        return variables if self.config is None else variables | {_CONFIG_VARIABLE: str(self.config)}

    @property
    def group_id(self) -> str:
        """The consumer group, which is also the Faust application's id."""
        return f"{self.topic_prefix}sidecart"


def load_settings(environment: Mapping[str, str], **flags: Any) -> Settings:
    """Read the settings once.

    Parameters
    ----------
    environment : mapping
        Usually ``os.environ``; keys without ``SIDECART_`` are ignored.
    **flags
        Values from the command line, which win; a flag that is None was not given.

    Raises
    ------
    ConfigurationError
        For an unknown key, a value of the wrong type or out of range, or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    file = environment.get(_CONFIG_VARIABLE)
    if file:
        values["config"] = Path(file).absolute()
        for key, value in _read_toml(Path(file)).items():
            if key == "model":
                values[key] = _model(value, file)
            elif key in _SPECS:
                values[key] = _convert(_SPECS[key], value, f"{key} in {file}")
            else:
                raise ConfigurationError(
                    f"unknown key {key!r} in {file}; the keys are {', '.join(_SPECS)}, and the table [model]"
                )
    for variable, text in environment.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        if name not in _SPECS:
            raise ConfigurationError(f"unknown environment variable {variable}; is it spelt right?")
        values[name] = _convert(_SPECS[name], text, variable)
    for name, value in flags.items():
        if value is not None:
            values[name] = _convert(_SPECS[name], value, "--" + name.replace("_", "-"))
    return Settings(**values)


_CONFIG_VARIABLE = f"{ENVIRONMENT_PREFIX}CONFIG"

#: Variables with our prefix that are not settings of a worker: the configuration file and the recorded data.
_OTHER_VARIABLES = frozenset({_CONFIG_VARIABLE, f"{ENVIRONMENT_PREFIX}DATA"})

#: The fields that are a key and a variable each.
_SPECS = {spec.name: spec for spec in dataclasses.fields(Settings) if spec.metadata}

_MODEL_SPECS = {spec.name: spec for spec in dataclasses.fields(Parameters) if spec.name in MODEL_KEYS}


def _model(table: Any, file: str) -> Parameters:
    if not isinstance(table, dict):
        raise ConfigurationError(f"model in {file}={table!r} is not a table; write [model] and a line for each key")
    values = {}
    for key, value in table.items():
        if key not in _MODEL_SPECS:
            raise ConfigurationError(f"unknown key {key!r} in [model] of {file}; the keys are {', '.join(MODEL_KEYS)}")
        values[key] = _convert(_MODEL_SPECS[key], value, f"{key} in [model] of {file}")
    return dataclasses.replace(DEFAULTS, **values)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} is not valid TOML: {error}") from error


def _convert(spec: "dataclasses.Field[Any]", value: Any, source: str) -> Any:
    target: type[Any] = Path if isinstance(spec.default, Path) else type(spec.default)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Path)):
        raise ConfigurationError(f"{source}={value!r} is not {_NAMES[target]}")
    if target in (str, Path):
        if not isinstance(value, (str, Path)) or (not str(value) and spec.name != "topic_prefix"):
            raise ConfigurationError(f"{source}={value!r} is not {_NAMES[target]}")
        return target(value)
    try:
        number = target(value)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"{source}={value!r} is not {_NAMES[target]}") from error
    if number != number or (target is int and isinstance(value, float) and number != value):
        raise ConfigurationError(f"{source}={value!r} is not {_NAMES[target]}")
    return number


_NAMES = {str: "a text", Path: "a path", int: "a whole number", float: "a number"}


def _check_range(spec: "dataclasses.Field[Any]", value: Any) -> None:
    low, high = spec.metadata["low"], spec.metadata["high"]
    if low is not None and not low <= value <= high:
        raise ConfigurationError(
            f"{spec.name}={value!r} is out of range: {low:.12g} to {high:.12g}; it is {spec.metadata['meaning']}"
        )
