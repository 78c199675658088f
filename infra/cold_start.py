#!/usr/bin/env python3
"""How long a function takes from the start of its process to its first answer.

    infra/cold_start.py --endpoint http://127.0.0.1:4566 --dynamodb http://127.0.0.1:8000 target/lambda

Each run starts a new process behind a Runtime API of its own, as Lambda would, and invokes it once cold and a few times
warm. The store has data: `--series` series that were pushed through the ingest function, some of them in blocks made by
the compactor. Needs an S3 and a DynamoDB to talk to (LocalStack will do) and nothing else but this Python.
"""

import argparse
import base64
import http.server
import json
import os
import pathlib
import queue
import resource
import statistics
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

API = "/2018-06-01/runtime/"


class RuntimeApi(http.server.ThreadingHTTPServer):
    """The part of the Lambda Runtime API that a function needs: next, response, error."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events = queue.Queue()
        self.answers = queue.Queue()
        self.first_next = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A function that is killed while it waits for its next event resets the connection."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are sent apart; the body must not wait for the headers to be acknowledged.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.server.first_next.is_set():
            self.server.first_next.at = time.perf_counter()
            self.server.first_next.set()
        event, timeout = self.server.events.get()
        body = json.dumps(event).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "00000000-0000-0000-0000-000000000001")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + timeout) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        # The runtime streams its answers in chunks.
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.answers.put((time.perf_counter(), self.path.rsplit("/", 1)[-1], body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Function:
    """A process behind its Runtime API."""

    def __init__(self, binary, environment):
        self.api = RuntimeApi()
        host, port = self.api.server_address
        self.log = open(os.environ.get("FUNCTION_LOG", os.devnull), "ab")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [binary],
            env={**environment, "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}"},
            stdout=self.log,
            stderr=self.log,
        )

    def invoke(self, event, timeout=30):
        began = time.perf_counter()
        self.api.events.put((event, timeout))
        ended, kind, body = self.api.answers.get(timeout=timeout + 5)
        if kind != "response":
            raise SystemExit(f"the function failed: {body.decode()}")
        return json.loads(body), (ended - began) * 1000, (ended - self.started) * 1000

    def init_ms(self):
        self.api.first_next.wait(30)
        return (self.api.first_next.at - self.started) * 1000

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.api.shutdown()
        self.api.server_close()
        self.log.close()


def call(url, method, body=b"", headers=()):
    request = urllib.request.Request(url, data=body, method=method)
    service = "dynamodb" if "dynamodb" in dict(headers).get("X-Amz-Target", "").lower() else "s3"
    request.add_header(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0",
    )
    request.add_header("X-Amz-Date", "20260101T000000Z")
    for name, value in headers:
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if "BucketAlreadyOwnedByYou" in text or "ResourceInUse" in text:
            return b""
        raise SystemExit(f"{method} {url}: {error}: {text}") from None


def make_stores(options):
    call(f"{options.endpoint}/{options.bucket}", "PUT")
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    table = {
        "TableName": options.table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    }
    headers = [("X-Amz-Target", "DynamoDB_20120810.CreateTable"), ("Content-Type", "application/x-amz-json-1.0")]
    call(options.dynamodb, "POST", json.dumps(table).encode(), headers)


def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def write_request(series, timestamps):
    """Remote write 1.0 of so many series, in snappy without compression."""
    body = b""
    for index in range(series):
        labels = {"__name__": "requests_total", "instance": f"10.0.0.{index % 4}:80", "job": "web", "path": f"/{index}"}
        message = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in labels.items())
        for at in timestamps:
            value = struct.pack("<d", float(index + at // 1000 % 1000))
            message += field(2, b"\x09" + value + b"\x10" + varint(at))
        body += field(1, message)
    packed = varint(len(body))
    for at in range(0, len(body), 60):
        part = body[at : at + 60]
        packed += bytes([len(part) - 1 << 2]) + part
    return packed


def web_event(method, path, query="", body=None):
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"} if body else {}
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept-encoding": "gzip", **headers},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "isBase64Encoded": body is not None,
    }
    return {**event, "body": base64.b64encode(body).decode()} if body else event


def fill(options, binary, environment):
    """Half an hour of samples, most of them in blocks, the last ones in the WAL."""
    now = int(time.time() * 1000)
    ingest = Function(binary("ingest"), environment)
    for minutes in range(30, 0, -1):
        instants = range(now - minutes * 60_000, now - (minutes - 1) * 60_000, 15_000)
        answer, _, _ = ingest.invoke(web_event("POST", "/api/v1/write", body=write_request(options.series, instants)))
        if answer["statusCode"] != 204:
            raise SystemExit(f"ingest: {answer}")
        if minutes == 10:
            # Late enough for what was pushed to be compacted, where the late bound is short.
            time.sleep(options.settle)
            compactor = Function(binary("compactor"), environment)
            compactor.invoke({"task": "compact", "work": "segments"})
            compactor.stop()
    ingest.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path, help="a folder with <name>/bootstrap or <name>")
    parser.add_argument("--endpoint", default="http://127.0.0.1:4566", help="of S3, SQS and the rest")
    parser.add_argument("--dynamodb", help="of DynamoDB, where it is another")
    parser.add_argument("--bucket", default="cold-start")
    parser.add_argument("--table", default="cold-start")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--settle", type=float, default=0, help="seconds to wait before compacting; 0: no blocks")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--memory", default="1769")
    parser.add_argument("--query", default="sum(rate(requests_total[5m]))")
    parser.add_argument("--filled", action="store_true", help="the store was filled before")
    options = parser.parse_args()
    options.dynamodb = options.dynamodb or options.endpoint

    def binary(name):
        path = options.binaries / name
        return path / "bootstrap" if path.is_dir() else path

    environment = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": options.endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": options.dynamodb,
        "AWS_LAMBDA_FUNCTION_NAME": "cold-start",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": options.memory,
        "FOXFIRE_BUCKET": options.bucket,
        "FOXFIRE_TABLE": options.table,
        "FOXFIRE_LATE_BOUND": "20s",
        "FOXFIRE_MIN_BLOCK_DURATION": "5s",
        "FOXFIRE_LOG_LEVEL": "warn",
    }
    make_stores(options)
    if not options.filled:
        fill(options, binary, environment)
    event = web_event("GET", "/api/v1/query", urllib.parse.urlencode({"query": options.query}))
    figures = {"start to ready": [], "start to first answer": [], "warm answer": []}
    for _ in range(options.runs):
        function = Function(binary("query"), environment)
        answer, _, first = function.invoke(event)
        if answer["statusCode"] != 200 or '"result":[{' not in answer["body"]:
            raise SystemExit(f"query: {answer}")
        figures["start to ready"].append(function.init_ms())
        figures["start to first answer"].append(first)
        figures["warm answer"].append(min(function.invoke(event)[1] for _ in range(5)))
        function.stop()
    for name, times in figures.items():
        print(f"{name:24} best {min(times):7.1f} ms  median {statistics.median(times):7.1f} ms  worst {max(times):7.1f} ms")
    print(f"{'peak memory':24} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:12.1f} MB")


if __name__ == "__main__":
    main()
