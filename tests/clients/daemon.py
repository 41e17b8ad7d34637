"""A postroom of its own for each test: an empty desk on a free port of loopback, gone with the test."""

import http.server
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "target/debug/postroom"
NUMBERS = itertools.count()


def databases():
    """Which databases are at hand."""
    return ["sqlite", "postgres"] if os.environ.get("POSTROOM_TEST_POSTGRES") else ["sqlite"]


class Receiver:
    """A receiver of webhooks on loopback. It takes everything."""

    def __enter__(self):
        self.calls = queue.Queue()
        calls = self.calls

        class Takes(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                calls.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def settings(self):
        """What lets a daemon call it."""
        return {
            "webhooks__allow_http": "true",
            "webhooks__ports": f"{self.server.server_port},1",
            "webhooks__allow_networks": "127.0.0.0/8",
        }

    def next(self):
        """The next call: its headers, whose names are in lower case, and its body."""
        return self.calls.get(timeout=120)

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Daemon:
    """The daemon as its own process, with a token that may do everything."""

    def __init__(self, database="sqlite", **settings):
        self.place = Path(tempfile.mkdtemp(prefix="pr-clients-"))
        self.settings = {
            "POSTROOM__STORAGE__DATA_DIR": str(self.place / "data"),
            "POSTROOM__SERVER__LISTEN": "127.0.0.1:0",
            # Tests ask faster than anybody.
            "POSTROOM__LIMITS__REQUESTS_PER_MINUTE": "0",
            "POSTROOM__WEBHOOKS__PORTS": "1,2",
        }
        self.database = None
        if database == "postgres":
            self.settings["POSTROOM__DATABASE__URL"] = self.make_database()
        self.settings.update({f"POSTROOM__{name.upper()}": value for name, value in settings.items()})
        self.environment = {**os.environ, **self.settings}

    def make_database(self):
        url = os.environ["POSTROOM_TEST_POSTGRES"]
        self.server = url.rsplit("/", 1)[0]
        self.database = f"clients_{os.getpid()}_{next(NUMBERS)}"
        self.psql(f"CREATE DATABASE {self.database} TEMPLATE template0 ENCODING 'UTF8'")
        return f"{self.server}/{self.database}"

    def psql(self, statement):
        command = ["psql", "--quiet", "--no-psqlrc", "--command", statement, f"{self.server}/postgres"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def __enter__(self):
        self.process = subprocess.Popen(
            [PROGRAM, "serve"], env=self.environment, cwd=self.place, stderr=subprocess.PIPE, text=True
        )
        self.log, listening = [], queue.Queue()

        def listen():
            for line in self.process.stderr:
                self.log.append(line)
                if found := re.search(r"listens on (http://127\.0\.0\.1:\d+)", line):
                    listening.put(found[1])
            listening.put(None)

        self.reader = threading.Thread(target=listen, daemon=True)
        self.reader.start()
        try:
            self.url = listening.get(timeout=120)
            assert self.url, "the daemon does not start:\n" + "".join(self.log)
            self.token = self.new_token()
        except BaseException:
            self.__exit__()
            raise
        return self

    def new_token(self, *arguments):
        """A token, by the command."""
        return self.run("token", "create", "--name", "test", *arguments).strip()

    def run(self, *arguments):
        """A command of the program. Returns what it prints."""
        done = subprocess.run([PROGRAM, *arguments], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, method, path, body=None, content_type="application/json", **headers):
        """A request with the token. Returns status, headers and what was answered."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", content_type)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
                return answer.status, answer.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, json.loads(refused.read() or b"null")

    def make(self, path, body, **more):
        """What a POST makes."""
        status, _, made = self.ask("POST", path, body, **more)
        assert 200 <= status < 300, (path, status, made)
        return made

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        if self.database:
            self.psql(f"DROP DATABASE {self.database} WITH (FORCE)")
        shutil.rmtree(self.place, ignore_errors=True)
