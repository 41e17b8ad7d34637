"""Every example of the document, sent to a desk that has what it names.

An example stands as it is, but for what only a desk knows: the numbers of its conversations and messages, its secrets,
and names that are taken there by the time it comes. An operation without an example is asked for as its path says."""

import base64
import hashlib
import hmac
import itertools
import json
import struct
import time
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

import jsonschema_rs

API = "/api/v1"
PASSWORD = "a pier in the fog"
SINK = {"source": {"type": "push"}, "delivery": {"type": "sink"}}
NUMBERS = itertools.count(1)
TOMORROW, LATER = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400)) for days in (1, 2))

# What can't be answered well here, and where it is.
ELSEWHERE = {
    "complete_authorization": "a provider of tests/it/oauth.rs sends its callers there",
    "complete_password_reset": "its secret comes by mail: tests/it/sign_in.rs",
    "cancel_job": "a job of one conversation may be through before: tests/it/bulk.rs",
    "stream_events": "it has no end: story.py, story.ts and tests/it/event_stream.rs",
    "get_round_trip": "a mail server is needed: tests/it/round_trips.rs",
    "get_mailbox_logo": "a picture is needed: tests/it/api",
}


def examples(operation):
    """Media type and value of each example of the body; of an operation without, nothing once."""
    content = operation.get("requestBody", {}).get("content", {})
    found = []
    for kind, body in content.items():
        values = [body["example"]] if "example" in body else [e["value"] for e in body.get("examples", {}).values()]
        assert values or kind == "application/octet-stream", f"{operation['operationId']}: {kind} has no example"
        found += [(kind, value) for value in values or ["A file"]]
    return found or [(None, None)]


def query(operation):
    """The examples of its parameters, all at once."""
    given = {}
    for parameter in operation.get("parameters", []):
        example = parameter.get("example", (parameter["schema"].get("examples") or [None])[0])
        if parameter["in"] == "query" and example is not None:
            given[parameter["name"]] = ",".join(map(str, example)) if isinstance(example, list) else str(example)
    return given


