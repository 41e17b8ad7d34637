-- Facts of the installation itself: one row a fact.
CREATE TABLE settings (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- Raw mail and uploads, once each, by the hex SHA-256 of what they hold.
-- Large ones lie in the object store, where `object` names them. `unused_since` is when it was first
-- seen that nothing names the blob any more.
CREATE TABLE blobs (
  hash TEXT NOT NULL PRIMARY KEY,
  size INTEGER NOT NULL,
  encoding TEXT NOT NULL CHECK (encoding IN ('plain', 'zstd')),
  content BLOB,
  object TEXT,
  unused_since INTEGER,
  created_at INTEGER NOT NULL,
  CHECK ((content IS NULL) <> (object IS NULL))
) STRICT;
CREATE INDEX blobs_unused ON blobs (unused_since, hash) WHERE unused_since IS NOT NULL;

CREATE TABLE mailboxes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL,
  aliases TEXT NOT NULL,
  share_group TEXT NOT NULL,
  poll_interval_seconds INTEGER NOT NULL,
  source TEXT NOT NULL,
  source_password BLOB,
  delivery TEXT NOT NULL,
  delivery_password BLOB,
  strangers TEXT NOT NULL CHECK (strangers IN ('link', 'append')),
  trusted_authserv_ids TEXT NOT NULL,
  relay_addresses TEXT NOT NULL,
  sent_copy TEXT NOT NULL CHECK (sent_copy IN ('auto', 'append', 'none')),
  on_uncertain TEXT NOT NULL CHECK (on_uncertain IN ('retry_once', 'hold')),
  undo_seconds INTEGER NOT NULL,
  paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
  is_configured INTEGER NOT NULL CHECK (is_configured IN (0, 1)),
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- What mailboxes that log in by token were authorized for. Secrets are sealed.
CREATE TABLE mailbox_authorizations (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  provider TEXT NOT NULL CHECK (provider IN ('google', 'microsoft', 'custom')),
  grant_type TEXT NOT NULL CHECK (grant_type IN ('authorization_code', 'device_code', 'client_credentials')),
  client_id TEXT NOT NULL,
  client_secret BLOB,
  tenant TEXT,
  scopes TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('authorized', 'needs_authorization')),
  refresh_token BLOB,
  access_token BLOB,
  expires_at INTEGER,
  refresh_at INTEGER,
  last_error TEXT,
  failures INTEGER NOT NULL,
  retry_at INTEGER,
  claimed_until INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

-- Authorizations that have begun and wait for a person: the latest of each mailbox.
CREATE TABLE authorization_flows (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  token TEXT NOT NULL,
  provider TEXT NOT NULL CHECK (provider IN ('google', 'microsoft', 'custom')),
  grant_type TEXT NOT NULL CHECK (grant_type IN ('authorization_code', 'device_code', 'client_credentials')),
  client_id TEXT NOT NULL,
  client_secret BLOB,
  tenant TEXT,
  scopes TEXT NOT NULL,
  secret BLOB NOT NULL,
  state_hash TEXT UNIQUE,
  redirect_uri TEXT,
  poll_seconds INTEGER,
  next_poll_at INTEGER,
  expires_at INTEGER NOT NULL,
  last_error TEXT
);

-- Logins by token that were refused, and when each is tried again.
CREATE TABLE login_refusals (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  login_end TEXT NOT NULL CHECK (login_end IN ('source', 'delivery')),
  refusals INTEGER NOT NULL,
  retry_at INTEGER NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (mailbox_id, login_end)
);

-- How each mailbox is doing: written by its poll, apart from what people set.
CREATE TABLE mailbox_states (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  last_attempt_at INTEGER,
  last_success_at INTEGER,
  last_error TEXT,
  failing_since INTEGER,
  sync_requested_at INTEGER,
  polled_version INTEGER,
  failures INTEGER NOT NULL,
  trouble TEXT CHECK (trouble IN ('mailbox', 'server', 'login')),
  retry_at INTEGER,
  error_raised_at INTEGER,
  accepted INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  reconciled_at INTEGER,
  missing INTEGER
) STRICT;

-- How a mailbox's mail looks; a mailbox without a row looks as it does at first.
CREATE TABLE mailbox_outgoing (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  from_name TEXT NOT NULL,
  signature TEXT,
  head TEXT,
  foot TEXT,
  quote_history INTEGER NOT NULL CHECK (quote_history IN (0, 1)),
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- The picture that a mailbox's mail brings along: small, and here rather than among the blobs, so that
-- it is there inside of the transaction that writes a mail.
CREATE TABLE mailbox_logos (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  content_type TEXT NOT NULL,
  alt TEXT,
  content_id TEXT NOT NULL,
  content BLOB NOT NULL
) STRICT;

-- Which daemon polls a mailbox, until when by the database's clock. The fence rises whenever
-- another one takes it, and what is written under a lower one is refused.
CREATE TABLE leases (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  owner TEXT,
  fence INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE folders (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  uidvalidity INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  last_uid INTEGER NOT NULL,
  wanted_since INTEGER,
  history_before INTEGER,
  PRIMARY KEY (mailbox_id, name)
) STRICT;

-- Mail that is known to be on the server and is not in the ledger yet.
CREATE TABLE pending_mails (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  folder TEXT NOT NULL,
  uidvalidity INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  size INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  breaks INTEGER NOT NULL,
  last_error TEXT,
  asked_for INTEGER NOT NULL CHECK (asked_for IN (0, 1)),
  next_try_at INTEGER NOT NULL,
  was_aside INTEGER NOT NULL CHECK (was_aside IN (0, 1)),
  unseen INTEGER NOT NULL CHECK (unseen IN (0, 1)),
  found_anew INTEGER NOT NULL CHECK (found_anew IN (0, 1)),
  was_there INTEGER NOT NULL CHECK (was_there IN (0, 1)),
  PRIMARY KEY (mailbox_id, folder, uidvalidity, uid)
) STRICT;
CREATE INDEX pending_mails_in_turn
  ON pending_mails (mailbox_id, folder, uidvalidity, was_aside, attempts, breaks, next_try_at, uid);

CREATE INDEX pending_mails_tried ON pending_mails (mailbox_id) WHERE last_error IS NOT NULL;

-- What is still to be done on the server to mail that is safely here.
CREATE TABLE mail_actions (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  folder TEXT NOT NULL,
  uidvalidity INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  action TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, folder, uidvalidity, uid)
) STRICT;

-- The desk's own roles; those that come with it are part of the program and have the numbers below. `scopes` is
-- a JSON list.
CREATE TABLE roles (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  name_folded TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  sees_all INTEGER NOT NULL CHECK (sees_all IN (0, 1)),
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('roles', 100);

CREATE TABLE agents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  email_folded TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'supervisor', 'agent', 'light_agent', 'custom')),
  custom_role_id INTEGER REFERENCES roles (id),
  signature TEXT,
  bounce_notices INTEGER NOT NULL CHECK (bounce_notices IN (0, 1)),
  disabled_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((role = 'custom') = (custom_role_id IS NOT NULL))
) STRICT;
CREATE INDEX agents_custom_role ON agents (custom_role_id);

