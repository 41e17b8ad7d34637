"""What schemathesis is told beyond the document; see schemathesis.toml."""

import re

import schemathesis

# In whose name, of which version, which request, behind which page: of none of these is there one that fits all.
ONLY_A_STORY_KNOWS = ("x-on-behalf-of", "if-match", "idempotency-key", "cursor")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Requests that are meant to be right are not all refused for the same few words. What is meant to be wrong is sent
    as it is, those words included."""
    elsewhere(case.body)
    if case.meta and case.meta.generation.mode.is_positive:
        for words in (case.headers or {}, case.query or {}):
            for name in [name for name in words if name.lower() in ONLY_A_STORY_KNOWS]:
                del words[name]


def elsewhere(value):
    """No mailbox leads to anybody's server: all are this machine, on a port where nobody answers."""
    if isinstance(value, list):
        for item in value:
            elsewhere(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "host" and isinstance(member, str) and re.fullmatch(r"[^\s\0]{1,253}", member):
                value[name] = "127.0.0.1"
            elif name == "port" and type(member) is int and 1 <= member <= 65535:
                value[name] = 1
            else:
                elsewhere(member)


@schemathesis.serializer("message/rfc822", "text/calendar")
def as_it_is(context, value):
    """Mail and calendars are bytes to the API, whatever stands in them."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
