"""Settings come from flags, environment, a file and defaults, in this order; what cannot be used is refused."""

import ast
import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from models.errors import ConfigurationError, InvariantError
from models.parameters import DEFAULTS
from streams.context import model_parameters
from streams.settings import ENVIRONMENT_PREFIX, MODEL_KEYS, Settings, load_settings
from streams.topics import topic_table
from streams.worker_process import child_environment

FIELDS = {spec.name: spec for spec in dataclasses.fields(Settings) if spec.metadata}
RANGED = sorted(name for name, spec in FIELDS.items() if spec.metadata["low"] is not None)
TOPICS = sorted(name for name in FIELDS if name.startswith("topic_") and name != "topic_prefix")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sidecart.toml"


def environment(file: Path, text: str, **variables: str) -> dict[str, str]:
    file.write_text(text, encoding="utf-8")
    return {"SIDECART_CONFIG": str(file), **variables}


# -- where values come from


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings({}) == Settings()
    assert load_settings({"PATH": "/bin", "sidecart_tick_ms": "no"}) == Settings()


def test_the_file_wins_over_the_default(file: Path) -> None:
    assert load_settings(environment(file, "metrics_port = 1111")).metrics_port == 1111


def test_the_environment_wins_over_the_file(file: Path) -> None:
    variables = environment(file, "metrics_port = 1111\ntick_ms = 3", SIDECART_METRICS_PORT="2222")
    settings = load_settings(variables)
    assert (settings.metrics_port, settings.tick_ms) == (2222, 3.0)


def test_a_flag_wins_over_the_environment(file: Path) -> None:
    variables = environment(file, "metrics_port = 1111", SIDECART_METRICS_PORT="2222")
    assert load_settings(variables, metrics_port="3333").metrics_port == 3333


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert load_settings({"SIDECART_METRICS_PORT": "2222"}, metrics_port=None).metrics_port == 2222


def test_the_variables_of_the_file_and_of_the_recordings_are_no_settings(file: Path) -> None:
    assert load_settings(environment(file, "", SIDECART_DATA="/data")) == Settings()
    assert load_settings({"SIDECART_CONFIG": ""}) == Settings()


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_setting_is_a_variable_and_a_key(name: str, file: Path) -> None:
    spec = FIELDS[name]
    other = {
        str: "debug" if name == "log_level" else "other:1" if name == "bootstrap_servers" else "other",
        int: 7,
        float: 7.5,
    }.get(type(spec.default), Path("/other"))
    text = f'{name} = "{other}"' if isinstance(other, (str, Path)) else f"{name} = {other}"
    assert other != spec.default
    assert getattr(load_settings({ENVIRONMENT_PREFIX + name.upper(): str(other)}), name) == other
    assert getattr(load_settings(environment(file, text)), name) == other
    assert getattr(load_settings({}, **{name: str(other)}), name) == other


@given(
    st.builds(
        Settings,
        bootstrap_servers=st.sampled_from(["a:1", "a:1, b:65535", "[::1]:9092"]),
        state_dir=st.sampled_from([Path("/a b"), Path("x")]),
        metrics_port=st.integers(1, 65535),
        topic_prefix=st.from_regex(r"[A-Za-z0-9._-]{0,60}", fullmatch=True),
        topic_browse=st.sampled_from(["views", "browse"]),
        replication_factor=st.integers(1, 15),
        half_life_days=st.floats(0.01, 3650),
        tick_ms=st.floats(0, 1000),
        log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    )
)
def test_another_process_reads_the_same_settings_from_the_environment(settings: Settings) -> None:
    assert load_settings(settings.as_environment()) == settings


@pytest.mark.parametrize("inherited", [{}, {"SIDECART_METRICS_PORT": "2222"}])
def test_another_process_reads_the_same_model(file: Path, inherited: dict[str, str]) -> None:
    text = "metrics_port = 1111\nhalf_life_days = 3\n[model]\nhop_weight = 0.5\nhop_neighbours = 7"
    settings = load_settings(environment(file, text) | inherited)
    again = load_settings(settings.as_environment())
    assert again == settings
    assert (again.model.hop_weight, again.model.hop_neighbours, again.half_life_days) == (0.5, 7, 3.0)