CREATE TABLE teams (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE team_members (
  team_id INTEGER NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  is_lead INTEGER NOT NULL CHECK (is_lead IN (0, 1)),
  PRIMARY KEY (team_id, agent_id)
) STRICT;
CREATE INDEX team_members_agent ON team_members (agent_id);

CREATE TABLE categories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

-- When somebody is there. `hours`, `holidays` and `closings` are JSON; `closings` is what `calendar`
-- (iCalendar, as it came) gave up to `calendar_until`. With a `public_key` anybody who has it may read.
CREATE TABLE schedules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  time_zone TEXT NOT NULL,
  hours TEXT NOT NULL,
  holidays TEXT NOT NULL,
  closings TEXT NOT NULL,
  calendar TEXT,
  calendar_until INTEGER,
  public_key TEXT UNIQUE,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((calendar IS NULL) = (calendar_until IS NULL))
) STRICT;

-- Which automatic answers a mailbox gives; one without a row gives none.
CREATE TABLE mailbox_auto_replies (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  acknowledge INTEGER NOT NULL CHECK (acknowledge IN (0, 1)),
  out_of_hours INTEGER NOT NULL CHECK (out_of_hours IN (0, 1)),
  schedule_id INTEGER REFERENCES schedules (id),
  default_language TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK (out_of_hours = 0 OR schedule_id IS NOT NULL)
) STRICT;
CREATE INDEX mailbox_auto_replies_schedule ON mailbox_auto_replies (schedule_id) WHERE schedule_id IS NOT NULL;

-- What those answers say where it is not the text that the program brings along.
CREATE TABLE auto_reply_texts (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('acknowledgement', 'out_of_hours')),
  language TEXT NOT NULL,
  subject TEXT,
  body TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, kind, language)
) STRICT;

