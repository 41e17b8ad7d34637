// A story by the generated TypeScript client: node story.js BASE-URL TOKEN

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./postroom.js";

type Event = components["schemas"]["Event"];
type NewConversation = components["schemas"]["NewConversation"];

const [baseUrl, token] = process.argv.slice(2);
assert(baseUrl && token);
const client = createClient<paths>({
  baseUrl,
  headers: { Authorization: `Bearer ${token}` },
  // Several values of one parameter stand between commas: deploy/CLIENTS.md.
  querySerializer: { array: { style: "form", explode: false } },
});
const mail =
  "From: Bob <bob@example.org>\r\nTo: support@example.org\r\nSubject: Broken\r\nMessage-ID: <1@example.org>\r\n\r\nIt broke.\r\n";

/** What a call answers, which must be well. */
async function ok<T, E>(call: Promise<{ data?: T; error?: E; response: Response }>, status = 200): Promise<T> {
  const { data, error, response } = await call;
  assert.equal(response.status, status, JSON.stringify(error));
  assert(data !== undefined);
  return data;
}

/** Each page of a list of conversations. */
async function* pages(mailbox: number) {
  for (let cursor: string | undefined; ; ) {
    const query = { mailbox_id: [mailbox], q: "tag:order", limit: 3, ...(cursor && { cursor }) };
    const { data, page } = await ok(client.GET("/api/v1/conversations", { params: { query } }));
    yield data;
    if (!page.has_more || !page.next_cursor) return;
    cursor = page.next_cursor;
  }
}

/** The feed's events behind `after` until there is one of the type. */
async function follow(after: number, type: string): Promise<[Event[], number]> {
  const seen: Event[] = [];
  while (!seen.some((event) => event.type === type)) {
    const query = { after, wait: 30, types: ["conversation.*", "message.*"] };
    const { data, page } = await ok(client.GET("/api/v1/events", { params: { query } }));
    seen.push(...data);
    after = page.next_after;
  }
  return [seen, after];
}

const me = await ok(client.GET("/api/v1/me"));
assert(me.scopes.includes("conversations:write"));

const mailbox = await ok(
  client.POST("/api/v1/mailboxes", {
    body: { name: "Support", address: "support@example.org", source: { type: "push" }, delivery: { type: "sink" } },
  }),
  201,
);

const made: number[] = [];
for (let number = 0; number < 7; number += 1) {
  const body: NewConversation = {
    mailbox_id: mailbox.id,
    subject: `Order ${number}`,
    customer: { email: "ada@example.org", name: "Ada" },
    message: { kind: "inbound", text: "Where is it?" },
    tags: ["order", "late"],
  };
  const params = { header: { "Idempotency-Key": `order-${number}` } };
  const conversation = await ok(client.POST("/api/v1/conversations", { params, body }), 201);
  assert("status" in conversation && conversation.status === "open");
  const again = await client.POST("/api/v1/conversations", { params, body });
  assert.equal(again.data?.id, conversation.id);
  assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
  made.push(conversation.id);
}

const listed = [];
for await (const page of pages(mailbox.id)) listed.push(page);
assert.deepEqual(listed.map((page) => page.length), [3, 3, 1]);
assert.deepEqual(listed.flat().map((row) => row.id), made.toReversed());
const counting = { tag: ["late", "nothing"], count: true, limit: 1 };
const counted = await ok(client.GET("/api/v1/conversations", { params: { query: counting } }));
assert.equal(counted.page.total, 7);
const refused = await client.GET("/api/v1/conversations", { params: { query: { cursor: "nonsense" } } });
assert.equal(refused.response.status, 400);
assert.equal(refused.error?.code, "bad_cursor");

const [, begun] = await follow(0, "conversation.created");
const id = made[0]!;
const params = { path: { id } };
const attachment = await ok(
  client.POST("/api/v1/attachments", {
    params: { query: { filename: "bill.pdf" } },
    body: "%PDF-1.4 bill",
    bodySerializer: (file) => file,
    headers: { "Content-Type": "application/octet-stream" },
  }),
  201,
);
const reply = await ok(
  client.POST("/api/v1/conversations/{id}/messages", {
    params,
    body: { kind: "reply", text: "It left today.", attachment_ids: [attachment.id] },
  }),
  201,
);
assert(reply.delivery?.state);
const file = await client.GET("/api/v1/attachments/{id}/content", {
  params: { path: { id: attachment.id } },
  parseAs: "text",
});
assert.equal(file.data, "%PDF-1.4 bill");
const [sent] = await follow(begun, "message.sent");
assert.deepEqual(sent.filter((event) => event.type === "message.sent").map((event) => event.message_id), [reply.id]);

const before = await client.GET("/api/v1/conversations/{id}", { params });
const tagged = await ok(
  client.POST("/api/v1/conversations/{id}/tags", { params, body: { add: ["answered"], remove: ["late"] } }),
);
assert.deepEqual(tagged.tags.toSorted(), ["answered", "order"]);
const close = (etag: string | null) =>
  client.PATCH("/api/v1/conversations/{id}", {
    params: { path: { id }, header: { "If-Match": etag ?? "" } },
    body: { status: "closed" },
  });
const stale = await close(before.response.headers.get("ETag"));
assert.equal(stale.response.status, 412);
assert.equal(stale.error?.code, "version_conflict");
const fresh = await client.GET("/api/v1/conversations/{id}", { params });
assert.equal((await ok(close(fresh.response.headers.get("ETag")))).status, "closed");

// Mail that comes while somebody listens.
const { data: stream } = await client.GET("/api/v1/events/stream", {
  params: { query: { types: ["message.*"] } },
  parseAs: "stream",
});
assert(stream);
const received = await ok(
  client.POST("/api/v1/mailboxes/{id}/inbound", {
    params: { path: { id: mailbox.id } },
    body: mail,
    bodySerializer: (raw) => raw,
    headers: { "Content-Type": "message/rfc822" },
  }),
  201,
);
let told = "";
for await (const text of stream.pipeThrough(new TextDecoderStream())) {
  told += text;
  if (/^data: .*\n/m.test(told)) break;
}
const event = JSON.parse(/^data: (.*)$/m.exec(told)![1]!) as Event;
assert.deepEqual([event.type, event.message_id], ["message.received", received.message_id]);

const nobody = createClient<paths>({ baseUrl, headers: { Authorization: "Bearer pr_pat_nonsense" } });
const stranger = await nobody.GET("/api/v1/me");
assert.equal(stranger.response.status, 401);
assert.equal(stranger.error?.code, "unauthorized");
