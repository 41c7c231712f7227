# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: check_json.py FILE

Every line is one JSON object without a key that comes twice, complete, of the types
and with the values that ECS allows for the category "network".
"""

import datetime
import ipaddress
import re

from flat import lines_check

TYPES = {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}
ACTIONS = {
    "bound-socket", "connected-to", "listen-for-connections", "autobound-socket",
    "connection-established", "connection-failed", "released-port",
    "lost-events", "stream-start", "stream-end", "heartbeat",
}
ABOUT_THE_STREAM = {"lost-events", "stream-start", "stream-end", "heartbeat"}


def check_port(port):
    assert type(port) is int and 0 <= port <= 65535, port


def check_endpoint(endpoint):
    if "ip" in endpoint:
        ipaddress.ip_address(endpoint["ip"])
    if endpoint.get("port") is not None:
        check_port(endpoint["port"])


def check_blocked(own, claimed, error):
    if "blocked_by" not in own:
        assert not any(key.startswith("blocked_by") for key in own), own
        assert error != "EADDRINUSE" or claimed is None
        return
    entries, total = own["blocked_by"], own["blocked_by_total"]
    assert len(entries) <= 8 and total >= len(entries)
    assert len(entries) == min(total, 8)
    assert bool(entries) != ("blocked_by_reason" in own)
    for entry in entries:
        assert entry["role"] in ("claimant", "share", "holder", "unknown")
        assert (entry["pid"] is None) == (entry["name"] is None) == (entry["role"] == "unknown")
        assert ("state" in entry) == ("local" in entry) != ("ports" in entry)
        if entry["since"] is not None:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", entry["since"])
        if "expires_ms" in entry:
            assert entry["state"] == "time_wait" and 0 < entry["expires_ms"] <= 60000
        check_endpoint(entry.get("local", {}))
        check_endpoint(entry.get("remote", {}))


def check(event, number):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["@timestamp"])
    datetime.datetime.fromisoformat(event["@timestamp"][:26])
    assert event["message"] and event["ecs"] == {"version": "9.4.0"}
    about = event["event"]
    assert about["kind"] == ("metric" if about["action"] == "heartbeat" else "event")
    assert about["category"] == ["network"]
    assert about["type"] and set(about["type"]) <= TYPES
    assert about["action"] in ACTIONS
    assert about["dataset"] == "portsnoop.events"
    assert re.fullmatch(r"[0-9a-f]{16}-%d" % about["sequence"], about["id"])
    assert about["sequence"] == number, "a number is missing"
    assert event["portsnoop"]["schema"] == 1
    if about["action"] in ABOUT_THE_STREAM:
        assert about["type"] == ["info"] and "outcome" not in about
        assert "process" not in event and "network" not in event
        return
    assert about["outcome"] in ("success", "failure", "unknown")
    if about["outcome"] != "failure":
        assert "error" not in event
    elif about["action"] != "connection-failed":
        assert event["error"]["code"]
    assert event["network"]["type"] in ("ipv4", "ipv6")
    for name in ("source", "destination", "server"):
        check_endpoint(event.get(name, {}))
        if event["network"]["type"] == "ipv4" and "ip" in event.get(name, {}):
            assert ipaddress.ip_address(event[name]["ip"]).version == 4
    own = event["portsnoop"]
    check_endpoint(own.get("local", {}))
    check_endpoint(own.get("requested", {}))
    assert ("process" in event) != (own.get("process_unknown") == "predates")
    check_blocked(own, own.get("claimed"), event.get("error", {}).get("code"))
    if own.get("origin") == "kernel":
        assert own.get("class", {}).get("service") is None and "known_uses" not in own
    process = event.get("process", {})
    if process:
        assert type(process["pid"]) is int and type(process["user"]["id"]) is str
        assert process["entity_id"].count(":") == 3
        assert all(type(argument) is str for argument in process.get("args", []))


lines_check(check)