def code(uri):
    """A code of an authenticator (RFC 6238)."""
    secret = uri.split("secret=")[1].split("&")[0]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Desk:
    """A daemon, and what examples need there."""

    def __init__(self, daemon):
        self.daemon, self.make = daemon, daemon.make
        self.mailbox = self.make(f"{API}/mailboxes", {"name": "Shop", "address": "shop@example.org", **SINK})["id"]
        folder = daemon.place / "Maildir"
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
        read = {"name": "Read", "address": "read@example.org", "source": {"type": "maildir", "path": str(folder)}}
        self.read = self.make(f"{API}/mailboxes", {**read, "delivery": {"type": "sink"}})["id"]
        imap = {"type": "imap", "host": "127.0.0.1", "port": 1, "security": "none", "username": "x", "auth": "oauth2"}
        imap = {"name": "Imap", "address": "imap@example.org", "source": imap, "delivery": {"type": "sink"}}
        self.imap = self.make(f"{API}/mailboxes", imap)["id"]
        # They sign in by their example.
        self.amy = self.agent("amy@example.org")
        self.accept(self.amy)

    def ask(self, method, path, body=None, **more):
        status, _, answer = self.daemon.ask(method, API + path, body, **more)
        assert status < 300, (method, path, status, answer)
        return answer

    def agent(self, email=None):
        new = {"name": "Amy", "email": email or f"amy{next(NUMBERS)}@example.org"}
        return self.make(f"{API}/agents", new)["id"]

    def invitation(self, agent):
        said = self.daemon.run("agent", "invite", str(agent))
        return next(word for word in said.split() if word.startswith("pr_once_"))

    def accept(self, agent):
        """A session of an agent's, and what it is called."""
        body = {"token": self.invitation(agent), "password": PASSWORD}
        return self.make(f"{API}/invitations/accept", body)

    def conversation(self, **more):
        ada = {"customer": {"email": f"ada{next(NUMBERS)}@example.org"}, "message": {"kind": "inbound", "text": "Hello?"}}
        new = {"mailbox_id": self.mailbox, "subject": "Late order", "tags": ["new"], **ada, **more}
        return self.make(f"{API}/conversations", new)["id"]

    def messages(self, conversation):
        return [row["id"] for row in self.ask("GET", f"/conversations/{conversation}/messages")["data"]]

    def message(self, conversation=None, **more):
        body = {"kind": "reply", "text": "It left", **more}
        return self.make(f"{API}/conversations/{conversation or self.conversation()}/messages", body)["id"]

    def mail(self):
        """A mail that came in: the ledger's row, its message and its conversation."""
        number = next(NUMBERS)
        raw = f"From: Eve <eve@example.net>\r\nTo: shop@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@m>\r\n\r\nHi\r\n"
        return self.make(f"{API}/mailboxes/{self.mailbox}/inbound", raw.encode(), content_type="message/rfc822")

    def transfer(self):
        at = self.conversation()
        self.message(at, kind="note", text="Two matters.")
        return self.make(f"{API}/messages/{self.messages(at)[-1]}/move", {"to": "new"})["id"]

    def webhook(self):
        # An address of nobody's, at a port where none may be called.
        hook = {"name": f"h{next(NUMBERS)}", "url": "https://192.88.98.7:2/"}
        return self.make(f"{API}/webhooks", hook)["id"]

    def watchdog(self):
        """One that is alarmed: somebody has waited for an answer since long ago."""
        waits = self.conversation(imported=True, created_at="2026-01-01T08:00:00Z", status="open")
        watchdog = self.made("watchdogs", q=f"id:{waits}", wait_seconds=60)
        while self.ask("GET", f"/watchdogs/{watchdog}")["state"] != "alarmed":
            time.sleep(0.05)
        return watchdog

    def notification(self, agent, token):
        """Something that an agent is notified of."""
        self.ask("PATCH", f"/conversations/{self.conversation()}", {"assignee_id": agent})
        while True:
            feed = self.daemon.ask("GET", f"{API}/notifications", Authorization=f"Bearer {token}")[2]
            if feed["data"]:
                return feed["data"][0]["id"]
            time.sleep(0.05)

    def made(self, noun, **body):
        return self.make(f"{API}/{noun}", {"name": f"{noun}{next(NUMBERS)}", **body})["id"]

    def id_of(self, noun, operation):
        """Something that the operation finds in its path."""
        match noun:
            case "conversations":
                return self.conversation()
            case "messages":
                return self.mail()["message_id"]
            case "mailboxes":
                return self.mailbox
            case "agents":
                return self.agent()
            case "attachments":
                return self.make(f"{API}/attachments?filename=a.txt", b"A file", content_type="text/plain")["id"]
            case "custom-fields":
                field = {"object": "customer", "key": f"k{next(NUMBERS)}", "type": "text", "title": "Plan"}
                return self.make(f"{API}/custom-fields", field)["id"]
            case "customers":
                return self.make(f"{API}/customers", {"name": "Ada"})["id"]
            case "jobs":
                select = {"select": {"ids": [self.conversation()]}, "patch": {"priority": "high"}}
                return self.make(f"{API}/conversations/bulk", select)["id"]
            case "roles":
                return self.made("roles", scopes=["conversations:read"])
            case "schedules":
                return self.made("schedules", time_zone="UTC")
            case "views":
                return self.made("views", q="is:open", visibility="everyone")
            case "watchdogs":
                return self.watchdog() if operation == "acknowledge_watchdog" else self.made("watchdogs", wait_seconds=900)
            case "tokens":
                return self.made("tokens", scopes=["conversations:read"])
            case "webhooks":
                return self.webhook()
            case "notifications":
                return None
            case "transfers":
                return self.transfer()
            case _:
                return self.made(noun)


