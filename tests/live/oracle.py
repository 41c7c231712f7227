#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs well-known programs under strace while portsnoop traces, and compares.

Everything stays on loopback, on ports that were free a moment ago.

usage: oracle.py [--tier TIER] [--keep DIR] [--strace-only] [NAME...]
Environment: PORTSNOOP, TIER, SSHD (path of a server that is not in PATH).
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import compare
import strace_oracle
import tracer

SECONDS = 120  # for one scenario, which strace makes slow

# Every scenario is a shell script: `soon COMMAND` repeats a command until it
# succeeds, because a server is ready when it answers. $A $B $C are free ports.
PRELUDE = """
set -u
soon() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || { echo "gave up: $*" >&2; exit 1; }
		sleep 0.1
	done
}
"""

RESPONDER = r"""
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    data, peer = server.recvfrom(512)
    if data == b"end":
        break
    if len(data) > 12:
        server.sendto(data[:2] + b"\x84\x00" + data[4:6] + b"\0\1\0\0\0\0"
                      + data[12:data.index(b"\0", 12) + 5]
                      + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1", peer)
"""

NODE = r"""
const net = require('net'), dgram = require('dgram');
const server = net.createServer(c => c.end('hello'));
server.listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1');
  client.on('data', () => {});
  client.on('close', () => {
    server.close();
    const refused = net.connect(server.address() ? 1 : +process.argv[2], '127.0.0.1');
    refused.on('error', () => {
      const receiver = dgram.createSocket('udp4');
      receiver.on('message', () => { receiver.close(); });
      receiver.bind(0, '127.0.0.1', () => {
        const sender = dgram.createSocket('udp4');
        sender.send('x', receiver.address().port, '127.0.0.1', () => sender.close());
      });
    });
  });
});
"""

NGINX = """
daemon off;
worker_processes 2;
pid %(dir)s/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path %(dir)s/t1; proxy_temp_path %(dir)s/t2; fastcgi_temp_path %(dir)s/t3;
  uwsgi_temp_path %(dir)s/t4; scgi_temp_path %(dir)s/t5;
  server { listen 127.0.0.1:%(A)s; listen [::1]:%(A)s; location / { return 200 "ok"; } }
  server { listen 127.0.0.1:%(B)s reuseport; location / { proxy_pass http://127.0.0.1:%(A)s; } }
  server { listen 127.0.0.1:%(C)s; location / { proxy_pass http://127.0.0.1:1; } }
}
"""

