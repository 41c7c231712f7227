# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A receiver of OTLP/HTTP that takes what the official protobuf definitions take, and nothing else.

    receiver = Receiver(definitions)       listens on 127.0.0.1, receiver.url
    receiver.plan(answer(503, retry=1))    what it says to the next requests, instead of "taken"
    receiver.refuses = ID                  400 for a request with this event
    receiver.stop(), receiver.start()      as a server that is restarted: on the same port
    receiver.records                       [(resource, scope, log record)] in the order of arrival

`definitions` is the folder with Debian's python3-opentelemetry-proto. JSON and protobuf are taken.
"""

import gzip
import os
import sys
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# `keep`: the records are kept all the same, as by a server that dies right before it answers.
Answer = namedtuple("Answer", "status body headers keep hang_up")


def answer(status, body=b"", retry=None, keep=False):
    return Answer(status, body, {} if retry is None else {"Retry-After": str(retry)}, keep, False)


def hang_up(keep):
    return Answer(0, b"", {}, keep, True)


def definitions_load(folder):
    """(class of a request, the JSON parser)"""
    # The compiled part is made for the Python of another release.
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    sys.path.insert(0, os.path.join(folder, "usr", "lib", "python3", "dist-packages"))
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    return logs_service_pb2.ExportLogsServiceRequest, json_format


class Receiver:
    def __init__(self, definitions, context=None):
        self.request, self.json_format = definitions_load(definitions)
        self.context = context
        self.records, self.requests, self.wrong, self.answers = [], [], [], []
        self.refuses = None  # event.id of a record that it does not like
        self.lock = threading.Lock()
        self.port, self.server = 0, None
        self.start()
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}/v1/logs"

    def plan(self, *answers):
        with self.lock:
            self.answers += answers

    def take(self, headers, body):
        """What to answer."""
        try:
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if headers.get("Content-Type") == "application/x-protobuf":
                request = self.request.FromString(body)
            else:
                # A member that is not in the definitions is an error.
                request = self.json_format.Parse(body.decode("utf-8"), self.request())
        except Exception as error:  # pylint: disable=broad-except
            with self.lock:
                self.wrong.append(f"{error}: {body[:500]!r}")
            return answer(400)
        if self.refuses and any(attribute.value.string_value == self.refuses for part in request.resource_logs
                                for scope in part.scope_logs for record in scope.log_records
                                for attribute in record.attributes):
            return answer(400, b"I do not like it")
        with self.lock:
            said = self.answers.pop(0) if self.answers else answer(200, b"{}", keep=True)
            self.requests.append((dict(headers), said.status))
            if said.keep:
                self.records += [(part.resource, scope.scope, record) for part in request.resource_logs
                                 for scope in part.scope_logs for record in scope.log_records]
        return said

    def start(self):
        receiver, connections = self, []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                connections.append(self.connection)

            def do_POST(self):
                said = receiver.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                if said.hang_up:
                    self.close_connection = True
                    return
                kind = self.headers.get("Content-Type")
                body = b"" if kind == "application/x-protobuf" else said.body
                self.send_response(said.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", kind)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        if self.context:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        self.server.connections = connections
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.server.connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass

    def seen(self):
        with self.lock:
            return list(self.records)
