# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Engines of ClickHouse that tests start: Debian's server, and today's engine as npm has it.

    engine = Debian()        18.16: the package, unpacked, nothing is installed
    engine = Chdb()          today's, behind chdb_server.js; big: for `make e2e-all`
    engine.ask("SELECT 1")   -> "1\\n"; a Failure if the engine says no
    engine.script("node.sql")        statements of tools/fleet/
    engine.url               http://127.0.0.1:PORT/
"""

import fcntl
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from back_end import PATIENCE, TREE, BackEnd, Failure, Skip, room, slow

CHDB = "3.4.0"
CONFIG = """<?xml version="1.0"?>
<yandex>
	<logger><level>warning</level><console>1</console></logger>
	<http_port>{port}</http_port>
	<listen_host>127.0.0.1</listen_host>
	<path>{folder}/data/</path>
	<tmp_path>{folder}/data/tmp/</tmp_path>
	<users_config>users.xml</users_config>
	<default_profile>default</default_profile>
	<default_database>default</default_database>
	<mark_cache_size>16777216</mark_cache_size>
	<max_concurrent_queries>20</max_concurrent_queries>
	<timezone>UTC</timezone>
</yandex>
"""
USERS = """<?xml version="1.0"?>
<yandex>
	<profiles><default></default><readonly><readonly>1</readonly></readonly></profiles>
	<quotas><default></default></quotas>
	<users>
		<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>
			<quota>default</quota></default>
		<reader><password>it's a &amp; secret</password><networks><ip>::/0</ip></networks>
			<profile>readonly</profile><quota>default</quota></reader>
	</users>
</yandex>
"""


def port_free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Engine:
    name = port = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, statement):
        try:
            with urllib.request.urlopen(self.url, statement.encode(), PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failure(f"{self.name}: {error.read().decode()[:400]}: {statement[:200]}") from None

    def there(self):
        try:
            with urllib.request.urlopen(f"{self.url}ping", None, PATIENCE) as answer:
                return answer.read() == b"Ok.\n"
        except OSError:
            return False

    def script(self, name, **replaced):
        """Its statements, one by one, as the HTTP interface wants them."""
        with open(os.path.join(TREE, "tools", "fleet", name), encoding="utf-8") as file:
            text = re.sub(r"--[^\n]*", "", file.read())
        for words, own in replaced.items():
            text = text.replace(words, own)
        for statement in text.split(";"):
            if statement.strip():
                self.ask(statement)


class Debian(Engine):
    name = "ClickHouse 18.16"

    def __init__(self):
        folder = room()
        self.port = port_free()
        for name, text in {"config.xml": CONFIG, "users.xml": USERS}.items():
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text.format(port=self.port, folder=folder))
        os.mkdir(f"{folder}/data")
        self.server = BackEnd("clickhouse-server", f"--config-file={folder}/config.xml", packages="clickhouse",
                              ready=self.there, cwd=folder)
        self.server.start()


def chdb():
    """The folder of npm's package, fetched once for all tests."""
    slow("chdb is 550 MB")
    if not shutil.which("npm"):
        raise Skip("needs npm")
    folder = os.path.join(TREE, ".cache", "e2e", f"chdb-{CHDB}")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "done")):
            done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-save", "--prefix", folder,
                                   f"chdb@{CHDB}"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Skip(f"cannot fetch chdb: {done.stderr[-300:]}")
            with open(os.path.join(folder, "done"), "w", encoding="utf-8"):
                pass
    return os.path.join(folder, "node_modules", "chdb")


class Chdb(Engine):
    name = "ClickHouse of today (chdb)"

    def __init__(self):
        package = chdb()
        folder = room()
        told = f"{folder}/port"
        self.server = BackEnd("node", os.path.join(TREE, "tests", "e2e", "chdb_server.js"), package, f"{folder}/data",
                              told, ready=lambda: os.path.exists(told))
        self.server.start()
        with open(told, encoding="utf-8") as file:
            self.port = int(file.read())
