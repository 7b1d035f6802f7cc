"""The files of `deploy/` and the compose file agree with the code, with each other and with their tools."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from streams.metrics import Metrics
from streams.settings import ENVIRONMENT_PREFIX, load_settings

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
BOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: What a metric's type adds to its name in what Prometheus stores.
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}

#: What Grafana puts for its variables before it sends a query.
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m"}


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def services() -> dict[str, Any]:
    return dict(read_yaml(ROOT / "docker-compose.yml")["services"])


def workers() -> dict[str, Any]:
    return {name: service for name, service in services().items() if service.get("command") == ["worker"]}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]


def panels(board: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(board.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z0-9.-]+)==([0-9][0-9a-z.]*)", line) for line in lines if not line.startswith("#")]
    assert all(found), "constraints.txt: each line is name==version"
    return {canonicalize_name(pin[1]): pin[2] for pin in found if pin}


def copied() -> list[str]:
    """Return what the Dockerfile copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.fixture(scope="module")
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None and os.environ.get("CI"):
        pytest.fail("promtool is missing: install Prometheus, or these files go unchecked")
    if path is None:
        pytest.skip("promtool is not installed")
    return path


def succeed(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_compose_file_follows_the_compose_specification() -> None:
    succeed(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"
    )


def test_every_image_has_an_exact_version() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_our_image_carries_the_version_of_the_project() -> None:
    images = {service["image"] for service in services().values() if "build" in service}
    assert images == {f"sidecart:{PROJECT['version']}"}


def test_mounted_files_and_volumes_exist() -> None:
    volumes = read_yaml(ROOT / "docker-compose.yml")["volumes"]
    for name, service in services().items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in volumes, f"{name}: {mount}"


@pytest.mark.parametrize("name", [name for name, service in services().items() if "build" in service])
def test_environment_of_our_services_is_accepted(name: str) -> None:
    environment = services()[name]["environment"]
    assert all(variable.startswith(ENVIRONMENT_PREFIX) for variable in environment)
    settings = load_settings({variable: str(value) for variable, value in environment.items()})
    listeners = services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://{settings.bootstrap_servers}" in listeners.split(",")


def test_each_worker_keeps_its_state_on_a_volume_of_its_own() -> None:
    mounts = [mount.split(":") for service in workers().values() for mount in service["volumes"]]
    assert len({volume for volume, _ in mounts}) == len(workers()) == 2
    states = {service["environment"]["SIDECART_STATE_DIR"] for service in workers().values()}
    assert {folder for _, folder in mounts} == states
    assert f"-o sidecart -g sidecart {states.pop()}" in DOCKERFILE, "the volume takes its owner from the image's folder"


def test_health_check_and_prometheus_use_the_port_of_the_workers() -> None:
    ports = {name: service["environment"]["SIDECART_METRICS_PORT"] for name, service in workers().items()}
    for name, port in ports.items():
        assert f":{port}/ready" in workers()[name]["healthcheck"]["test"][-1]
    (job,) = read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    targets = [target for group in job["static_configs"] for target in group["targets"]]
    assert sorted(targets) == sorted(f"{name}:{port}" for name, port in ports.items())


def test_health_check_is_valid_python() -> None:
    for service in workers().values():
        compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_prometheus_accepts_its_configuration(promtool: str) -> None:
    succeed(promtool, "check", "config", PROMETHEUS / "prometheus.yml")


def test_alerts_fire_when_they_should(promtool: str) -> None:
    succeed(promtool, "test", "rules", "alerts_test.yml", cwd=PROMETHEUS)


def test_each_alert_has_a_test_and_says_what_to_do() -> None:
    tests = (PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8")
    for alert in alerts():
        assert f'alertname="{alert["alert"]}", alertstate="firing"' in tests, alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert set(alert["annotations"]) == {"summary", "description"}, alert["alert"]


def test_each_metric_that_is_asked_for_exists() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    exported = {family.name + suffix for family in registry.collect() for suffix in SUFFIXES[family.type]}
    texts = [alert["expr"] for alert in alerts()]
    texts += [target["expr"] for board in BOARDS for panel in panels(board) for target in panel["targets"]]
    asked = {name for text in texts for name in re.findall(r"\bsidecart_\w+", text)}
    assert asked
    assert asked <= exported


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_board_parses_as_promql(board: Path, promtool: str, tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    for variable, value in VARIABLES.items():
        expressions = [expression.replace(variable, value) for expression in expressions]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    # JSON is YAML.
    file = tmp_path / "panels.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    succeed(promtool, "check", "rules", file)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_board_is_complete(board: Path) -> None:
    content = json.loads(board.read_text(encoding="utf-8"))
    assert content["schemaVersion"] >= 39
    identifiers = [panel["id"] for panel in content["panels"]]
    assert len(identifiers) == len(set(identifiers))
    assert [variable["name"] for variable in content["templating"]["list"]] == ["instance"]
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert all("$instance" in target["expr"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_board_panels_do_not_overlap(board: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_boards_use_the_provisioned_data_source() -> None:
    (source,) = read_yaml(ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    (port,) = services()["prometheus"]["ports"]
    assert source["url"] == f"http://prometheus:{port.split(':')[-1]}"
    scrape = read_yaml(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape
    for board in BOARDS:
        used = re.findall(r'"uid": "([^"]+)"', board.read_text(encoding="utf-8"))
        assert set(used) == {source["uid"], json.loads(board.read_text(encoding="utf-8"))["uid"]}


def test_grafana_finds_the_boards() -> None:
    (provider,) = read_yaml(ROOT / "deploy/grafana/provisioning/dashboards/sidecart.yml")["providers"]
    folder = provider["options"]["path"]
    grafana = services()["grafana"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in [f"{folder}/{board.name}" for board in BOARDS]


def test_each_dependency_is_pinned_within_its_range() -> None:
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, declared):
        pin = pins().get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} has no pin in constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement} does not admit the pin {pin}"


def test_installed_versions_are_the_pinned_ones() -> None:
    differences = {}
    for name, pin in pins().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not installed"
        if installed != pin:
            differences[name] = f"{installed}, pinned {pin}"
    assert not differences, "run: pip install -c constraints.txt -e '.[dev]'"


def test_the_image_runs_our_command_without_root() -> None:
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    assert re.findall(r"^USER (.+)$", last_stage, re.MULTILINE) == ["sidecart"]
    assert 'ENTRYPOINT ["sidecart"]' in last_stage
    assert "sidecart" in PROJECT["scripts"]


def test_what_the_image_copies_exists_and_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_build_steps_install_a_working_command(tmp_path: Path) -> None:
    """Follow the Dockerfile by hand: only what it copies, its own install line, an empty environment (about 20 s)."""
    for source in copied():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    venv.create(tmp_path / "venv", with_pip=True)
    (install,) = re.findall(r"^RUN pip (.+)$", DOCKERFILE, re.MULTILINE)
    # Isolated (-I) and from another folder, so that the package that answers is the installed one.
    python = (tmp_path / "venv/bin/python", "-I")
    succeed(*python, "-m", "pip", *shlex.split(install), cwd=tmp_path)
    answer = succeed(*python, tmp_path / "venv/bin/sidecart", "--version", cwd=tmp_path / "venv")
    assert answer == f"sidecart, version {PROJECT['version']}\n"