-- What an agent or a team may do in a mailbox: one of the two holds it.
CREATE TABLE grants (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id INTEGER REFERENCES agents (id) ON DELETE CASCADE,
  team_id INTEGER REFERENCES teams (id) ON DELETE CASCADE,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  category_id INTEGER REFERENCES categories (id) ON DELETE CASCADE,
  assigned_only INTEGER NOT NULL CHECK (assigned_only IN (0, 1)),
  level TEXT NOT NULL CHECK (level IN ('read', 'reply', 'manage')),
  CHECK ((agent_id IS NULL) <> (team_id IS NULL))
) STRICT;
CREATE INDEX grants_agent ON grants (agent_id);
CREATE INDEX grants_team ON grants (team_id);

-- `mailbox_ids` is NULL for every mailbox, `allowed_networks` for every address; else a JSON list.
CREATE TABLE tokens (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('token', 'session')),
  name TEXT NOT NULL,
  secret_hash TEXT NOT NULL UNIQUE,
  -- The secret before, while both open.
  previous_hash TEXT UNIQUE,
  previous_until INTEGER,
  agent_id INTEGER REFERENCES agents (id) ON DELETE CASCADE,
  scopes TEXT NOT NULL,
  mailbox_ids TEXT,
  allowed_networks TEXT,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER,
  signed_in_from TEXT,
  signed_in_with TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX tokens_agent ON tokens (agent_id);

-- How people sign in. What is kept of a password is its argon2id hash; the secret of codes is sealed.
CREATE TABLE agent_passwords (
  agent_id INTEGER PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
  hash TEXT NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE agent_totp (
  agent_id INTEGER PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
  secret BLOB NOT NULL,
  confirmed_at INTEGER,
  last_step INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE recovery_codes (
  hash TEXT NOT NULL PRIMARY KEY,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX recovery_codes_agent ON recovery_codes (agent_id);

-- Secrets that were sent by mail and open once; the hash alone is kept.
CREATE TABLE one_time_secrets (
  hash TEXT NOT NULL PRIMARY KEY,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL CHECK (purpose IN ('password_reset', 'invitation')),
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX one_time_secrets_agent ON one_time_secrets (agent_id);

-- Tries that count for a quarter of an hour: of an account (its hash), from a network.
CREATE TABLE sign_in_tries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  who TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_tries_who ON sign_in_tries (who, created_at);

CREATE TABLE customers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  name_folded TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX customers_name ON customers (name_folded);
CREATE INDEX customers_updated ON customers (updated_at, id);

CREATE TABLE customer_addresses (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  email TEXT NOT NULL,
  email_folded TEXT NOT NULL UNIQUE,
  confirmed_at INTEGER,
  undeliverable_at INTEGER,
  complained_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX customer_addresses_customer ON customer_addresses (customer_id);

CREATE TABLE customer_phones (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  phone TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (customer_id, phone)
) STRICT;

CREATE TABLE conversations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id),
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  subject TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'pending', 'snoozed', 'closed', 'spam')),
  priority TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
  channel TEXT NOT NULL,
  assignee_id INTEGER REFERENCES agents (id),
  team_id INTEGER REFERENCES teams (id),
  category_id INTEGER REFERENCES categories (id),
  waiting_on TEXT CHECK (waiting_on IN ('us', 'customer', 'third_party')),
  waiting_since INTEGER,
  snoozed_until INTEGER,
  message_count INTEGER NOT NULL,
  last_message_id INTEGER,
  last_message_at INTEGER NOT NULL,
  merged_into INTEGER REFERENCES conversations (id),
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  closed_at INTEGER,
  deleted_at INTEGER,
  external_source TEXT,
  external_id TEXT,
  CHECK ((external_source IS NULL) = (external_id IS NULL))
) STRICT;
CREATE INDEX conversations_updated ON conversations (updated_at, id);
CREATE INDEX conversations_mailbox ON conversations (mailbox_id, id);
CREATE INDEX conversations_mailbox_status ON conversations (mailbox_id, status, id);
CREATE INDEX conversations_status ON conversations (status, id);
CREATE INDEX conversations_mailbox_status_updated ON conversations (mailbox_id, status, updated_at, id);
CREATE INDEX conversations_status_updated ON conversations (status, updated_at, id);
CREATE INDEX conversations_mailbox_status_created ON conversations (mailbox_id, status, created_at, id);
CREATE INDEX conversations_status_created ON conversations (status, created_at, id);
CREATE INDEX conversations_created ON conversations (created_at, id);
CREATE INDEX conversations_priority ON conversations (priority, id);
CREATE INDEX conversations_assignee ON conversations (assignee_id, id);
CREATE INDEX conversations_customer ON conversations (customer_id, id);
CREATE INDEX conversations_trash ON conversations (id) WHERE deleted_at IS NOT NULL;
CREATE INDEX conversations_snoozed ON conversations (snoozed_until) WHERE snoozed_until IS NOT NULL AND deleted_at IS NULL AND merged_into IS NULL;
CREATE INDEX conversations_status_waiting ON conversations (status, waiting_since, id) WHERE waiting_since IS NOT NULL;
CREATE INDEX conversations_waiting ON conversations (team_id, status, id) WHERE assignee_id IS NULL AND deleted_at IS NULL AND merged_into IS NULL;
CREATE INDEX conversations_owned ON conversations (assignee_id, status, id) WHERE assignee_id IS NOT NULL AND deleted_at IS NULL AND merged_into IS NULL;
CREATE INDEX conversations_merged ON conversations (merged_into) WHERE merged_into IS NOT NULL;
CREATE UNIQUE INDEX conversations_external ON conversations (external_source, external_id) WHERE external_id IS NOT NULL;

-- Conversations that have to do with each other.
CREATE TABLE conversation_links (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  related_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  reason TEXT NOT NULL CHECK (reason IN ('suggested', 'follow_up', 'references')),
  message_id INTEGER,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, related_id)
) STRICT;
CREATE INDEX conversation_links_related ON conversation_links (related_id);

