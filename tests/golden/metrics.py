# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The pages in tests/fixtures/metrics/, which test_metrics_text.c holds against the program, as
strict readers see them; and what tools/dashboards/ makes of their names.

Environment: PORTSNOOP (program).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

try:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics
except ImportError:
    openmetrics = None

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DASHBOARDS = os.path.join(TREE, "tools", "dashboards")
COUNTS = {"ok": 0, "not ok": 0, "skip": 0}
# What Prometheus itself adds, and what no picture is made of.
FOREIGN = {"up"}
NOT_SHOWN = {"portsnoop_lease_duration_seconds_sum", "portsnoop_lease_duration_seconds_count",
             "portsnoop_connect_duration_seconds_sum", "portsnoop_connect_duration_seconds_count"}
NAME = re.compile(r"(?<![\w$\"])(?:portsnoop|process)_\w+|\bup\b(?=\{)")


class Skip(Exception):
    pass


def check(truth, *words):
    if not truth:
        raise AssertionError(" ".join(str(word) for word in words))


def test(name, function):
    try:
        function()
        state, why = "ok", None
    except Skip as skip:
        state, why = "skip", str(skip)
    except Exception as error:  # the others still run
        state, why = "not ok", f"{type(error).__name__}: {error}"
    COUNTS[state] += 1
    print(f"{state} {name}" + (f": {' '.join(why.split())}" if why else ""), flush=True)


def read(*path):
    with open(os.path.join(TREE, *path), encoding="utf-8") as file:
        return file.read()


def page(kind):
    return read("tests", "fixtures", "metrics", f"page.{kind}")


def promtool(*words, text=None, folder=DASHBOARDS):
    if not shutil.which("promtool"):
        raise Skip("needs promtool (Debian: prometheus)")
    done = subprocess.run(("promtool", *words), input=text, capture_output=True, text=True, timeout=60,
                          cwd=folder, check=False)
    check(not done.returncode, words, done.stdout, done.stderr)
    return done


def families(kind):
    if not openmetrics:
        raise Skip("needs prometheus_client (Debian: python3-prometheus-client)")
    read_all = openmetrics if kind == "openmetrics" else parser
    return list(read_all.text_string_to_metric_families(page(kind)))


def samples(kind):
    return {(one.name, tuple(sorted(one.labels.items()))): one.value
            for family in families(kind) for one in family.samples}


def series():
    """Name of each sample on the page, and the labels that it has. Without a parser."""
    names = {}
    for line in page("openmetrics").splitlines():
        if line.startswith("#"):
            continue
        name = re.match(r"\w+", line).group()
        labels = re.findall(r'[{,](\w+)="(?:[^"\\]|\\.)*"', line)
        names.setdefault(name, set()).update(labels)
    return names


# ---- pages ----


def page_strict():
    found = families("openmetrics")
    check(len(found) > 30, "families:", len(found))
    for family in found:
        check(family.documentation.endswith("."), family.name, "says", family.documentation)
        check(family.samples, family.name, "has no sample in the fixture")


def page_lint():
    done = promtool("check", "metrics", text=page("classic"))
    check(not done.stdout.strip() and not done.stderr.strip(), done.stdout, done.stderr)


def page_same():
    check(samples("openmetrics") == samples("classic"), "the two formats differ")


def page_hostile():
    names = {labels for name, labels in samples("openmetrics") if name == "portsnoop_allocations_total"}
    check((("kind", "process"), ("name", '"\\\ufffd\ufffd[2J\ufffd')) in names, names)
    check(not re.search(r"[\0-\x09\x0b-\x1f\x7f]", page("openmetrics")), "a control character")


# ---- alerts ----


def alerts_right():
    promtool("check", "rules", "alerts.yml")


def alerts_fire():
    promtool("test", "rules", "alerts.test.yml")