def prepared(desk, operation, path, value):
    """Path, body and token of an example, with what it names in place."""
    name, noun, token = operation["operationId"], path.removeprefix(API).split("/")[1], None
    value = json.loads(json.dumps(value))
    ids = {}
    if "{id}" in path and noun != "me":
        ids["id"] = desk.id_of(noun, name)
    match name:
        case "create_agent":
            value["email"] = f"amy{next(NUMBERS)}@example.org"
        case "create_customer":
            value["addresses"][0]["email"] = f"ada{next(NUMBERS)}@example.net"
        case "create_mailbox" if value["source"]["type"] == "imap":
            # Nobody's server is called.
            for side in (value["source"], value["delivery"]):
                side.update(host="127.0.0.1", port=1)
        case "create_absence":
            # The example's own time goes by.
            value.update(starts_at=TOMORROW, ends_at=LATER)
        case "delete_absence":
            absence = {"starts_at": TOMORROW, "ends_at": LATER}
            ids["row"] = desk.make(f"{API}/agents/{ids['id']}/absences", absence)["id"]
        case "get_follower" | "put_follower" | "delete_follower":
            ids["row"] = desk.agent()
            desk.ask("PATCH", f"/agents/{ids['row']}", {"role": "admin"})
            if name == "get_follower":
                desk.ask("PUT", f"/conversations/{ids['id']}/followers/{ids['row']}")
        case "update_mailbox_routing":
            value["team_id"] = desk.made("teams")
        case "create_webhook":
            value["url"] = "https://192.88.98.7:2/"
        case "accept_link":
            answered = desk.mail()
            desk.message(answered["conversation_id"])
            sent = desk.ask("GET", f"/conversations/{answered['conversation_id']}/messages")["data"]
            sent = next(row["internet_message_id"] for row in sent if row["kind"] == "reply")
            knock = f"From: Mallory <m@elsewhere.example>\r\nSubject: Re\r\nMessage-ID: <{next(NUMBERS)}@k>\r\nIn-Reply-To: {sent}\r\n\r\nHi\r\n"
            knock = desk.make(f"{API}/mailboxes/{desk.mailbox}/inbound", knock.encode(), content_type="message/rfc822")
            ids["id"], value["related_id"] = knock["conversation_id"], answered["conversation_id"]
        case "merge_conversation":
            value["into"] = desk.conversation()
        case "split_conversation":
            for _ in value["message_ids"]:
                desk.message(ids["id"], kind="note", text="Two matters.")
            value["message_ids"] = desk.messages(ids["id"])[-len(value["message_ids"]) :]
        case "move_message" if value["to"] != "new":
            value["to"] = desk.conversation()
        case "move_message":
            desk.message(desk.ask("GET", f"/messages/{ids['id']}")["conversation_id"], kind="note", text="More.")
        case "create_message" | "put_read_mark":
            if "forward_message_ids" in value:
                value["forward_message_ids"] = desk.messages(ids["id"])
            if "message_id" in value and not isinstance(value["message_id"], str):
                value["message_id"] = desk.messages(ids["id"])[-1]
        case "restore_conversation":
            desk.ask("DELETE", f"/conversations/{ids['id']}")
        case "snooze_conversation" if "until" in value:
            value["until"] = TOMORROW
        case "snooze_conversation" if "schedule_id" in value:
            hours = [{"weekday": "monday", "from": "09:00", "to": "17:00"}]
            schedule = {"name": f"s{next(NUMBERS)}", "time_zone": "UTC", "hours": hours}
            value["schedule_id"] = desk.make(f"{API}/schedules", schedule)["id"]
        case "mark_not_spam":
            desk.ask("POST", f"/conversations/{ids['id']}/spam")
        case "update_message" | "delete_message":
            at = desk.conversation()
            ids["id"] = desk.message(at, draft=True)
            if value and "expected_last_message_id" in value:
                value["expected_last_message_id"] = desk.messages(at)[0]
            if value and "send_at" in value:
                ids["id"] = desk.message(at, send_at=TOMORROW)
        case "cancel_message":
            ids["id"] = desk.message(send_at=TOMORROW)
        case "retry_message":
            ids["id"] = desk.message(undo_seconds=600)
        case "get_delivery":
            ids["id"] = desk.message()
        case "get_message_html" | "link_message_html":
            ids["id"] = desk.mail()["message_id"]
        case "get_ingest" | "get_ingest_raw" | "retry_ingest":
            desk.mail()
            ids["row"] = desk.ask("GET", f"/mailboxes/{desk.mailbox}/ingest")["data"][0]["id"]
        case "get_text" | "put_text" | "delete_text":
            ids.update(kind="acknowledgement", language="en")
            if name != "put_text":
                text = {"subject": "It has come", "body": {"format": "text", "text": "Thank you."}}
                desk.ask("PUT", f"/mailboxes/{desk.mailbox}/auto-reply/texts/acknowledgement/en", text)
        case "delete_mailbox" | "update_mailbox":
            other = {"name": f"m{next(NUMBERS)}", "address": f"m{next(NUMBERS)}@example.org", **SINK}
            ids["id"] = desk.make(f"{API}/mailboxes", other)["id"]
        case "test_mailbox":
            # A mail that goes out and comes back needs a mail server: tests/it/round_trips.rs.
            value["round_trip"] = False
        case "reconcile_mailbox" | "sync_mailbox":
            ids["id"] = desk.read
        case "start_authorization" | "get_authorization" | "forget_authorization":
            ids["id"] = desk.imap
            if name != "start_authorization":
                page = {"provider": "google", "grant": "authorization_code", "client_id": "1", "client_secret": "2"}
                desk.ask("POST", f"/mailboxes/{desk.imap}/oauth", page)
        case "get_calendar" | "remove_calendar":
            calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//EN\r\nBEGIN:VEVENT\r\nUID:1@a\r\nDTSTART;VALUE=DATE:20261225\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            desk.ask("PUT", f"/schedules/{ids['id']}/calendar", calendar.encode(), content_type="text/calendar")
        case "get_public_schedule":
            schedule = {"name": f"s{next(NUMBERS)}", "time_zone": "UTC", "is_public": True}
            ids["key"] = desk.make(f"{API}/schedules", schedule)["public_key"]
        case "get_conversation_by_external_id" | "put_conversation_by_external_id":
            ids.update(source="shop", external_id=str(next(NUMBERS)))
            if name.startswith("get"):
                desk.conversation(external_id={"source": "shop", "id": ids["external_id"]})
        case "get_webhook_delivery" | "redeliver_webhook":
            ids["row"] = desk.ask("POST", f"/webhooks/{ids['id']}/test")["id"]
        case "get_docs_file":
            ids["file"] = "index.html"
        case "accept_invitation":
            value["token"] = desk.invitation(desk.agent())
    if isinstance(value, dict) and "send_at" in value:
        # The example's own time goes by.
        value["send_at"] = TOMORROW
    own = (f"{API}/me/", f"{API}/conversations/{{id}}/presence", f"{API}/notifications")
    if name == "update_me" or path.startswith(own) or "read" in path.split("/")[-1]:
        # Of agents who signed in.
        agent = desk.agent()
        desk.ask("PATCH", f"/agents/{agent}", {"role": "admin"})
        token = desk.accept(agent)["token"]
        if noun == "notifications":
            ids["id"] = desk.notification(agent, token)
        if "{id}" in path and "sessions" in path:
            session = desk.daemon.ask("GET", f"{API}/me/sessions", Authorization=f"Bearer {token}")[2]
            ids["id"] = session["data"][0]["id"]
        if name in ("confirm_totp", "disable_totp", "renew_recovery_codes"):
            mine = {"Authorization": f"Bearer {token}"}
            uri = desk.daemon.ask("POST", f"{API}/me/totp", {"password": PASSWORD}, **mine)[2]["uri"]
            value["code"] = code(uri)
            if name != "confirm_totp":
                # One code opens once: the recovery codes that come with it do, too.
                told = desk.daemon.ask("POST", f"{API}/me/totp/confirm", {"code": code(uri)}, **mine)[2]
                value["code"] = told["recovery_codes"][0]
    if isinstance(value, dict) and name.startswith(("create_", "update_")) and "name" in value and noun != "customers":
        value["name"] += f" {next(NUMBERS)}"
    for key, of in ids.items():
        path = path.replace(f"{{{key}}}", quote(str(of), safe=""))
    return path, value, token


