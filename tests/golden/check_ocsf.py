# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: check_ocsf.py FILE

Every line is a valid event of OCSF 1.3.0: the attributes that its class and their objects
have there, with their types, what is required, the constraints, and the values of the enums.

There is no package with a validator, so this is written from the definitions themselves: the
classes network_activity (and network, base_event), application_lifecycle (and application),
the objects that appear here, the profiles host and container and the dictionary, as published
in github.com/ocsf/ocsf-schema for version 1.3.0 (https://schema.ocsf.io/1.3.0/). `unmapped` is an
object of any shape there.
"""

import ipaddress
import re

from flat import lines_check

VERSION = "1.3.0"
UNSIGNED_32 = range(0, 1 << 32)
INTEGER = range(-(1 << 31), 1 << 31)
LONG = range(-(1 << 63), 1 << 63)


def integer_t(value):
    assert type(value) is int and value in INTEGER, value


def long_t(value):
    assert type(value) is int and value in LONG, value


def process_id(value):
    # an integer_t there; Linux' own, at most 2^22
    assert type(value) is int and 0 < value <= 1 << 22, value


def string_t(value):
    assert type(value) is str and value, value


def json_t(value):
    assert type(value) is dict and value, value


def timestamp_t(value):
    """Milliseconds since 1970."""
    long_t(value)
    assert 10 ** 12 < value < 10 ** 13, f"these are no milliseconds: {value}"


def ip_t(value):
    string_t(value)
    ipaddress.ip_address(value)


def hostname_t(value):
    string_t(value)
    assert len(value) <= 64, value


def port_t(value):
    assert type(value) is int and 0 <= value <= 65535, value


def name_t(value):
    string_t(value)


def uuid_t(value):
    string_t(value)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value), value


def version_t(value):
    assert value == VERSION, value


def strings(value):
    assert type(value) is list and value, value
    for one in value:
        string_t(one)


def enum(*values):
    def check_enum(value):
        assert type(value) is int and value in values, value
    return check_enum


class Object:
    """Attributes with their types; those that are required; lists of which one must be there."""

    def __init__(self, attributes, required=(), one_of=()):
        self.attributes, self.required, self.one_of = attributes, required, one_of

    def __call__(self, value):
        assert type(value) is dict, value
        unknown = value.keys() - self.attributes.keys()
        assert not unknown, f"there is no attribute {', '.join(unknown)}"
        missing = set(self.required) - value.keys()
        assert not missing, f"{', '.join(missing)} is required"
        assert not self.one_of or value.keys() & set(self.one_of), f"one of {self.one_of} is required"
        for name, part in value.items():
            try:
                self.attributes[name](part)
            except (AssertionError, ValueError) as error:
                raise AssertionError(f"{name}: {error}") from None


USER = Object({"name": name_t, "uid": string_t}, one_of=("account", "name", "uid"))
CONTAINER = Object({"name": string_t, "runtime": string_t, "uid": string_t, "pod_uuid": uuid_t},
                   one_of=("uid", "name"))
FILE = Object({"name": name_t, "path": string_t, "type_id": enum(0, 1, 2, 3, 4, 5, 6, 7, 99)},
              required=("name", "type_id"))
PARENT = Object({"pid": process_id, "name": name_t}, one_of=("pid", "uid"))
PROCESS = Object({"pid": process_id, "uid": string_t, "name": name_t, "tid": process_id, "cmd_line": string_t,
                  "file": FILE, "parent_process": PARENT, "container": CONTAINER, "namespace_pid": process_id},
                 one_of=("pid", "uid"))
ACTOR = Object({"process": PROCESS, "user": USER},
               one_of=("process", "user", "invoked_by", "session", "app_name", "app_uid"))
DEVICE = Object({"hostname": hostname_t, "type_id": enum(*range(0, 13), 99)}, required=("type_id",),
                one_of=("ip", "uid", "name", "hostname", "instance_uid", "interface_uid", "interface_name"))
ENDPOINT = Object({"ip": ip_t, "port": port_t, "hostname": hostname_t},
                  one_of=("ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid",
                          "interface_name"))
CONNECTION = Object({"direction_id": enum(0, 1, 2, 3, 99), "protocol_name": string_t, "protocol_num": integer_t,
                     "protocol_ver_id": enum(0, 4, 6, 99)}, required=("direction_id",))
PRODUCT = Object({"name": name_t, "vendor_name": string_t, "version": string_t}, required=("vendor_name",),
                 one_of=("name", "uid"))
METADATA = Object({"version": version_t, "product": PRODUCT, "uid": string_t, "sequence": integer_t,
                   "event_code": string_t, "log_name": string_t, "log_version": string_t, "profiles": strings},
                  required=("product", "version"))

BASE = {
    "activity_name": string_t, "category_uid": integer_t, "class_name": string_t, "class_uid": integer_t,
    "duration": integer_t, "end_time": timestamp_t, "message": string_t, "metadata": METADATA,
    "severity_id": enum(0, 1, 2, 3, 4, 5, 6, 99), "start_time": timestamp_t, "status": string_t,
    "status_code": string_t, "status_id": enum(0, 1, 2, 99), "time": timestamp_t, "type_uid": long_t,
    "unmapped": json_t,
    # profile host
    "actor": ACTOR, "device": DEVICE,
}
REQUIRED = ("activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid")
NETWORK = Object({**BASE, "activity_id": enum(0, 1, 2, 3, 4, 5, 6, 7, 99), "connection_info": CONNECTION,
                  "src_endpoint": ENDPOINT, "dst_endpoint": ENDPOINT}, required=(*REQUIRED, "dst_endpoint"))
LIFECYCLE = Object({**BASE, "activity_id": enum(0, 1, 2, 3, 4, 5, 6, 7, 8, 99), "app": PRODUCT},
                   required=(*REQUIRED, "app"))
CLASSES = {4001: (4, "Network Activity", NETWORK), 6002: (6, "Application Lifecycle", LIFECYCLE)}
NAMES = {
    4001: {1: "Open", 2: "Close", 3: "Reset", 4: "Fail", 5: "Refuse", 6: "Traffic", 7: "Listen"},
    6002: {3: "Start", 4: "Stop"},
}
STATUS = {0: "Unknown", 1: "Success", 2: "Failure"}


def check(event, number):
    assert event.get("class_uid") in CLASSES, event.get("class_uid")
    category, name, definition = CLASSES[event["class_uid"]]
    definition(event)
    assert event["category_uid"] == category and event["class_name"] == name
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    # in the case of Other the source's own
    assert event["activity_name"] == NAMES[event["class_uid"]].get(event["activity_id"], event["metadata"]["event_code"])
    assert event.get("status") == STATUS.get(event.get("status_id"))
    assert ("status_code" not in event) or event["status_id"] == 2
    assert event["metadata"]["sequence"] == number, "a number is missing"
    # the profiles that are in use are those that are named
    process = event.get("actor", {}).get("process", {})
    container = "container" in process
    assert event["metadata"]["profiles"] == (["host", "container"] if container else ["host"])
    if "duration" in event:
        assert abs(event["end_time"] - event["start_time"] - event["duration"]) <= 1
        assert event["end_time"] == event["time"]
        assert event["unmapped"]["duration"] // 1000000 == event["duration"]
    # milliseconds are not all that is known
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["unmapped"]["timestamp"])
    assert int(event["unmapped"]["timestamp"][20:23]) == event["time"] % 1000


lines_check(check)