-- Who is part of a conversation, by folded address.
CREATE TABLE participants (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  email_folded TEXT NOT NULL,
  class TEXT NOT NULL CHECK (class IN ('customer', 'invited', 'copied')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, email_folded)
) STRICT;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id),
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id),
  kind TEXT NOT NULL CHECK (kind IN ('inbound', 'reply', 'note', 'forward', 'auto_reply')),
  class TEXT NOT NULL,
  author_type TEXT NOT NULL CHECK (author_type IN ('customer', 'agent', 'token', 'system', 'unknown')),
  author_id INTEGER,
  author_name TEXT,
  sender TEXT,
  recipients TEXT NOT NULL,
  subject TEXT NOT NULL,
  content TEXT NOT NULL,
  reply_content TEXT,
  text_parts TEXT NOT NULL DEFAULT '{}',
  has_html INTEGER NOT NULL CHECK (has_html IN (0, 1)),
  internet_message_id TEXT,
  thread_index TEXT,
  fingerprint BLOB,
  raw_hash TEXT,
  raw_size INTEGER,
  sender_auth TEXT NOT NULL CHECK (sender_auth IN ('pass', 'fail', 'none')),
  flags TEXT NOT NULL,
  signals TEXT NOT NULL,
  threading TEXT,
  failed_recipients TEXT NOT NULL,
  about_message_id INTEGER,
  side_id INTEGER,
  sent_at INTEGER,
  released_at INTEGER,
  received_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_conversation ON messages (conversation_id, id);
CREATE INDEX messages_conversation_created ON messages (conversation_id, created_at, id);
CREATE INDEX messages_raw ON messages (raw_hash);
CREATE INDEX messages_fingerprint ON messages (fingerprint);

-- Messages that a program brought from another desk. Their created_at is when they were written.
CREATE TABLE imported_messages (
  message_id INTEGER NOT NULL PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
  imported_at INTEGER NOT NULL
) STRICT;

-- Every Message-ID that is known in a group of mailboxes, seen or only referred to, once for each
-- conversation that has to do with it; who claimed it first comes first.
CREATE TABLE rfc_ids (
  share_group TEXT NOT NULL,
  rfc_id TEXT NOT NULL,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  message_id INTEGER REFERENCES messages (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('real', 'alias', 'ghost', 'disowned')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (share_group, rfc_id, conversation_id)
) STRICT;
CREATE INDEX rfc_ids_conversation ON rfc_ids (conversation_id);
CREATE INDEX rfc_ids_message ON rfc_ids (message_id) WHERE message_id IS NOT NULL;

-- Messages that went from one conversation to another, with what it takes to bring them back.
CREATE TABLE transfers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  reason TEXT NOT NULL CHECK (reason IN ('moved', 'accepted', 'merged', 'split', 'joined')),
  from_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  to_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  details TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  undone_at INTEGER
) STRICT;
CREATE INDEX transfers_from ON transfers (from_id);
CREATE INDEX transfers_to ON transfers (to_id);