# name: (programs it needs, script)
SCENARIOS = {
    "http.server": ("python3 curl", """
        python3 -m http.server --bind 127.0.0.1 --directory "$DIR/empty" $A >/dev/null 2>&1 &
        server=$!
        soon curl -s "http://127.0.0.1:$A/"
        curl -s "http://localhost:$A/" >/dev/null
        curl -s --local-port $B "http://127.0.0.1:$A/" >/dev/null
        curl -s "http://127.0.0.1:$C/" && exit 1
        kill $server; wait
        exit 0"""),
    "nginx": ("nginx curl", """
        nginx -p "$DIR" -c "$DIR/nginx.conf" &
        server=$!
        soon curl -sf "http://127.0.0.1:$A/"
        for i in 1 2 3 4 5; do curl -sf "http://127.0.0.1:$B/" >/dev/null || exit 1; done
        curl -sf "http://[::1]:$A/" >/dev/null || exit 1
        curl -sf "http://127.0.0.1:$C/" >/dev/null && exit 1 # nobody behind that proxy
        nginx -p "$DIR" -c "$DIR/nginx.conf" -t 2>/dev/null
        kill -QUIT $server; wait
        exit 0"""),
    "redis": ("redis-server redis-cli redis-benchmark", """
        redis-server --port $A --bind 127.0.0.1 ::1 --save "" --dir "$DIR" >/dev/null &
        soon redis-cli -p $A ping
        redis-benchmark -p $A -n 500 -c 20 -t ping,set -q >/dev/null || exit 1
        redis-server --port $A --bind 127.0.0.1 --save "" --dir "$DIR" >/dev/null # in use
        redis-cli -p $A shutdown nosave; wait
        exit 0"""),
    "ssh": ("ssh ssh-keygen sshd", """
        ssh-keygen -q -t ed25519 -N "" -f "$DIR/host" && ssh-keygen -q -t ed25519 -N "" -f "$DIR/user" || exit 1
        cp "$DIR/user.pub" "$DIR/authorized"
        # In mounts of its own: no host needs its user or its folder for us.
        unshare -m sh -c 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd || exit 1
            cp /etc/passwd "$DIR/passwd"
            grep -q ^sshd: "$DIR/passwd" || echo "sshd:x:65533:65534::/run/sshd:/bin/false" >>"$DIR/passwd"
            chmod 644 "$DIR/passwd" && mount --bind "$DIR/passwd" /etc/passwd
            exec "$SSHD" -D -e -p "$A" -f /dev/null -h "$DIR/host" -o ListenAddress=127.0.0.1 \\
                -o UsePAM=no -o PidFile=none -o StrictModes=no -o PermitRootLogin=yes \\
                -o AuthorizedKeysFile="$DIR/authorized"' 2>"$DIR/sshd.log" &
        server=$!
        log() { ssh -F /dev/null -p $A -i "$DIR/user" -o BatchMode=yes -o StrictHostKeyChecking=no \\
                -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"; }
        soon log root@127.0.0.1 true
        log -o ExitOnForwardFailure=yes -L $B:127.0.0.1:$A root@127.0.0.1 true || exit 1
        log -o ExitOnForwardFailure=yes -R $C:127.0.0.1:$A root@127.0.0.1 true || exit 1
        kill $server; wait
        exit 0"""),
    "node": ("node", 'node "$DIR/node.js" $A'),
    "iperf3-tcp": ("iperf3", """
        iperf3 -s -1 -B 127.0.0.1 -p $A >/dev/null &
        soon iperf3 -c 127.0.0.1 -p $A -n 1M -P 2
        wait"""),
    "iperf3-udp": ("iperf3", """
        iperf3 -s -1 -B 127.0.0.1 -p $A >/dev/null &
        soon iperf3 -u -c 127.0.0.1 -p $A -b 10M -n 100K
        wait"""),
    "dig": ("dig python3", """
        dig @127.0.0.1 -p $B +tries=2 +time=1 portsnoop.example >/dev/null # nobody there
        python3 "$DIR/responder.py" $A &
        soon dig @127.0.0.1 -p $A +tries=1 +time=1 portsnoop.example
        dig @127.0.0.1 -p $A +tcp +tries=1 +time=1 portsnoop.example >/dev/null # refused
        dig @127.0.0.1 -p $A -b "127.0.0.1#$C" +tries=1 +time=1 portsnoop.example >/dev/null || exit 1
        python3 -c 'import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"end", ("127.0.0.1", int(sys.argv[1])))' $A
        wait"""),
    "getent": ("getent", "getent ahosts localhost >/dev/null; getent ahostsv6 localhost >/dev/null; getent ahostsv4 127.0.0.1 >/dev/null"),
    "perl": ("perl", r"""
        perl -MIO::Socket::INET -e '
            my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", ReuseAddr => 1) or die;
            my @pids;
            for (1 .. 3) {
                my $pid = fork;
                if (!$pid) { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $server->sockport) or die; exit }
                push @pids, $pid;
            }
            $server->accept for 1 .. 3;
            waitpid $_, 0 for @pids;
            IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => $server->sockport) and die;'"""),
    "bash": ("bash", "bash -c 'exec 3<>/dev/tcp/127.0.0.1/$A' 2>/dev/null; "
                     "bash -c 'echo x >/dev/udp/127.0.0.1/$A'; exit 0"),
    "asyncio": ("python3", 'python3 "$DIR/streams.py"'),
}

# These may find their answer without any socket that has a port.
QUIET = {"getent"}

ASYNCIO = r"""
import asyncio, threading, socket
async def serve(reader, writer):
    writer.close()
async def main():
    server = await asyncio.start_server(serve, ["127.0.0.1", "::1"], 0)
    for one in server.sockets:
        await asyncio.gather(*(asyncio.open_connection(*one.getsockname()[:2]) for _ in range(5)))
    try:
        await asyncio.start_server(serve, *server.sockets[0].getsockname()[:2])
    except OSError:
        pass
asyncio.run(main())
def claim():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0)); one.listen()
        socket.create_connection(one.getsockname()).close()
threads = [threading.Thread(target=claim) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
"""


