//! What the document says of limits, made out of the limits themselves.

use crate::body::JSON_BYTES;
use crate::idempotency::KEY_CHARS;
use crate::payload::{BYTES_A_SECOND, PATIENCE};
use crate::routes::{STREAMS, STREAMS_EACH};
use crate::uploads::UPLOADS_EACH;
use postroom_core::desk::Settings;
use postroom_core::operations::{conversations, jobs};
use postroom_core::page::PageRequest;
use postroom_core::query::{QUERY_CHARS, TERMS};

/// A paragraph for whoever sends more than a little.
pub fn limits() -> String {
    let usual = Settings::default();
    let (mail, file) = (usual.mail_bytes / MIB, usual.upload_bytes / MIB);
    let (page, json) = (PageRequest::MAX, JSON_BYTES / MIB);
    let (named, batch) = (jobs::NAMED, conversations::AT_ONCE);
    let (patience, pace) = (PATIENCE.as_secs(), BYTES_A_SECOND / 1_024);
    let question = usual.query_time.as_secs();
    format!(
        "**How much.** A page has 1 to {page} rows; `q` has {QUERY_CHARS} characters and {TERMS} terms; a batch has \
         {batch} conversations, and a bulk names {named} or finds any number. A JSON body has {json} MiB, a file \
         {file} MiB, a mail {mail} MiB (files and mails unless the daemon is set up otherwise); more is 413. Each token sends \
         {UPLOADS_EACH} files at a time, a third is 429, and as many mails, a third waits. A body has {patience} \
         seconds, and one more for each {pace} KiB that came; then it is 408, and the connection ends, as it does \
         where an answer needs no more of a body. Each token follows {STREAMS_EACH} streams (unless the daemon is set \
         up otherwise) of {STREAMS} in all; one more takes the place of its oldest. An `Idempotency-Key` has \
         {KEY_CHARS} characters. A question keeps the database busy for {question} seconds (unless the daemon is set \
         up otherwise): then it is 503 `query_too_slow`, and asks for less."
    )
}

const MIB: usize = 1024 * 1024;
