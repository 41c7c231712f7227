#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes the Grafana dashboard: what differs between panels stands here, once.

usage: tools/dashboards/generate.py >tools/dashboards/grafana.json
"""

import json

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'job=~"$job",instance=~"$instance"'
RATE = "[$__rate_interval]"
WIDTH = 24


def rate(metric, by, more=""):
    return f"sum by ({by}) (rate({metric}{{{OF}{more}}}{RATE}))"


def quantiles(metric, by="", legend=""):
    return [(f"histogram_quantile({q}, sum by (le{by}) (rate({metric}_bucket{{{OF}}}{RATE})))", legend + name)
            for q, name in ((0.5, "half within"), (0.9, "90 % within"), (0.99, "99 % within"))]


# Rows: title, panels. A panel: title, what it says, type, unit, width, height, options, and
# pairs of a query and a legend.
ROWS = [
    ("Ports that are left", [
        ("Pool in use", "Ports of net.ipv4.ip_local_port_range that are held, of all that the kernel may "
         "choose from. bind() to port 0 fails at 100 %.", "timeseries", "percentunit", 12, 8,
         {"max": 1, "steps": [(None, "green"), (0.8, "orange"), (0.95, "red")]},
         [(f"sum without (state) (portsnoop_pool_ports{{{OF}}}) / portsnoop_pool_capacity_ports{{{OF}}}",
           "{{instance}} netns {{netns}} {{protocol}}")]),
        ("Toward the busiest destinations", "connect() shares a port between destinations: it fails when one "
         "destination has all of them. Listed from 1 % on.", "timeseries", "percentunit", 12, 8,
         {"max": 1, "steps": [(None, "green"), (0.8, "orange"), (0.95, "red")]},
         [(f"portsnoop_destination_ports{{{OF}}} / on (job, instance, netns, protocol) group_left () "
           f"portsnoop_pool_capacity_ports{{{OF}}}", "{{source}} to {{destination}} {{protocol}}")]),
        ("Held ports of the pool by state", "TIME_WAIT lasts for 60 s after a connection was closed.",
         "timeseries", "short", 12, 8, {"stack": True},
         [(f"sum by (protocol, state) (portsnoop_pool_ports{{{OF}}})", "{{protocol}} {{state}}")]),
        ("Sockets that hold a port by state", "Without accepted connections, which share their listener's.",
         "timeseries", "short", 12, 8, {"stack": True},
         [(f"sum by (protocol, state) (portsnoop_leases{{{OF}}})", "{{protocol}} {{state}}")]),
    ]),
    ("Claims", [
        ("Claims", "Ports that were claimed, by the call and by who chose the number.", "timeseries", "ops",
         12, 8, {}, [(rate("portsnoop_claims_total", "trigger, origin, protocol"),
                      "{{trigger}} {{origin}} {{protocol}}")]),
        ("Claims that failed", "By errno. origin kernel with EADDRINUSE, EADDRNOTAVAIL or EAGAIN: no port "
         "was left.", "timeseries", "ops", 12, 8, {},
         [(rate("portsnoop_claim_failures_total", "trigger, origin, protocol, error"),
           "{{trigger}} {{origin}} {{protocol}} {{error}}")]),
        ("Who burns ephemeral ports", "Ports that the kernel chose, by unit, container or process.",
         "timeseries", "ops", 12, 8, {},
         [("topk(10, " + rate("portsnoop_allocations_total", "kind, name") + ")", "{{kind}} {{name}}")]),
        ("Who finds no port", "Claims for which none was left.", "timeseries", "ops", 12, 8, {},
         [("topk(10, " + rate("portsnoop_allocation_failures_total", "kind, name") + " > 0)",
           "{{kind}} {{name}}")]),
    ]),
    ("Connections", [
        ("Connects by outcome", "", "timeseries", "ops", 12, 8, {},
         [(rate("portsnoop_connects_total", "protocol, outcome"), "{{protocol}} {{outcome}}")]),
        ("Connects that failed", "", "timeseries", "ops", 12, 8, {},
         [(rate("portsnoop_connect_failures_total", "protocol, error"), "{{protocol}} {{error}}")]),
        ("Time to connect", "From connect() to the answer (TCP).", "timeseries", "s", 12, 8, {},
         quantiles("portsnoop_connect_duration_seconds")),
        ("Connects by how long they took", "", "heatmap", "s", 12, 8, {},
         [(f"sum by (le) (increase(portsnoop_connect_duration_seconds_bucket{{{OF}}}{RATE}))", "{{le}}")]),
    ]),
    ("Leases", [
        ("How long ports are held", "From claim to release, TIME_WAIT included.", "timeseries", "s", 12, 8, {},
         quantiles("portsnoop_lease_duration_seconds", ", origin", "{{origin}} ")),
        ("Releases and TIME_WAIT", "", "timeseries", "ops", 12, 8, {},
         [(rate("portsnoop_releases_total", "protocol, ending"), "{{protocol}} {{ending}}"),
          (rate("portsnoop_time_waits_total", "protocol"), "{{protocol}} into TIME_WAIT")]),
    ]),
    ("Sinks", [
        ("Connected", "Whether the last attempt to reach the destination went well.", "stat", "bool_on_off", 4, 7,
         {"steps": [(None, "red"), (1, "green")]},
         [(f"portsnoop_sink_up{{{OF}}}", "{{instance}} {{sink}}")]),
        ("Delivered", "", "timeseries", "ops", 10, 7, {},
         [(rate("portsnoop_sink_delivered_total", "instance, sink"), "{{instance}} {{sink}}")]),
        ("Not delivered", "Events that the destination will not get.", "timeseries",
         "ops", 10, 7, {},
         [(rate(f"portsnoop_sink_{metric}_total", "instance, sink"), "{{instance}} {{sink}} " + metric)
          for metric in ("dropped", "refused", "lost")]),
        ("Events that wait", "In memory, and on disk while the destination is away.", "timeseries", "short", 12, 7,
         {"stack": True},
         [(f"portsnoop_sink_waiting{{{OF}}}", "{{instance}} {{sink}} in memory"),
          (f"portsnoop_sink_spooled{{{OF}}}", "{{instance}} {{sink}} on disk")]),
        ("Spools", "", "timeseries", "bytes", 12, 7, {},
         [(f"portsnoop_sink_spool_bytes{{{OF}}}", "{{instance}} {{sink}}")]),
    ]),
    ("The recorder", [
        ("Up", "", "stat", "bool_on_off", 4, 4, {"steps": [(None, "red"), (1, "green")]},
         [(f"up{{{OF}}}", "{{instance}}")]),
        ("Version and tier", "", "stat", "none", 4, 4, {"name": True},
         [(f"portsnoop_build_info{{{OF}}} * on (job, instance) group_left (tier) portsnoop_tier_info{{{OF}}}",
           "{{version}} {{tier}}")]),
        ("Running since", "", "stat", "dateTimeFromNow", 4, 4, {},
         [(f"process_start_time_seconds{{{OF}}} * 1000", "{{instance}}")]),
        ("Last write", "", "stat", "dateTimeFromNow", 4, 4, {},
         [(f"portsnoop_store_commit_timestamp_seconds{{{OF}}} * 1000", "{{instance}}")]),
        ("History on disk", "", "gauge", "percentunit", 4, 4,
         {"max": 1, "steps": [(None, "green"), (0.98, "blue")]},
         [(f"portsnoop_store_size_bytes{{{OF}}} / portsnoop_store_limit_bytes{{{OF}}}", "{{instance}}")]),
        ("Cannot write", "", "stat", "short", 4, 4, {"steps": [(None, "green"), (1, "red")]},
         [(f"portsnoop_store_failing{{{OF}}}", "{{instance}}")]),
        ("Events", "", "timeseries", "ops", 8, 7, {},
         [(rate("portsnoop_events_total", "instance"), "{{instance}} events"),
          (rate("portsnoop_records_total", "instance"), "{{instance}} records of the kernel")]),
        ("What was not seen, or was lost", "Each of these is a gap in what the history tells.", "timeseries",
         "ops", 8, 7, {},
         [(rate(f"portsnoop_{metric}_total", "instance"), "{{instance}} " + name) for metric, name in
          (("records_lost", "lost in the ring"), ("untracked", "untracked"), ("unseen", "unseen"),
           ("skipped", "skipped by the kernel"), ("evicted", "evicted"),
           ("store_dropped", "never written"))]
         + [(f"portsnoop_pool_unknown_leases{{{OF}}}", "{{instance}} leases outside of known pools")]),
        ("How far it is behind", "", "timeseries", "s", 8, 7, {},
         [(f"portsnoop_lag_seconds{{{OF}}}", "{{instance}}")]),
        ("Entries written and trimmed", "", "timeseries", "ops", 8, 7, {},
         [(rate("portsnoop_store_written_total", "instance"), "{{instance}} written"),
          (rate("portsnoop_store_trimmed_total", "instance"), "{{instance}} trimmed")]),
        ("Database", "", "timeseries", "bytes", 8, 7, {},
         [(f"portsnoop_store_size_bytes{{{OF}}}", "{{instance}} database"),
          (f"portsnoop_store_wal_bytes{{{OF}}}", "{{instance}} write-ahead log"),
          (f"portsnoop_backlog_bytes{{{OF}}}", "{{instance}} waiting in memory")]),
        ("Entries in the database", "", "timeseries", "short", 8, 7, {},
         [(f"portsnoop_store_entries{{{OF}}}", "{{instance}} {{kind}}")]),
        ("Processor", "", "timeseries", "percentunit", 12, 6, {},
         [(rate("process_cpu_seconds_total", "instance"), "{{instance}}")]),
        ("Memory", "", "timeseries", "bytes", 12, 6, {},
         [(f"process_resident_memory_bytes{{{OF}}}", "{{instance}}")]),
    ]),
]


def panel_options(kind, options):
    if kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": "s"}, "color": {"mode": "scheme", "scheme": "Oranges"},
                "legend": {"show": False}, "tooltip": {"show": True, "yHistogram": False}}
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            **({"textMode": "name" if options.get("name") else "auto"} if kind == "stat" else {})}


def panel_fields(kind, unit, options):
    defaults = {"unit": unit, "min": 0}
    if "max" in options:
        defaults["max"] = options["max"]
    steps = options.get("steps", [(None, "green")])
    defaults["thresholds"] = {"mode": "absolute",
                              "steps": [{"value": value, "color": color} for value, color in steps]}
    if kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 30 if options.get("stack") else 0, "showPoints": "never",
                              "stacking": {"mode": "normal" if options.get("stack") else "none", "group": "A"},
                              "thresholdsStyle": {"mode": "line" if "steps" in options else "off"}}
    return {"defaults": defaults, "overrides": []}


def panel_make(number, place, panel):
    title, description, kind, unit, width, height, options, queries = panel
    return {
        "id": number, "type": kind, "title": title, "description": description, "datasource": SOURCE,
        "gridPos": {"x": place[0], "y": place[1], "w": width, "h": height},
        "fieldConfig": panel_fields(kind, unit, options), "options": panel_options(kind, options),
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
                     **({"format": "heatmap"} if kind == "heatmap" else {}),
                     **({"instant": True} if kind in ("stat", "gauge") else {})}
                    for i, (expr, legend) in enumerate(queries)],
    }


def panels_make():
    panels, x, y, line = [], 0, 0, 0
    for title, row in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        x, y, line = 0, y + 1, 0
        for panel in row:
            if x + panel[4] > WIDTH:
                x, y, line = 0, y + line, 0
            panels.append(panel_make(len(panels) + 1, (x, y), panel))
            x, line = x + panel[4], max(line, panel[5])
        y += line
    return panels


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query":
            {"query": query, "refId": "A"}, "definition": query, "refresh": 2, "sort": 1, "multi": True,
            "includeAll": True, "allValue": ".+", "current": {"selected": True, "text": ["All"],
                                                              "value": ["$__all"]}, "options": []}


def dashboard():
    return {
        "uid": "portsnoop", "title": "portsnoop", "tags": ["portsnoop", "network"],
        "description": "Who claims ports, how many are left, and what fails. From `portsnoop record --metrics`.",
        "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "",
        "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "timepicker": {}, "links": [],
        "annotations": {"list": []}, "fiscalYearStartMonth": 0, "liveNow": False, "weekStart": "",
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
             "current": {}, "options": [], "refresh": 1, "regex": "", "multi": False, "includeAll": False},
            variable("job", "Job", "label_values(portsnoop_build_info, job)"),
            variable("instance", "Machine", 'label_values(portsnoop_build_info{job=~"$job"}, instance)'),
        ]},
        "panels": panels_make(),
    }


def text(value):
    """A member a line, and of the panels one."""
    lines = []
    for key, member in value.items():
        if key == "panels":
            member = "[\n  " + ",\n  ".join(json.dumps(panel) for panel in member) + "\n ]"
        else:
            member = json.dumps(member)
        lines.append(f" {json.dumps(key)}: {member}")
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    print(text(dashboard()))
