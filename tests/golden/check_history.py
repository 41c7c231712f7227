# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: check_history.py FILE

Every line is one JSON object without a key that comes twice, with the values that ECS
allows for the category "network", and tells no more than is known.
"""

import ipaddress
import json
import re
import sys

TYPES = {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}
FAILURES = {"bound-socket", "connected-to", "listen-for-connections", "autobound-socket"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
STATES = {"bound", "listening", "pending", "established", "failed"}
ENDINGS = {"open", "released", "estimated", "unseen", "evicted"}
GAPS = {"stopped", "killed", "lost", "dropped", "evicted", "clock", "not_recording",
        "not_recorded_before", "silent"}


def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"a key comes twice: {pairs}"
    return dict(pairs)


def check_endpoint(endpoint):
    if "ip" in endpoint:
        ipaddress.ip_address(endpoint["ip"])
    assert 0 <= endpoint["port"] <= 65535


def check_gap(event):
    assert event["event"]["type"] == ["info"]
    assert not {"process", "network", "error"} & set(event)
    gap = event["portsnoop"]["gap"]
    assert gap["reason"] in GAPS
    assert (gap["reason"] == "clock") == ("from" in gap) == ("to" in gap)
    assert (gap["reason"] in ("lost", "dropped", "evicted")) == ("count" in gap)


def check_lease(event):
    about, own = event["event"], event["portsnoop"]
    assert own["state"] in STATES and own["ending"] in ENDINGS
    over = own["ending"] in ("released", "estimated")
    predates = own.get("process_unknown") == "predates"
    assert ("end" in about["type"]) == ("end" in about) == over
    assert ("start" in about["type"]) == ("start" in about) == (not predates)
    assert ("duration" in about) == (over and not predates)
    assert ("held_at_least" in own) == (own["ending"] != "open" and "duration" not in about)
    assert ("trigger" in own) == (not predates)
    assert not predates or "process" not in event
    assert "holder" not in own or predates
    check_endpoint(own["local"])


def check_failure(event):
    own = event["portsnoop"]
    assert event["event"]["action"] in FAILURES
    assert event["event"]["outcome"] == "failure" and event["error"]["code"]
    if "blocked_by" in own:
        assert own["blocked_by_total"] >= len(own["blocked_by"])
        assert bool(own["blocked_by"]) != ("blocked_by_reason" in own)
        for entry in own["blocked_by"]:
            assert ("state" in entry) != ("ports" in entry)
            assert entry["since"] is None or re.fullmatch(TIME, entry["since"])


def check(event):
    assert re.fullmatch(TIME, event["@timestamp"])
    about = event["event"]
    assert event["message"] and event["ecs"] == {"version": "9.4.0"}
    assert about["kind"] == "event" and about["category"] == ["network"]
    assert about["type"] and set(about["type"]) <= TYPES
    assert about["dataset"] == "portsnoop.history"
    assert all(re.fullmatch(TIME, about[key]) for key in ("start", "end") if key in about)
    assert event["portsnoop"]["schema"] == 1
    if about["action"] == "recording-gap":
        check_gap(event)
        return
    assert about["outcome"] in ("success", "failure", "unknown")
    assert event["network"]["type"] in ("ipv4", "ipv6")
    for name in ("source", "destination", "server"):
        if event["network"]["type"] == "ipv4" and "ip" in event.get(name, {}):
            assert ipaddress.ip_address(event[name]["ip"]).version == 4
    assert ("process" in event) != ("process_unknown" in event["portsnoop"])
    if "user" in event.get("process", {}):
        assert type(event["process"]["user"]["id"]) is str
    if about["action"] == "held-port":
        check_lease(event)
    else:
        check_failure(event)


def main():
    with open(sys.argv[1], "rb") as file:
        lines = file.read().decode("utf-8").split("\n")
    assert lines.pop() == "", "the last line has no end"
    for number, line in enumerate(lines, 1):
        try:
            check(json.loads(line, object_pairs_hook=unique))
        except (AssertionError, KeyError, ValueError) as error:
            sys.exit(f"line {number}: {type(error).__name__} {error}: {line}")
    assert lines, "there is no line"


main()
