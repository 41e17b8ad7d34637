"""Reads mails from standard input, one in base64 a line, and writes what Python's `email` finds in
each: one JSON object a line. Knows nothing of how they were written."""

import base64
import json
import sys
from email import message_from_bytes, policy
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append([tag, [[name, value or ""] for name, value in attrs]])

    handle_startendtag = handle_starttag


def addresses(mail, name):
    header = mail[name]
    return [[a.display_name, a.addr_spec] for a in header.addresses] if header is not None else []


def shape(part):
    if part.is_multipart() and part.get_content_maintype() == "multipart":
        return part.get_content_subtype() + "(" + " ".join(shape(p) for p in part.iter_parts()) + ")"
    return "file" if part.get_content_disposition() else part.get_content_subtype()


def found(raw):
    mail = message_from_bytes(raw, policy=policy.default)
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    html = mail.get_body(("html",)).get_content().replace("\r\n", "\n")
    tags = Tags()
    tags.feed(html)
    files = []
    for part in mail.walk():
        if part.get_content_disposition() is None:
            continue
        content = part.get_payload(decode=True)
        # get_filename() would take quotes off a name that begins and ends with one
        files.append({
            "disposition": part.get_content_disposition(), "name": part["Content-Disposition"].params.get("filename"), "type": part.get_content_type(),
            "id": part["Content-ID"], "content": base64.b64encode(content).decode(),
        })
    return {
        "names": mail.keys(), "subject": mail["Subject"], "topic": mail["Thread-Topic"],
        "index": mail["Thread-Index"], "ids": [mail["Message-ID"], mail["In-Reply-To"], mail["References"]],
        "automatic": mail["Auto-Submitted"], "date": int(mail["Date"].datetime.timestamp()),
        "from": addresses(mail, "From"), "reply_to": addresses(mail, "Reply-To"), "to": addresses(mail, "To"),
        "cc": addresses(mail, "Cc"), "shape": shape(mail), "text": text, "html": html, "tags": tags.tags,
        "files": files, "defects": [str(d) for part in mail.walk() for d in part.defects],
    }


for line in sys.stdin:
    raw = base64.b64decode(line)
    try:
        print(json.dumps(found(raw)))
    except Exception:
        sys.stderr.write(raw.decode(errors="replace"))
        raise