def free_ports(count):
    """Ports that are free now in TCP and UDP, for v4 and v6; outside of the pool,
    so that no connect of somebody else takes one before we do."""
    found = []
    for port in range(20000 + os.getpid() % 5000, 32000):
        socks = []
        try:
            for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    sock = socket.socket(family, kind)
                    socks.append(sock)
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind((any_address, port))
            found.append(port)
        except OSError:
            pass
        finally:
            for sock in socks:
                sock.close()
        if len(found) == count:
            return found
    raise compare.Broken("no free ports between 20000 and 32000")


def find_program(name):
    if name == "sshd":
        return os.environ.get("SSHD") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    return shutil.which(name)


def scenario_run(name, folder):
    """(report, None) or (None, why it was skipped)."""
    needs, script = SCENARIOS[name]
    missing = [one for one in ["strace"] + needs.split() if not find_program(one)]
    if missing:
        return None, f"not installed: {', '.join(missing)}"
    home = os.path.join(folder, name)
    os.makedirs(os.path.join(home, "empty"))
    ports = dict(zip("ABC", map(str, free_ports(3))))
    for file, text in (("node.js", NODE), ("responder.py", RESPONDER), ("streams.py", ASYNCIO),
                       ("nginx.conf", NGINX % dict(ports, dir=home))):
        with open(os.path.join(home, file), "w", encoding="utf-8") as output:
            output.write(text)
    witness = os.path.join(folder, f"{name}.strace")
    environment = dict(os.environ, DIR=home, SSHD=find_program("sshd") or "", **ports)
    process = subprocess.Popen(["strace", "-o", witness, *strace_oracle.OPTIONS, "sh", "-c", PRELUDE + script],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=environment, start_new_session=True)
    report = compare.Report(name)
    try:
        words = process.communicate(timeout=SECONDS)[1].decode(errors="replace")
        if process.returncode:
            report.result = "failed"
            report.reason = f"the programs failed (status {process.returncode}): {words.strip()[-300:]}"
    except subprocess.TimeoutExpired:
        report.result, report.reason = "failed", f"the programs did not end within {SECONDS} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with open(witness, encoding="utf-8", errors="replace") as text:
        report.lines = strace_oracle.claims(name, text.read())
    return report, None


def chosen_ports(events, pids):
    """What the kernel chose must be a port of the pool: texts of what is not."""
    problems = []
    for event in events:
        record = compare.seen_from(event)
        if not record or record["kind"] != compare.CALL or record.get("pid") not in pids:
            continue
        pool = compare.get(event, "portsnoop.class.pool")
        if record.get("origin") == "kernel" and record.get("claimed") and "error" not in record:
            port = record.get("local.port")
            if not port or not pool or not pool[0] <= port <= pool[1]:
                problems.append(f"the kernel chose {port}, the pool is {pool}: {compare.show(record)}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tier", default=os.environ.get("TIER"))
    parser.add_argument("--keep", metavar="DIR", help="leave the traces there")
    parser.add_argument("--strace-only", action="store_true", help="show what strace saw")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}, expected one of: {', '.join(SCENARIOS)}")

    tracer.need_root("oracle")
    tracer.terminate_by_exception()
    tally = compare.Tally()
    names = options.names or list(SCENARIOS)
    folder = options.keep or tempfile.mkdtemp(prefix="portsnoop-oracle.")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)  # servers drop to other users
    try:
        if options.strace_only:
            for name in names:
                report, why = scenario_run(name, folder)
                print(f"{name}: {why or report.reason or 'ok'}")
                for line in report.lines if report else []:
                    print("   ", compare.show(line))
            return 0
        with tracer.Tracer(os.path.join(folder, "trace.ndjson"), options.tier) as running:
            reports = [(name, *scenario_run(name, folder)) for name in names]
            events = running.stop()
        by_pid, uncovered = compare.seen_by_pid(events), compare.not_covered(events)
        for problem in compare.check_stream(events):
            tally.add("not ok", "stream", problem)
        for name, report, why in reports:
            if not report:
                tally.add("skip", name, why)
                continue
            state, reason = compare.verdict(report, by_pid, uncovered, False)
            wrong = chosen_ports(events, report.pids()) if state == "ok" else []
            if wrong:
                state, reason = "not ok", "\n    ".join(wrong)
            count = sum(1 for line in report.lines if line["call"] != "process")
            if state == "ok" and not count and name not in QUIET:
                state, reason = "not ok", "strace saw no claim: nothing was proven"
            tally.add(state, f"{name} ({count} calls)", reason)
    except compare.Broken as error:
        tally.add("not ok", "oracle", str(error))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