-- The ledger: every mail that was ever seen, where, and what became of it.
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  folder TEXT NOT NULL,
  location TEXT NOT NULL,
  uid INTEGER,
  verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'ignored', 'failed', 'quarantined', 'oversized', 'expunged')),
  reason TEXT,
  message_id INTEGER REFERENCES messages (id) ON DELETE SET NULL,
  raw_hash TEXT,
  size INTEGER NOT NULL,
  internal_date INTEGER,
  next_try_at INTEGER,
  created_at INTEGER NOT NULL,
  UNIQUE (mailbox_id, folder, location)
) STRICT;
CREATE INDEX ledger_message ON ledger (message_id);
CREATE INDEX ledger_mailbox ON ledger (mailbox_id, id);
CREATE INDEX ledger_raw ON ledger (raw_hash) WHERE raw_hash IS NOT NULL;
CREATE INDEX ledger_next_try ON ledger (mailbox_id, next_try_at) WHERE next_try_at IS NOT NULL;

-- Files. `part` says where in the message's raw mail; an upload has a blob of its own.
CREATE TABLE attachments (
  id TEXT NOT NULL PRIMARY KEY,
  message_id INTEGER REFERENCES messages (id) ON DELETE CASCADE,
  part INTEGER,
  blob_hash TEXT,
  filename TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  inline INTEGER NOT NULL CHECK (inline IN (0, 1)),
  content_id TEXT,
  token_id TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  CHECK ((part IS NULL) <> (blob_hash IS NULL))
) STRICT;
CREATE INDEX attachments_message ON attachments (message_id);
CREATE INDEX attachments_blob ON attachments (blob_hash) WHERE blob_hash IS NOT NULL;

CREATE TABLE tags (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  name_folded TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  color TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE conversation_tags (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  tag_id INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
  PRIMARY KEY (conversation_id, tag_id)
) STRICT;
CREATE INDEX conversation_tags_tag ON conversation_tags (tag_id, conversation_id);

-- What a desk wants to know beyond what every desk does. `choices` is JSON. A value stands in the table of
-- what it is of, a row each, and several where several were chosen: `written` is a text as it was written;
-- `sought` what is looked for of it (folded, or its digest where it is long), or the key of what was chosen;
-- `number` millionths of a number, or days since 1970.
CREATE TABLE custom_fields (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  object TEXT NOT NULL CHECK (object IN ('conversation', 'customer')),
  key TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('text', 'number', 'date', 'choice', 'multi_choice', 'checkbox')),
  pattern TEXT,
  choices TEXT NOT NULL,
  required_on_close INTEGER NOT NULL CHECK (required_on_close IN (0, 1)),
  position INTEGER NOT NULL,
  archived_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (object, key)
) STRICT;

CREATE TABLE conversation_field_values (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  field_id INTEGER NOT NULL REFERENCES custom_fields (id),
  place INTEGER NOT NULL,
  written TEXT,
  sought TEXT,
  number INTEGER,
  CHECK ((sought IS NULL) <> (number IS NULL)),
  PRIMARY KEY (conversation_id, field_id, place)
) STRICT;
CREATE INDEX conversation_field_values_sought ON conversation_field_values (field_id, sought, conversation_id);
CREATE INDEX conversation_field_values_number ON conversation_field_values (field_id, number, conversation_id)
  WHERE number IS NOT NULL;

CREATE TABLE customer_field_values (
  customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  field_id INTEGER NOT NULL REFERENCES custom_fields (id),
  place INTEGER NOT NULL,
  written TEXT,
  sought TEXT,
  number INTEGER,
  CHECK ((sought IS NULL) <> (number IS NULL)),
  PRIMARY KEY (customer_id, field_id, place)
) STRICT;
CREATE INDEX customer_field_values_sought ON customer_field_values (field_id, sought, customer_id);
CREATE INDEX customer_field_values_number ON customer_field_values (field_id, number, customer_id)
  WHERE number IS NOT NULL;

-- Questions that are kept. `shown_columns` is JSON.
CREATE TABLE views (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id INTEGER REFERENCES agents (id),
  team_id INTEGER REFERENCES teams (id) ON DELETE CASCADE,
  visibility TEXT NOT NULL CHECK (visibility IN ('me', 'team', 'everyone')),
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  sort TEXT NOT NULL,
  shown_columns TEXT NOT NULL,
  position INTEGER NOT NULL,
  color TEXT,
  icon TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((visibility = 'team') = (team_id IS NOT NULL)),
  CHECK (visibility <> 'me' OR owner_id IS NOT NULL)
) STRICT;
CREATE INDEX views_visibility ON views (visibility, owner_id);

