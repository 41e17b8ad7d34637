// Verifies a webhook as its receiver does: node verify.mjs SECRET HEADERS BODY. 1 is the exit code of what is not right.

import { createRequire } from "node:module";

// What is installed lies where this was started.
const { Webhook, WebhookVerificationError } = createRequire(process.cwd() + "/")("standardwebhooks");
const [secret, headers, body] = process.argv.slice(2);
try {
  const said = new Webhook(secret).verify(body, JSON.parse(headers));
  process.exitCode = said.type === "tag.created" ? 0 : 2;
} catch (error) {
  process.exitCode = error instanceof WebhookVerificationError ? 1 : 3;
}
