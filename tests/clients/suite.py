"""The tests of tests/clients, one after another. Each that passed says so on a line of its own; tests/run counts."""

import html
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

import examples
from daemon import ROOT, Daemon, Receiver, databases

HERE = Path(__file__).resolve().parent
PLACE = ROOT / "target/clients"
ADDRESS = "https://desk.example.org"


def run(*command, cwd=PLACE, **more):
    """A program that must do well. Returns what it says."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.returncode}\n{done.stdout[-20000:]}"
    return done.stdout


def documented(language):
    """The command of deploy/CLIENTS.md that makes a client, as words."""
    text = (ROOT / "deploy/CLIENTS.md").read_text()
    section = re.search(rf"^## {language}$(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    [command] = [block for block in blocks if "/openapi" in block]
    return shlex.split(command)


def test_both_documents_are_valid():
    """Both documents, to two validators."""
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

    validators = {"openapi.json": OpenAPIV31SpecValidator, "openapi-3.0.json": OpenAPIV30SpecValidator}
    for name, validator in validators.items():
        file = ROOT / "openapi" / name
        validator(json.loads(file.read_text())).validate()
        said = run("validate-api", file)
        assert '"valid": true' in said, said


def test_the_typescript_client_tells_the_story():
    """Made from what a daemon serves, compiled by the strictest tsc, and used."""
    # npx takes what is installed here.
    work = PLACE
    for name in ["tsconfig.json", "story.ts"]:
        shutil.copy(HERE / name, work)
    with Daemon() as daemon:
        run(*[word.replace(ADDRESS, daemon.url) for word in documented("TypeScript")], cwd=work)
    run("tsc", "--project", work)
    for database in databases():
        with Daemon(database) as daemon:
            run("node", work / "made/story.js", daemon.url, daemon.token, timeout=300)


def test_the_python_client_tells_the_story():
    """Made from what a daemon serves, without a word of warning, and used."""
    work = PLACE / "python"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with Daemon() as daemon:
        words = [word.replace(ADDRESS, daemon.url) for word in documented("Python")]
        words = [str(ROOT / word) if word.startswith("deploy/") else word for word in words]
        said = run(*words, cwd=work)
    assert said == "Generating postroom_client\n", said
    for database in databases():
        with Daemon(database) as daemon:
            run("python", "-W", "error", HERE / "story.py", work, daemon.url, daemon.token, timeout=300)


def test_other_generators_take_the_documents():
    """openapi-generator finds nothing to say of either, and makes a Python client that compiles; in the long run orval
    makes one in TypeScript."""
    import openapi_generator_cli

    program = ["java", "-jar", Path(openapi_generator_cli.__file__).parent / "openapi-generator.jar"]
    work = PLACE / "others"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in ["openapi.json", "openapi-3.0.json"]:
        said = run(*program, "validate", "--input-spec", ROOT / "openapi" / name)
        assert "No validation issues detected" in said, said
    document = ROOT / "openapi/openapi-3.0.json"
    run(*program, "generate", "--generator-name", "python", "--input-spec", document, "--output", work / "python")
    run("python", "-W", "error", "-m", "compileall", "-q", "-f", work / "python/openapi_client")
    if os.environ.get("POSTROOM_TEST_LONG") == "1":
        made = work / "orval.ts"
        run("npx", "orval", "--input", ROOT / "openapi/openapi.json", "--output", made, cwd=PLACE / "orval")
        assert "listConversations" in made.read_text()


def test_whatever_schemathesis_sends():
    """No fault of ours, and no answer that the document does not tell of: 13,000 requests from every corner of each
    schema. The long run lets it invent and combine requests on both databases, as an agent too."""
    is_long = os.environ.get("POSTROOM_TEST_LONG") == "1"
    for database in databases() if is_long else ["sqlite"]:
        for caller in ["administrator", "agent"] if is_long else ["administrator"]:
            with Daemon(database) as daemon:
                furnish(daemon)
                token = daemon.token
                if caller == "agent":
                    token = daemon.new_token("--agent", "1")
                said = run(
                    "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{daemon.url}/openapi.json",
                    *(["--phases", "coverage,fuzzing,stateful", "--max-examples", "20"] if is_long
                      else ["--phases", "coverage"]),
                    env={**os.environ, "POSTROOM_TOKEN": token, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")},
                )
                cases = re.search(r"(\d+) generated", said)
                assert cases and int(cases[1]) >= 3000, said
                # A request that no program may send is no fault of the daemon's.
                faults = [line for line in daemon.log if " ERROR " in line and "request parse error" not in line]
                assert not faults, faults
                print(f"clients: schemathesis on {database} as {caller}: {cases[1]} requests")


def test_every_example_of_the_document_does_what_it_says():
    """Sent to a desk that has what it names, each is answered by a success that fits its schema."""
    for database in databases():
        with Daemon(database, server__public_url="https://desk.example.org") as daemon:
            sent = examples.each(daemon)
            print(f"clients: {sent} examples on {database}")


def test_webhooks_verify_by_the_libraries_of_the_standard():
    """What a receiver got, to the standard's own libraries of PyPI and npm: right as it came, and by either secret while
    it is rotated; wrong with a byte changed, under another id, or with another secret."""
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    for database in databases():
        with Receiver() as receiver, Daemon(database, **receiver.settings()) as daemon:
            hook = {"name": "hook", "url": receiver.url, "event_types": ["tag.*"], "body": "full"}
            hook = daemon.make("/api/v1/webhooks", hook)
            daemon.make("/api/v1/tags", {"name": "größer"})
            calls = [(*receiver.next(), [hook["secret"]])]
            rotated = daemon.make(f"/api/v1/webhooks/{hook['id']}/rotate-secret", {"overlap_hours": 24})
            daemon.make("/api/v1/tags", {"name": "second"})
            calls.append((*receiver.next(), [hook["secret"], rotated["secret"]]))
        for headers, body, secrets in calls:
            for secret in secrets:
                assert Webhook(secret).verify(body, headers)["type"] == "tag.created"
                run("node", HERE / "verify.mjs", secret, json.dumps(headers), body.decode(), cwd=PLACE)
                spoiled = [
                    (secret, headers, body.replace(b"tag.created", b"tag.deleted")),
                    (secret, {**headers, "webhook-id": "msg_other"}, body),
                    ("whsec_" + "A" * 43 + "=", headers, body),
                ]
                for other, named, text in spoiled:
                    try:
                        Webhook(other).verify(text, named)
                        raise AssertionError("PyPI's library takes what is not ours")
                    except WebhookVerificationError:
                        pass
                    command = ["node", HERE / "verify.mjs", other, json.dumps(named), text.decode()]
                    assert subprocess.run(command, cwd=PLACE, stderr=subprocess.DEVNULL).returncode == 1


def test_the_recipes_do_what_they_say():
    """The commands of /docs/recipes.html, as they are served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for database in databases():
        with Receiver() as chat:
            hooks = {**chat.settings(), "webhooks__ports": f"{port},1"}
            with Daemon(database, **hooks) as daemon:
                cook(daemon, chat, port)