-- Messages that have not left yet: what was written, until it is composed and its bytes are final.
-- A draft waits for somebody who sends it; what is held or scheduled leaves at `leaves_at`, or, where
-- there is none, when somebody lets it go.
CREATE TABLE unsent (
  message_id INTEGER NOT NULL PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('draft', 'held', 'scheduled')),
  writing TEXT NOT NULL,
  leaves_at INTEGER,
  reason TEXT,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX unsent_due ON unsent (leaves_at, message_id) WHERE leaves_at IS NOT NULL;

-- Mails that may get an automatic answer, with what they say about that, until it is decided.
CREATE TABLE wanted_answers (
  message_id INTEGER NOT NULL PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
  hints TEXT NOT NULL
) STRICT;

-- Automatic mail of the last days, to count how much there is of it. `held`: it was made and did not
-- leave by itself.
CREATE TABLE automatic_mails (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  recipient TEXT NOT NULL,
  domain TEXT NOT NULL,
  rule TEXT NOT NULL,
  held INTEGER NOT NULL CHECK (held IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX automatic_mails_recipient ON automatic_mails (recipient, created_at);
CREATE INDEX automatic_mails_conversation ON automatic_mails (conversation_id, created_at);
CREATE INDEX automatic_mails_domain ON automatic_mails (domain, created_at);
CREATE INDEX automatic_mails_mailbox ON automatic_mails (mailbox_id, rule, created_at);
CREATE INDEX automatic_mails_time ON automatic_mails (created_at);

-- Mail on its way out. The bytes under `raw_hash` are final. Without a message it is a notice to
-- administrators or an agent.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id INTEGER UNIQUE REFERENCES messages (id) ON DELETE CASCADE,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id),
  state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'deferred', 'uncertain', 'failed', 'bounced')),
  raw_hash TEXT NOT NULL,
  envelope_from TEXT NOT NULL,
  recipients TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_attempt_at INTEGER NOT NULL,
  claimed_until INTEGER,
  data_sent_at INTEGER,
  captured INTEGER NOT NULL CHECK (captured IN (0, 1)),
  response TEXT,
  last_error TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  may_be_double INTEGER NOT NULL CHECK (may_be_double IN (0, 1)),
  delayed_at INTEGER,
  tried_from INTEGER,
  waited_seconds INTEGER NOT NULL,
  copy_state TEXT CHECK (copy_state IN ('wanted', 'done', 'given_up')),
  copy_attempts INTEGER NOT NULL,
  copy_next_at INTEGER,
  copy_error TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (state, next_attempt_at);
CREATE INDEX outbox_raw ON outbox (raw_hash);
CREATE INDEX outbox_copies ON outbox (copy_next_at) WHERE copy_state = 'wanted';

-- Who looks at a conversation, or answers it, just now.
CREATE TABLE presences (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('viewing', 'replying')),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, agent_id)
) STRICT;

-- Whether agents take work, as they say themselves. Who has no row is there.
CREATE TABLE availabilities (
  agent_id INTEGER NOT NULL PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('online', 'away', 'away_reassign')),
  until INTEGER,
  schedule_id INTEGER REFERENCES schedules (id),
  open_limit INTEGER,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX availabilities_state ON availabilities (state);
CREATE INDEX availabilities_until ON availabilities (until) WHERE until IS NOT NULL;
CREATE INDEX availabilities_schedule ON availabilities (schedule_id);

-- Times in which agents are not there.
CREATE TABLE absences (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  starts_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  reassign INTEGER NOT NULL CHECK (reassign IN (0, 1)),
  note TEXT,
  created_at INTEGER NOT NULL,
  CHECK (ends_at > starts_at)
) STRICT;
CREATE INDEX absences_agent ON absences (agent_id, ends_at);
CREATE INDEX absences_ends ON absences (ends_at);
CREATE INDEX absences_starts ON absences (starts_at);

