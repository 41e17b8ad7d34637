"""A story by the generated Python client: story.py FOLDER-OF-THE-CLIENT BASE-URL TOKEN"""

import io
import json
import sys

sys.path.insert(0, sys.argv[1])

from postroom_client import AuthenticatedClient
from postroom_client.api.attachments import create_attachment, get_attachment_content
from postroom_client.api.conversations import (
    create_conversation,
    get_conversation,
    list_conversations,
    tag_conversation,
    update_conversation,
)
from postroom_client.api.events import list_events
from postroom_client.api.mailboxes import create_mailbox, receive_mail
from postroom_client.api.me import get_me
from postroom_client.api.messages import create_message, get_raw_message, list_messages
from postroom_client.models import (
    Conversation,
    ConversationPatch,
    NewConversation,
    NewMailbox,
    NewMessage,
    Problem,
    Status,
    TagChange,
)
from postroom_client.types import File

BASE, TOKEN = sys.argv[2:4]
MAIL = b"From: Bob <bob@example.org>\r\nTo: support@example.org\r\nSubject: Broken\r\nMessage-ID: <1@example.org>\r\n\r\nIt broke.\r\n"


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer.parsed


def pages(client, **filters):
    """Each page of a list of conversations."""
    page = ok(list_conversations.sync_detailed(client=client, limit=3, **filters))
    yield page.data
    while page.page.has_more:
        page = ok(list_conversations.sync_detailed(client=client, limit=3, cursor=page.page.next_cursor, **filters))
        yield page.data


def follow(client, after, wanted):
    """The feed's events behind `after` until there is one of the type."""
    seen = []
    while wanted not in [event.type_ for event in seen]:
        page = ok(list_events.sync_detailed(client=client, after=after, wait=30))
        seen += page.data
        after = page.page.next_after
    return seen, after


with AuthenticatedClient(BASE, TOKEN, raise_on_unexpected_status=True, timeout=120) as client:
    me = ok(get_me.sync_detailed(client=client))
    assert "conversations:write" in me.scopes, me

    mailbox = NewMailbox.from_dict(
        {"name": "Support", "address": "support@example.org", "source": {"type": "push"}, "delivery": {"type": "sink"}}
    )
    mailbox = ok(create_mailbox.sync_detailed(client=client, body=mailbox), 201)

    made = []
    for number in range(7):
        new = NewConversation.from_dict(
            {
                "mailbox_id": mailbox.id,
                "subject": f"Order {number}",
                "customer": {"email": "ada@example.org", "name": "Ada"},
                "message": {"kind": "inbound", "text": "Where is it?"},
                "tags": ["order", "late"],
            }
        )
        answer = create_conversation.sync_detailed(client=client, body=new, idempotency_key=f"order-{number}")
        conversation = ok(answer, 201)
        assert isinstance(conversation, Conversation) and conversation.status == Status.OPEN
        again = create_conversation.sync_detailed(client=client, body=new, idempotency_key=f"order-{number}")
        assert ok(again, 201).id == conversation.id and again.headers["Idempotency-Replayed"] == "true"
        made.append(conversation.id)

    listed = list(pages(client, mailbox_id=[mailbox.id], q="tag:order"))
    assert [len(page) for page in listed] == [3, 3, 1], listed
    assert [row.id for page in listed for row in page] == made[::-1]
    # Several values are one, between commas: deploy/CLIENTS.md says why.
    counted = ok(list_conversations.sync_detailed(client=client, tag=["late,nothing"], count=True, limit=1))
    assert counted.page.total == 7, counted.page
    refused = list_conversations.sync_detailed(client=client, cursor="nonsense")
    assert refused.status_code == 400 and isinstance(refused.parsed, Problem), refused
    assert refused.parsed.code == "bad_cursor"

    seen, after = follow(client, 0, "conversation.created")
    attachment = ok(
        create_attachment.sync_detailed(
            client=client, body=File(payload=io.BytesIO(b"%PDF-1.4 bill")), filename="bill.pdf"
        ),
        201,
    )
    reply = NewMessage.from_dict({"kind": "reply", "text": "It left today.", "attachment_ids": [attachment.id]})
    reply = ok(create_message.sync_detailed(made[0], client=client, body=reply), 201)
    assert reply.delivery.state and reply.attachments[0].filename == "bill.pdf"
    content = get_attachment_content.sync_detailed(attachment.id, client=client)
    assert content.status_code == 200 and content.content == b"%PDF-1.4 bill"
    seen, after = follow(client, after, "message.sent")
    assert [event.message_id for event in seen if event.type_ == "message.sent"] == [reply.id]

    before = get_conversation.sync_detailed(made[0], client=client)
    tagged = TagChange.from_dict({"add": ["answered"], "remove": ["late"]})
    assert sorted(ok(tag_conversation.sync_detailed(made[0], client=client, body=tagged)).tags) == ["answered", "order"]
    close = ConversationPatch.from_dict({"status": "closed"})
    stale = update_conversation.sync_detailed(made[0], client=client, body=close, if_match=before.headers["ETag"])
    assert stale.status_code == 412 and stale.parsed.code == "version_conflict", stale
    fresh = get_conversation.sync_detailed(made[0], client=client)
    closed = update_conversation.sync_detailed(made[0], client=client, body=close, if_match=fresh.headers["ETag"])
    assert ok(closed).status == Status.CLOSED

    # Mail that comes while somebody listens. What has no end no generated function reads: its client does.
    http = client.get_httpx_client()
    with http.stream("GET", "/api/v1/events/stream", params={"types": "message.*"}) as stream:
        lines = stream.iter_lines()
        got = ok(receive_mail.sync_detailed(mailbox.id, client=client, body=File(payload=io.BytesIO(MAIL))), 201)
        event = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
    assert (event["type"], event["message_id"]) == ("message.received", got.message_id), event
    messages = ok(list_messages.sync_detailed(got.conversation_id, client=client))
    assert [message.text.strip() for message in messages.data] == ["It broke."]
    assert get_raw_message.sync_detailed(got.message_id, client=client).content == MAIL

    nobody = AuthenticatedClient(BASE, "pr_pat_nonsense")
    refused = get_me.sync_detailed(client=nobody)
    assert refused.status_code == 401 and refused.parsed.code == "unauthorized", refused