def cook(daemon, chat, port):
    with urllib.request.urlopen(f"{daemon.url}/docs/recipes.html") as answer:
        page = answer.read().decode()
    blocks = re.findall(r'<pre><code class="language-(sh|python)">(.*?)</code></pre>', page, re.S)
    shell = [html.unescape(text) for kind, text in blocks if kind == "sh"]
    [receiver] = [html.unescape(text) for kind, text in blocks if kind == "python"]
    setup, form_token, form, warehouse, exported, history, webhook, alarm, over = shell
    assert setup.count("export") == 3
    work = daemon.place / "work"
    work.mkdir()
    environment = {
        **os.environ, "POSTROOM": daemon.url, "TOKEN": daemon.token, "MAILBOX": "1", "PORT": str(port),
        "RECEIVER": f"http://127.0.0.1:{port}/", "CHAT": chat.url,
    }

    def does(commands):
        return run("bash", "-euo", "pipefail", "-c", commands, cwd=work, env=environment)

    def rows():
        kept = {}
        for line in (work / "conversations.ndjson").read_text().splitlines():
            kept[json.loads(line)["id"]] = json.loads(line)
        return kept

    furnish(daemon)

    does(form_token)
    asked = json.loads(does(form))
    assert set(asked) == {"id"} and json.loads(does(form)) == asked, asked
    made = daemon.ask("GET", f"/api/v1/conversations/{asked['id']}")[2]
    assert (made["subject"], made["channel"]) == ('Question of Ada "the" Lovelace', "form"), made

    for number in range(110):
        ada = {"customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where is it?"}}
        daemon.make("/api/v1/conversations", {"mailbox_id": 1, "subject": f"Order {number}", **ada})
    does(warehouse)
    assert len(rows()) == 112, len(rows())
    daemon.ask("PATCH", f"/api/v1/conversations/{asked['id']}", {"priority": "urgent"})
    daemon.ask("DELETE", "/api/v1/conversations/5")
    does(warehouse)
    assert rows()[asked["id"]]["priority"] == "urgent"
    assert rows()[5]["deleted_at"], rows()[5]
    assert len(rows()) == 112, len(rows())

    does(exported)
    brought = does(history)
    assert does(history) == brought and brought.startswith("4711 is conversation "), brought
    old = daemon.ask("GET", f"/api/v1/conversations/{brought.split()[-1]}")[2]
    assert (old["status"], old["message_count"], old["tags"]) == ("closed", 3, ["lamps"]), old
    assert (old["created_at"][:10], old["closed_at"][:10], old["last_message_at"][:10]) == (
        "2016-03-01", "2016-03-05", "2016-03-02"), old

    does(webhook)
    (work / "receiver.py").write_text(receiver)
    log = open(work / "receiver.log", "wb")
    listens = subprocess.Popen([sys.executable, "receiver.py"], cwd=work, env=environment, stdout=log, stderr=log)
    try:
        told = does(alarm)
        assert does(alarm) == told
        said = json.loads(chat.next()[1])["text"]
        assert said == f"New: {daemon.url}/api/v1/conversations/{told.strip()}", said
        forged = urllib.request.Request(environment["RECEIVER"], b"{}", {
            "webhook-id": "1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"})
        try:
            urllib.request.urlopen(forged)
            raise AssertionError("a forged call is believed")
        except urllib.error.HTTPError as refused:
            assert refused.code == 401
    finally:
        listens.terminate()
        listens.wait()
        log.close()
    assert does(over).strip() == '"closed"'
    assert daemon.ask("GET", "/api/v1/conversations?count=true")[2]["page"]["total"] >= 112


def furnish(daemon):
    """Something that low numbers name."""
    sink = {"source": {"type": "push"}, "delivery": {"type": "sink"}}
    mailbox = daemon.make("/api/v1/mailboxes", {"name": "Support", "address": "support@example.org", **sink})
    agent = {"name": "Amy", "email": "amy@example.org", "grants": [{"mailbox_id": mailbox["id"], "level": "manage"}]}
    daemon.make("/api/v1/agents", agent)
    ada = {"customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where is it?"}}
    daemon.make("/api/v1/conversations", {"mailbox_id": mailbox["id"], "subject": "Late order", **ada})


def main():
    """All of them, or those whose names hold a word that is given."""
    wanted = sys.argv[1:] or [""]
    tests = [test for name, test in globals().items() if name.startswith("test_") and any(w in name for w in wanted)]
    failed = 0
    for test in tests:
        name, begun = test.__name__.removeprefix("test_"), time.monotonic()
        try:
            test()
            print(f"clients: {name} passed ({time.monotonic() - begun:.1f} s)")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            traceback.print_exc()
            print(f"clients: {name} FAILED")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