-- How teams' conversations find their owners. A team without a row gives nothing out by itself.
CREATE TABLE distributions (
  team_id INTEGER NOT NULL PRIMARY KEY REFERENCES teams (id) ON DELETE CASCADE,
  method TEXT NOT NULL CHECK (method IN ('manual', 'round_robin', 'least_loaded')),
  open_limit INTEGER,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- When members of teams last got a conversation by themselves.
CREATE TABLE distribution_turns (
  team_id INTEGER NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  given_at INTEGER NOT NULL,
  PRIMARY KEY (team_id, agent_id)
) STRICT;
CREATE INDEX distribution_turns_agent ON distribution_turns (agent_id);

-- Whose the conversations of mailboxes are from the start.
CREATE TABLE mailbox_routings (
  mailbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
  team_id INTEGER REFERENCES teams (id),
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX mailbox_routings_team ON mailbox_routings (team_id);

-- Nothing waits for an answer longer than this. `turn` counts what becomes of it, `version` how it is set up.
CREATE TABLE watchdogs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  query TEXT NOT NULL,
  wait_seconds INTEGER NOT NULL,
  schedule_id INTEGER REFERENCES schedules (id),
  steps TEXT NOT NULL,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN ('quiet', 'alarmed', 'acknowledged')),
  alarmed_at INTEGER,
  acknowledged_by TEXT,
  steps_told INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX watchdogs_schedule ON watchdogs (schedule_id);

-- How far agents have read.
CREATE TABLE read_marks (
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  -- 0: nothing of it. The message may have gone elsewhere since.
  message_id INTEGER NOT NULL,
  read_at INTEGER NOT NULL,
  PRIMARY KEY (agent_id, conversation_id)
) STRICT;
CREATE INDEX read_marks_conversation ON read_marks (conversation_id);

-- Who follows a conversation.
CREATE TABLE followers (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, agent_id)
) STRICT;
CREATE INDEX followers_agent ON followers (agent_id);

-- Agents whom notes name.
CREATE TABLE mentions (
  message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  PRIMARY KEY (message_id, agent_id)
) STRICT;
CREATE INDEX mentions_agent ON mentions (agent_id);

-- How far those have come who read the event log from its beginning to its end.
CREATE TABLE log_readers (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT;

-- What agents are notified of: of one event each of them once. `seq` is the event's.
CREATE TABLE notifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  reason TEXT NOT NULL CHECK (reason IN ('mentioned', 'assigned', 'send_failed', 'received', 'snooze_over',
    'answered', 'noted', 'status_changed', 'team_received')),
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  message_id INTEGER REFERENCES messages (id) ON DELETE SET NULL,
  actor_type TEXT NOT NULL CHECK (actor_type IN ('agent', 'token', 'customer', 'system')),
  actor_id TEXT,
  actor_name TEXT,
  read_at INTEGER,
  mailed_at INTEGER,
  created_at INTEGER NOT NULL,
  UNIQUE (agent_id, seq)
) STRICT;
CREATE INDEX notifications_agent ON notifications (agent_id, id);
CREATE INDEX notifications_unread ON notifications (agent_id, id) WHERE read_at IS NULL;
CREATE INDEX notifications_mailed ON notifications (agent_id, mailed_at) WHERE mailed_at IS NOT NULL;
CREATE INDEX notifications_conversation ON notifications (conversation_id);
CREATE INDEX notifications_message ON notifications (message_id);
CREATE INDEX notifications_created ON notifications (created_at);

-- What agents want to be notified of, and how: lists of reasons.
CREATE TABLE notification_settings (
  agent_id INTEGER PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
  muted TEXT NOT NULL,
  mailed TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- Mails of mailboxes to themselves, to see whether what leaves comes back.
CREATE TABLE round_trips (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  test_id TEXT NOT NULL,
  way TEXT NOT NULL CHECK (way IN ('plain', 'plus')),
  address TEXT NOT NULL,
  outbox_id INTEGER REFERENCES outbox (id) ON DELETE SET NULL,
  asked_at INTEGER NOT NULL,
  arrived_at INTEGER,
  received_at INTEGER,
  folder TEXT,
  authentication TEXT,
  failure TEXT
) STRICT;
CREATE INDEX round_trips_mailbox ON round_trips (mailbox_id, id);
CREATE INDEX round_trips_outbox ON round_trips (outbox_id) WHERE outbox_id IS NOT NULL;

-- The event log: what happened, in the order it became true. Rows of a conversation stay as
-- long as it does; what the feed serves begins behind the setting `events_floor`.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  actor_type TEXT NOT NULL,
  actor_id TEXT,
  actor_name TEXT,
  mailbox_id INTEGER,
  conversation_id INTEGER,
  message_id INTEGER,
  customer_id INTEGER,
  data TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_conversation ON events (conversation_id, seq);

-- Who signed in and who changed the set-up, each row chained to the one before it by its hash. `details` and
-- `salt` may be taken out (both): the chain holds their hash alone.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  actor_type TEXT NOT NULL,
  actor_id TEXT,
  details TEXT,
  salt TEXT,
  details_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_log_kind ON audit_log (kind, id);
CREATE INDEX audit_log_actor ON audit_log (actor_type, actor_id, id);
CREATE INDEX audit_log_created ON audit_log (created_at);

-- Who is told of events by HTTP. `position` is the number of the last event that was looked at for it.
CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  event_types TEXT,
  mailbox_ids TEXT,
  tag_ids TEXT,
  body TEXT NOT NULL CHECK (body IN ('full', 'thin')),
  secret BLOB NOT NULL,
  previous_secret BLOB,
  previous_until INTEGER,
  position INTEGER NOT NULL,
  disabled_at INTEGER,
  disabled_reason TEXT CHECK (disabled_reason IN ('paused', 'gone', 'failing')),
  failing_since INTEGER,
  last_success_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
  CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
) STRICT;

