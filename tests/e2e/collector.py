# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The OpenTelemetry Collector, built of Debian's Go packages, without a network but for these.

    binary()               its path; a skip if it must be built and this run is not for that
    configuration(...)     the text of one: OTLP in, OTLP out
"""

import hashlib
import os
import shutil
import subprocess

from back_end import Skip, packages, room, slow
from packages import CACHE

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "collector", "main.go")
SET = "otel-collector"


def build(path):
    # 2.7 GB, of which the program needs 40 MB afterwards.
    folder = packages(SET)
    scratch = os.path.join(CACHE, "collector.cache")
    root = os.path.join(folder, "usr", "lib", "go")
    env = dict(os.environ, GOROOT=os.path.realpath(root), GOPATH=os.path.join(folder, "usr", "share", "gocode"),
               GO111MODULE="off", GOFLAGS="", GOTOOLCHAIN="local", GOCACHE=scratch, CGO_ENABLED="0")
    done = subprocess.run([os.path.join(root, "bin", "go"), "build", "-o", f"{path}.new", SOURCE], env=env,
                          cwd=room(), capture_output=True, text=True, check=False)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    if done.returncode:
        raise Skip(f"the Collector cannot be built: {done.stderr.strip()[-300:]}")
    os.rename(f"{path}.new", path)


def binary():
    with open(SOURCE, "rb") as file:
        path = os.path.join(CACHE, f"collector-{hashlib.sha256(file.read()).hexdigest()[:12]}")
    if not os.path.exists(path):
        slow("the Collector has to be built, of 500 MB of packages")
        build(path)
    return path


def configuration(port, url):
    """It answers only when its own receiver has taken the records: no queue, no retries."""
    return f"""receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
exporters:
  otlp_http:
    logs_endpoint: {url}
    compression: none
    sending_queue:
      enabled: false
    retry_on_failure:
      enabled: false
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    logs:
      receivers: [otlp]
      exporters: [otlp_http]
"""