def test_another_process_reads_the_default_that_won_over_the_file(file: Path) -> None:
    text = "metrics_port = 1111\n[model]\nhop_weight = 0.5"
    settings = load_settings(environment(file, text), metrics_port=FIELDS["metrics_port"].default)
    assert load_settings(settings.as_environment()) == settings


def test_another_process_reads_the_same_file_from_any_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file.write_text("[model]\nhop_weight = 0.5")
    monkeypatch.chdir(file.parent)
    settings = load_settings({"SIDECART_CONFIG": file.name})
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_settings(settings.as_environment()).model.hop_weight == 0.5


def test_a_model_of_no_file_is_not_passed_on_by_halves() -> None:
    with pytest.raises(InvariantError, match="in a configuration file only"):
        Settings(model=replace(DEFAULTS, hop_weight=0.5)).as_environment()


def test_a_worker_process_is_given_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(environment(file, "[model]\nhop_weight = 0.5"), metrics_port="1234")
    monkeypatch.setenv("SIDECART_TICK_MS", "7")
    given = child_environment(settings)
    assert load_settings(given) == settings
    assert (given["SIDECART_CONFIG"], given["SIDECART_TICK_MS"]) == (str(file), "30.0")


# -- what is refused


def test_an_unknown_key_is_refused_with_the_keys(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'metric_port' in .*; the keys are bootstrap_servers, "):
        load_settings(environment(file, "metric_port = 1"))


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown environment variable SIDECART_METRIC_PORT; is it spelt"):
        load_settings({"SIDECART_METRIC_PORT": "1"})


def test_an_unknown_flag_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        load_settings({}, metric_port="1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metrics_port = true", "metrics_port in .*=True is not a whole number"),
        ("metrics_port = 1.5", "metrics_port in .*=1.5 is not a whole number"),
        ('metrics_port = "many"', "metrics_port in .*='many' is not a whole number"),
        ("metrics_port = [1]", r"metrics_port in .*=\[1\] is not a whole number"),
        ("metrics_port = {a = 1}", "metrics_port in .* is not a whole number"),
        ("metrics_port = 2026-01-05", "metrics_port in .* is not a whole number"),
        ("metrics_port = nan", "metrics_port in .*=nan is not a whole number"),
        ('tick_ms = ""', "tick_ms in .*='' is not a number"),
        ("tick_ms = nan", "tick_ms in .*=nan is not a number"),
        ("tick_ms = inf", "tick_ms=inf is out of range: 0 to 1000"),
        ("topic_browse = 5", "topic_browse in .*=5 is not a text"),
        ('topic_browse = ""', "topic_browse in .*='' is not a text"),
        ("state_dir = 5", "state_dir in .*=5 is not a path"),
        ('state_dir = ""', "state_dir in .*='' is not a path"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(file: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_settings(environment(file, line))


@pytest.mark.parametrize("line", ["metrics_port = inf", "tick_ms = 1" + "0" * 400])
def test_a_number_without_bounds_is_refused(file: Path, line: str) -> None:
    with pytest.raises(ConfigurationError):
        load_settings(environment(file, line))


def test_a_whole_number_may_be_written_as_a_float_or_a_text(file: Path) -> None:
    assert load_settings(environment(file, "metrics_port = 80.0")).metrics_port == 80
    assert load_settings(environment(file, 'metrics_port = "80"')).metrics_port == 80


def test_an_unknown_key_of_the_model_is_refused_with_the_keys(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment(file, "[model]\nhop_weigth = 1"))
    keys = ", ".join(MODEL_KEYS)
    assert str(caught.value) == f"unknown key 'hop_weigth' in [model] of {file}; the keys are {keys}"


@pytest.mark.parametrize("name", ["half_life_ms", "session_gap_ms", "row_size"])
def test_what_is_a_setting_or_no_matter_of_the_ranking_is_no_key_of_the_model(file: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^unknown key '{name}' in \[model\] of "):
        load_settings(environment(file, f"[model]\n{name} = 5"))


@pytest.mark.parametrize("name", ["SIDECART_MODEL", "SIDECART_HOP_WEIGHT", "SIDECART_MODEL_HOP_WEIGHT"])
def test_no_variable_sets_the_model(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^unknown environment variable {name}; "):
        load_settings({name: "1"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model = 3", r"model in .*=3 is not a table; write \[model\] and a line for each key"),
        ("model = [{hop_weight = 1}]", r"model in .* is not a table; "),
        ("[model]\nhop_weight = true", r"hop_weight in \[model\] of .*=True is not a number"),
        ('[model]\nhop_weight = "much"', r"hop_weight in \[model\] of .*='much' is not a number"),
        ("[model]\nhop_weight = nan", r"hop_weight in \[model\] of .*=nan is not a number"),
        ("[model]\nhop_neighbours = 7.5", r"hop_neighbours in \[model\] of .*=7.5 is not a whole number"),
        ("[model.hop_weight]\nx = 1", r"hop_weight in \[model\] of .* is not a number"),
    ],
)
def test_a_wrong_value_of_the_model_is_refused(file: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        load_settings(environment(file, line))


@pytest.mark.parametrize("name", sorted(MODEL_KEYS))
def test_a_range_of_the_model_holds_at_its_bounds_and_not_beyond(name: str, file: Path) -> None:
    tunable = MODEL_KEYS[name]
    kind = type(getattr(DEFAULTS, name))
    step = 1 if kind is int else 1e-6
    for inside in (kind(tunable.low), kind(tunable.high)):
        assert getattr(load_settings(environment(file, f"[model]\n{name} = {inside}")).model, name) == inside
    for outside in (kind(tunable.low) - step, kind(tunable.high) + step):
        with pytest.raises(ConfigurationError) as caught:
            load_settings(environment(file, f"[model]\n{name} = {outside:f}"))
        assert str(caught.value) == (
            f"{name}={outside!r} in [model] is out of range: {tunable.low:.12g} to {tunable.high:.12g}; it is "
            f"{tunable.meaning}"
        )


def test_the_source_of_a_wrong_value_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^SIDECART_TICK_MS='soon' is not a number$"):
        load_settings({"SIDECART_TICK_MS": "soon"})
    with pytest.raises(ConfigurationError, match=r"^--metrics-port='here' is not a whole number$"):
        load_settings({}, metrics_port="here")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.toml cannot be read: No such file"):
        load_settings({"SIDECART_CONFIG": str(tmp_path / "missing.toml")})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_settings({"SIDECART_CONFIG": str(tmp_path)})


@pytest.mark.parametrize(
    "content", [b"metrics_port 1", b"metrics_port = 1\nmetrics_port = 2", b'topic_browse = "\xff"']
)
def test_a_file_that_is_no_toml_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"sidecart\.toml is not valid TOML"):
        load_settings({"SIDECART_CONFIG": str(file)})


@pytest.mark.parametrize("name", RANGED)
def test_a_range_holds_at_its_bounds_and_not_beyond(name: str) -> None:
    spec = FIELDS[name]
    low, high = spec.metadata["low"], spec.metadata["high"]
    step = 1 if isinstance(spec.default, int) else 1e-6
    assert low <= spec.default <= high
    for inside in (low, high):
        assert getattr(Settings(**{name: inside}), name) == inside
    for outside in (low - step, high + step):
        expected = rf"^{name}=\S+ is out of range: {low:.12g} to {high:.12g}; it is "
        with pytest.raises(ConfigurationError, match=expected):
            Settings(**{name: outside})


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_name_is_of_what_kafka_allows(name: str) -> None:
    assert getattr(Settings(**{name: "aZ09._-" + "x" * 173}), name)
    for wrong in ("", "a b", "a/b", "é", "x" * 181, "a\n"):
        with pytest.raises(ConfigurationError, match=f"^{name}=.* is not a topic name"):
            Settings(**{name: wrong})


def test_a_prefix_is_of_what_kafka_allows() -> None:
    assert Settings(topic_prefix="x" * 60).group_id == "x" * 60 + "sidecart"
    for wrong in ("x" * 61, "shop/", "shop "):
        with pytest.raises(ConfigurationError, match=r"^topic_prefix=.* is not a prefix of topic names"):
            Settings(topic_prefix=wrong)


@pytest.mark.parametrize("name", TOPICS)
def test_two_topics_of_one_name_are_refused(name: str) -> None:
    other = next(topic for topic in TOPICS if topic != name)
    with pytest.raises(ConfigurationError, match="name the same topic"):
        Settings(**{name: getattr(Settings(), other)})


def test_a_topic_named_like_a_changelog_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Settings(topic_browse="sidecart-kpi-changelog")


@pytest.mark.parametrize("level", ["", "INFO", "warn", "trace"])
def test_an_unknown_log_level_is_refused(level: str) -> None:
    with pytest.raises(ConfigurationError, match="is none of debug, info, warning, error"):
        Settings(log_level=level)


@pytest.mark.parametrize("servers", ["h:1", "h:65535", "[::1]:9092", "a:1,b:2", " a:1 , b:2 "])
def test_an_address_is_host_and_port(servers: str) -> None:
    assert Settings(bootstrap_servers=servers).servers == [server.strip() for server in servers.split(",")]


@pytest.mark.parametrize("servers", ["", "h", "h:", ":9092", "h:0", "h:65536", "h:-1", "h:http", "a:1,", "a:1,,b:2"])
def test_what_is_no_address_is_refused(servers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^bootstrap_servers=.* is not host:port$"):
        Settings(bootstrap_servers=servers)


@pytest.mark.parametrize("servers", ["h:²", "kafka://h:9092", "a b:9092"])
def test_what_only_looks_like_an_address_is_refused(servers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not host:port$"):
        Settings(bootstrap_servers=servers)


# -- what they do


@cache
def reads_of_settings() -> frozenset[tuple[str, str]]:
    """Return (module, attribute) of every read of an attribute of something called settings."""
    return frozenset(_reads_of_settings())


def _reads_of_settings() -> Iterator[tuple[str, str]]:
    [folder] = streams.__path__
    for path in Path(folder).rglob("*.py"):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name.strip("_") == "settings":
                    yield path.name, node.attr


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_setting_is_read_somewhere(name: str) -> None:
    assert any(attribute == name for _, attribute in reads_of_settings()), f"nobody reads {name}: it has no effect"


@pytest.mark.parametrize("name", [*TOPICS, "topic_prefix"])
def test_every_topic_setting_shows_in_the_table_of_topics(name: str) -> None:
    before = {topic.name for topic in topic_table(Settings()).values()}
    after = {topic.name for topic in topic_table(Settings(**{name: "other"})).values()}
    if name == "topic_prefix":
        assert after == {"other" + topic for topic in before}
    else:
        assert after == before - {getattr(Settings(), name)} | {"other"}


def test_the_defaults_of_the_model_are_the_models() -> None:
    assert model_parameters(Settings()) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value", "parameter", "expected"),
    [
        ("session_gap_s", 60, "session_gap_ms", 60_000),
        ("session_gap_s", 60, "session_retention_ms", 240_000),
        ("attribution_window_s", 1.5, "attribution_window_ms", 1_500),
        ("half_life_days", 0.5, "half_life_ms", 43_200_000),
        ("catalogue_max", 5000, "catalogue_max", 5000),
        ("suggestions_max", 7, "suggestions_max", 7),
        ("kpi_window_s", 2, "kpi_window_ms", 2_000),
    ],
)
def test_the_settings_of_the_model_reach_it_in_its_units(
    name: str, value: float, parameter: str, expected: int
) -> None:
    assert getattr(model_parameters(Settings(**{name: value})), parameter) == expected


@pytest.mark.parametrize("name", sorted(MODEL_KEYS))
def test_every_key_of_the_model_reaches_it(name: str, file: Path) -> None:
    tunable = MODEL_KEYS[name]
    moved = getattr(tunable.moved(DEFAULTS, 0.1), name)
    assert moved != tunable.default
    parameters = model_parameters(load_settings(environment(file, f"[model]\n{name} = {moved!r}")))
    assert parameters == replace(DEFAULTS, **{name: moved})


def test_the_settings_win_over_the_model() -> None:
    assert (
        model_parameters(Settings(model=replace(DEFAULTS, suggestions_max=9), suggestions_max=3)).suggestions_max == 3
    )