-- What a webhook is told: one event, or a ping without one. `payload` is sent as it is, each time.
CREATE TABLE webhook_deliveries (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  seq INTEGER,
  event_type TEXT NOT NULL,
  conversation_id INTEGER,
  payload TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'delivered', 'failed')),
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  passed INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  claimed_until INTEGER,
  last_attempt_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  UNIQUE (webhook_id, seq)
) STRICT;
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, number);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE state = 'queued';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook_id, conversation_id, seq) WHERE state IN ('queued', 'sending');
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at);
CREATE INDEX webhook_deliveries_conversation ON webhook_deliveries (conversation_id) WHERE conversation_id IS NOT NULL;

-- Each time that a delivery was tried, the last fifty.
CREATE TABLE webhook_attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  answer TEXT
) STRICT;
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (delivery_id, number);

-- Work that goes on after its request was answered, and whose it is.
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('conversations.bulk')),
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
  token_id TEXT NOT NULL,
  agent_id INTEGER,
  actor_name TEXT NOT NULL,
  task TEXT NOT NULL,
  dry_run INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
  selecting INTEGER NOT NULL CHECK (selecting IN (0, 1)),
  selected_up_to INTEGER,
  total INTEGER NOT NULL,
  succeeded INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  reason TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER
) STRICT;
CREATE INDEX jobs_open ON jobs (number) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_token ON jobs (token_id, number);
CREATE INDEX jobs_agent ON jobs (agent_id, number);
CREATE INDEX jobs_finished ON jobs (finished_at);

-- What a job works on, and what came of each.
CREATE TABLE job_items (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  conversation_id INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'changed', 'unchanged', 'failed')),
  code TEXT,
  detail TEXT
) STRICT;
CREATE INDEX job_items_job ON job_items (job_id, id);
CREATE INDEX job_items_state ON job_items (job_id, state, id);

-- Mail whose conversation was deleted for good, by keyed digests of what it would be known by: it doesn't come
-- in again.
CREATE TABLE purged_mails (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, digest)
) STRICT, WITHOUT ROWID;

-- How many mails of one sender came since when. Forgotten soon.
CREATE TABLE bursts (
  email_folded TEXT NOT NULL PRIMARY KEY,
  since INTEGER NOT NULL,
  mails INTEGER NOT NULL
) STRICT;

-- What was answered under which `Idempotency-Key`, written with the work, so that a request that is
-- sent again does nothing again. The answer is NULL only inside of that transaction.
CREATE TABLE idempotency_keys (
  token_id TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  answer BLOB,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (token_id, key)
) STRICT;
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- The full-text index. A conversation stands in it as chunks, the first message of each is named here; what
-- is cut out of here goes out of there. The words are cut and folded by the program, so that the tokenizer
-- has only blanks to look for.
CREATE TABLE search_chunks (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  chunk INTEGER NOT NULL,
  first_message_id INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, chunk)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE search_words USING fts5 (
  subject, people, content, files, content = '', contentless_delete = 1, tokenize = 'ascii'
);
CREATE TRIGGER search_chunks_removed AFTER DELETE ON search_chunks BEGIN
  DELETE FROM search_words WHERE rowid = old.conversation_id * 65536 + old.chunk;
END;

-- Conversations that must be put into that index anew.
CREATE TABLE search_stale (
  conversation_id INTEGER NOT NULL PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE
) STRICT;