def alerts_tested():
    names = set(re.findall(r"alert: (\w+)", read("tools", "dashboards", "alerts.yml")))
    tested = set(re.findall(r"alertname: (\w+)", read("tools", "dashboards", "alerts.test.yml")))
    check(names and names == tested, names ^ tested)


def alerts_names():
    used = set(NAME.findall(read("tools", "dashboards", "alerts.yml")))
    check(used and used <= set(series()) | FOREIGN, used - set(series()))


def scrape_right():
    promtool("check", "config", "prometheus.yml")


# ---- dashboard ----


def dashboard():
    return json.loads(read("tools", "dashboards", "grafana.json"))


def queries():
    return [(panel["title"], target) for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def dashboard_generated():
    done = subprocess.run((sys.executable, os.path.join(DASHBOARDS, "generate.py")), capture_output=True,
                          text=True, check=True, timeout=60)
    check(done.stdout == read("tools", "dashboards", "grafana.json"),
          "run tools/dashboards/generate.py >tools/dashboards/grafana.json")


def dashboard_parses():
    """As recording rules: what promtool takes there is PromQL."""
    with tempfile.TemporaryDirectory() as folder:
        rules = [{"record": f"query:{i}", "expr": target["expr"].replace("$__rate_interval", "5m")}
                 for i, (_, target) in enumerate(queries())]
        with open(os.path.join(folder, "rules.json"), "w", encoding="utf-8") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        promtool("check", "rules", "rules.json", folder=folder)


def dashboard_names():
    used, known = set(), series()
    for title, target in queries():
        names = set(NAME.findall(target["expr"]))
        check(names and names <= set(known) | FOREIGN, title, "asks for", names - set(known))
        labels = {"job", "instance", "le"}.union(*(known.get(name, set()) for name in names))
        told = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        for group in re.findall(r"\b(?:by|without|on|group_left) \(([^)]*)\)", target["expr"]):
            told.update(word.strip() for word in group.split(",") if word.strip())
        check(told <= labels, title, "has labels", told - labels)
        used |= names
    missing = set(known) - used - NOT_SHOWN
    check(not missing, "not shown:", sorted(missing))


def dashboard_sound():
    """What Grafana needs of a dashboard: its own checks are not to be had here."""
    board = dashboard()
    check(board["uid"] and board["title"] and board["schemaVersion"] >= 36, "head")
    variables = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    check(used == variables, "variables:", used ^ variables)
    ids = [panel["id"] for panel in board["panels"]]
    check(len(ids) == len(set(ids)), "ids")
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        check(place["x"] + place["w"] <= 24 and not cells & taken, panel["title"], "lies over another")
        taken |= cells
        if panel["type"] == "row":
            continue
        check(panel["type"] in ("timeseries", "stat", "gauge", "heatmap"), panel["type"])
        check(panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"])
        refs = [target["refId"] for target in panel["targets"]]
        check(refs and len(refs) == len(set(refs)), panel["title"], refs)


TESTS = (
    ("page: the strict parser of OpenMetrics takes it", page_strict),
    ("page: promtool has nothing to say of the other format", page_lint),
    ("page: both formats tell the same", page_same),
    ("page: hostile names are harmless", page_hostile),
    ("alerts: are rules", alerts_right),
    ("alerts: fire when they should, and else do not", alerts_fire),
    ("alerts: each one has a test", alerts_tested),
    ("alerts: ask for what there is", alerts_names),
    ("alerts: the example of a scrape is one", scrape_right),
    ("dashboard: is what generate.py writes", dashboard_generated),
    ("dashboard: each query is PromQL", dashboard_parses),
    ("dashboard: asks for what there is, and for all of it", dashboard_names),
    ("dashboard: panels do not overlap, and their variables are there", dashboard_sound),
)

for title_, function_ in TESTS:
    test(title_, function_)
print(f"{COUNTS['ok']} passed, {COUNTS['not ok']} failed, {COUNTS['skip']} skipped")
sys.exit(1 if COUNTS["not ok"] else 0)
