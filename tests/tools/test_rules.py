"""The rules of a test run hold: no network, and slow tests say that they are slow."""

import socket

import pytest


@pytest.fixture
def rules(request):
    """tests/conftest.py as pytest has loaded it."""
    plugins = request.config.pluginmanager.get_plugins()
    return next(plugin for plugin in plugins if hasattr(plugin, "clocks"))


class Item:
    def __init__(self, *markers):
        self.markers = markers

    def get_closest_marker(self, name):
        return name if name in self.markers else None


@pytest.mark.parametrize("address", ["192.0.2.1", "recordings.invalid"])
def test_network_is_out_of_reach(address):
    with socket.socket() as client, pytest.raises(OSError, match=address):
        client.connect((address, 80))


def test_own_machine_is_in_reach():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


@pytest.mark.parametrize(
    ("markers", "end"), [((), pytest.fail.Exception), (("slow",), StopIteration)]
)
def test_slow_test_fails_without_the_marker(rules, monkeypatch, markers, end):
    seconds = iter([(0.0, 0.0), (39.0, 37.0)])
    with monkeypatch.context() as patched:  # this very test is under the rule as well
        patched.setattr(rules, "clocks", lambda: next(seconds))
        running = rules.pytest_runtest_call(Item(*markers))
        next(running)
        with pytest.raises(end, match="outcome" if markers else r"37\.0 s"):
            running.send("outcome")
