"""One broker for all Python tests, and one row of the results for each subject (see lib/results.mjs)."""

import collections
import importlib.metadata
import json
import pathlib

import pytest
from broker import Broker

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results"
outcomes = collections.defaultdict(dict)
subjects = {}


@pytest.fixture(scope="session")
def broker():
    broker = Broker()
    yield broker
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / "rows.jsonl", "a") as rows:
        for key, tests in outcomes.items():
            row = dict(subjects[key], broker=f"{broker.name} {broker.version()}")
            failed = [name for name, passed in tests.items() if not passed]
            row.update({"pass": not failed, "passed": len(tests) - len(failed), "failed": failed})
            rows.write(json.dumps(row) + "\n")
    broker.stop()  # last: it fails when the broker died, and then its rows are needed most


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Counts each test in the row that its marker names: @pytest.mark.row("redis", mode="asyncio")."""
    report = yield
    marker = item.get_closest_marker("row")
    if marker and (report.when == "call" or report.failed):
        package = marker.args[0]
        name = "redis-py" if package == "redis" else package  # npm has a package called redis too
        subject = {"package": name, "version": importlib.metadata.version(package), **marker.kwargs}
        protocol = getattr(item, "callspec", None) and item.callspec.params.get("protocol")
        if protocol:
            subject["protocol"] = f"RESP{protocol}"
        key = json.dumps(subject)
        subjects[key] = subject
        outcomes[key][item.name] = report.passed
    return report


def pytest_configure(config):
    config.addinivalue_line("markers", "row(package, **choices): the row of the results that this test belongs to")