def each(daemon):
    """Sends every example and looks whether the answer is one of success that the document knows. Returns how many."""
    desk, sent, faults = Desk(daemon), 0, []
    document = daemon.ask("GET", "/openapi.json")[2]
    components = document["components"]
    left_out = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            if name in ELSEWHERE:
                left_out.add(name)
                continue
            for kind, example in examples(operation):
                if name == "start_authorization" and example["grant"] == "device_code":
                    # It asks Microsoft; tests/it/oauth.rs asks a server of its own.
                    continue
                try:
                    send(desk, operation, method.upper(), path, kind, example, components)
                except AssertionError as fault:
                    faults.append(f"{method.upper()} {path} ({name}): {fault}")
                sent += 1
    assert not faults, "\n".join(faults)
    assert left_out == set(ELSEWHERE), set(ELSEWHERE) - left_out
    return sent


class Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(Stay)


def send(desk, operation, method, path, kind, example, components):
    name = operation["operationId"]
    path, body, token = prepared(desk, operation, path, example)
    words = query(operation)
    if "filename" in [p["name"] for p in operation.get("parameters", [])]:
        words["filename"] = "bill.pdf"
    if "mailbox_id" in [p["name"] for p in operation.get("parameters", []) if p.get("required")]:
        words["mailbox_id"] = desk.mailbox
    if words.get("assignee_id") == "me":
        token = token or desk.accept(desk.agent())["token"]
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    address = desk.daemon.url + path + ("?" + urlencode(words) if words else "")
    request = urllib.request.Request(address, data=data, method=method)
    request.add_header("Authorization", f"Bearer {token or desk.daemon.token}")
    if kind:
        request.add_header("Content-Type", kind)
    try:
        answer = OPENER.open(request, timeout=120)
    except urllib.error.HTTPError as refused:
        answer = refused
    text = answer.read()
    assert answer.status < 400, f"{answer.status} to {body}: {text[:600]}"
    response = operation["responses"].get(str(answer.status))
    assert response, f"{answer.status} is not in the document"
    content = response.get("content", {})
    if not content:
        assert not text, f"{answer.status}: the document knows of no body"
        return
    media = answer.headers["Content-Type"].split(";")[0]
    assert media in content or name == "get_docs_file" or "*/*" in content or name == "get_attachment_content", media
    if media == "application/json" and media in content:
        schema = {**content[media]["schema"], "components": components}
        jsonschema_rs.validator_for(schema).validate(json.loads(text))
