//! What can go wrong with an operation, as its caller may be told.

use crate::ports::{ComposeError, KeepError, MailPart};
use crate::store::StoreError;

/// One member of the input that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the member: `/customer/email`.
    pub pointer: String,
    /// A word for programs: `invalid_email`, `too_long`, `unknown_field`.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    /// A fault of the member at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// What is said where the database or the folder of large files had no room for a write.
pub const FULL: &str = "the disk is full and nothing can be written; free some space, and the daemon goes on \
                        by itself (mail waits where it is, and nothing that was accepted is lost)";

/// What is said where the database or the data folder is read-only.
pub const READ_ONLY: &str = "the data folder is read-only and nothing can be written; make it writable for the \
                             daemon, which then goes on by itself (mail waits where it is)";

/// Why an operation was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It isn't there, or the caller may not know that it is.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The input breaks a rule; every fault is named.
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    /// The cursor is not one of ours, or belongs to another list.
    #[error("the cursor does not belong to this list; start again without one")]
    BadCursor,
    /// A query is not as it must be, or asks for what is not there.
    #[error(transparent)]
    BadQuery(#[from] crate::query::QueryError),
    /// Events up to this number are no longer kept.
    #[error("events up to {floor} are no longer kept; start from there")]
    Expired {
        /// The last number that is gone.
        floor: i64,
    },
    /// The log no longer tells all that changed since an export stood here.
    #[error(
        "what changed since is not kept any more, or the desk was restored; begin the export anew, without a cursor"
    )]
    ExportExpired,
    /// The caller saw an older version than there is now.
    #[error("the {noun} has changed since; read it again")]
    Stale {
        /// What changed.
        noun: &'static str,
        /// The ETag it has now, without quotes.
        etag: String,
    },
    /// The caller set a condition (`If-Match: *`, `If-None-Match`) that does not hold.
    #[error("{detail}")]
    Unmet {
        /// A sentence.
        detail: &'static str,
        /// The ETag of what is there, without quotes.
        etag: Option<String>,
    },
    /// Messages came into the conversation, or are on their way out of it, that the caller has not seen.
    #[error("the conversation has moved on: read what is new, then write again")]
    MovedOn {
        /// The first of them, oldest first.
        messages: Vec<crate::id::MessageId>,
    },
    /// It exists already.
    #[error("{detail}")]
    AlreadyExists {
        /// A sentence.
        detail: String,
        /// Which one, where the caller may know.
        existing_id: Option<i64>,
    },
    /// What was asked for under this `Idempotency-Key` is still being worked on.
    #[error("the request with this Idempotency-Key is still being worked on; send it again in a while")]
    KeyInProgress,
    /// The `Idempotency-Key` came with another request before.
    #[error("this Idempotency-Key was used for another request; choose a new one")]
    KeyReused,
    /// It can't be done in the state things are in.
    #[error("{0}")]
    StateConflict(String),
    /// The token lacks this scope.
    #[error("the token lacks the scope {0}")]
    MissingScope(crate::access::Scope),
    /// Somebody who signs in is not let in; why is told to nobody.
    #[error("address, password or code is not right")]
    SignInFailed,
    /// The password is right, and a code is asked for besides.
    #[error("send a code as well")]
    CodeRequired,
    /// It was tried too often.
    #[error("too many tries; try again in {seconds} s")]
    Throttled {
        /// Until the next may be made.
        seconds: u64,
    },
    /// The caller sees it but may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Somebody outside, whom it takes, can't be asked just now.
    #[error("{0}")]
    Provider(String),
    /// More than is taken at once.
    #[error("{0}")]
    TooLarge(String),
    /// Another daemon has taken the mailbox over: what this one still writes no longer counts.
    #[error("another daemon has this mailbox now")]
    LeaseLost,
    /// Everything is busy just now; the caller may try again.
    #[error("the database is busy")]
    Busy,
    /// It asks for more than can be found in the time that one query has.
    #[error(
        "this took too long and was broken off; ask for less: one mailbox or state, a shorter time, no count, or \
         words to look for"
    )]
    TooSlow,
    /// There is no room to write. Nothing was changed, and reading goes on.
    #[error("{0}")]
    StorageFull(&'static str),
    /// The disk did not keep what was written to it: the process ends, and whether the change is there
    /// will be seen when it has started again.
    #[error("the disk did not keep what was written to it; the daemon ends")]
    Unsynced,
    /// The store failed.
    #[error("the store failed while {doing}")]
    Store {
        /// What was attempted.
        doing: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A kept file can't be read or written.
    #[error("the kept files can't be reached")]
    Blob(#[source] crate::ports::PortError),
    /// Kept bytes are gone, or are not what they were: which, and how. No other try brings them back.
    #[error("kept bytes are lost: {0}")]
    Lost(String),
    /// A mail server of a mailbox can't be reached or will not answer.
    #[error("the mailbox's mail can't be looked at: {0}")]
    MailServer(crate::ports::PortError),
    /// A mail could not be made out of what was given.
    #[error("the mail could not be composed")]
    Compose(#[source] crate::ports::PortError),
}

impl From<KeepError> for Error {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Full(why) => {
                tracing::warn!(error = ?why, "a large file found no room");
                Self::StorageFull(FULL)
            }
            KeepError::Unsynced(why) => {
                tracing::error!(error = ?why, "a large file is not safe on the disk");
                Self::Unsynced
            }
            KeepError::Failed(why) => Self::Blob(why),
        }
    }
}

impl Error {
    /// A single faulty member.
    pub fn invalid(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// The word of the contract for an error that is about what was asked for: another part of a larger request
    /// may be done all the same. `None`: it is a failure inside, or asks for the whole to be run again.
    pub fn refusal(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "validation_failed",
            Self::BadQuery(_) => "bad_query",
            Self::Stale { .. } | Self::Unmet { .. } => "version_conflict",
            Self::MovedOn { .. } => "conversation_moved_on",
            Self::AlreadyExists { .. } => "already_exists",
            Self::StateConflict(_) => "state_conflict",
            Self::MissingScope(_) => "insufficient_scope",
            Self::Forbidden(_) => "forbidden",
            Self::TooLarge(_) => "too_large",
            Self::BadCursor
            | Self::Expired { .. }
            | Self::ExportExpired
            | Self::KeyInProgress
            | Self::KeyReused
            | Self::Provider(_)
            | Self::LeaseLost
            | Self::Busy
            | Self::TooSlow
            | Self::SignInFailed
            | Self::CodeRequired
            | Self::Throttled { .. }
            | Self::StorageFull(_)
            | Self::Unsynced
            | Self::Store { .. }
            | Self::Blob(_)
            | Self::Lost(_)
            | Self::MailServer(_)
            | Self::Compose(_) => return None,
        })
    }

    /// The same of an input whose member `from` is called `to` by the caller.
    #[must_use]
    pub fn renamed(self, from: &str, to: &str) -> Self {
        let renamed = |fault: FieldError| {
            if fault.pointer == from { FieldError { pointer: to.to_owned(), ..fault } } else { fault }
        };
        match self {
            Self::Invalid(faults) => Self::Invalid(faults.into_iter().map(renamed).collect()),
            other => other,
        }
    }

    /// The same of an input that stands at `pointer` in a larger one.
    #[must_use]
    pub fn below(self, pointer: &str) -> Self {
        let below =
            |fault: FieldError| FieldError { pointer: format!("{pointer}{}", fault.pointer), ..fault };
        match self {
            Self::Invalid(faults) => Self::Invalid(faults.into_iter().map(below).collect()),
            other => other,
        }
    }
}

impl From<ComposeError> for Error {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::Unfit { part, code, detail } => {
                let pointer = match part {
                    MailPart::From => "/from",
                    MailPart::Recipients => "/to",
                    MailPart::Text => "/text",
                };
                Self::invalid(pointer, code, detail)
            }
            ComposeError::Failed(why) => Self::Compose(why),
        }
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        match source {
            StoreError::Busy => Self::Busy,
            StoreError::TooSlow => Self::TooSlow,
            StoreError::Full => Self::StorageFull(FULL),
            StoreError::ReadOnly => Self::StorageFull(READ_ONLY),
            StoreError::Unsynced => Self::Unsynced,
            StoreError::Taken => Self::AlreadyExists {
                detail: "somebody else has just taken this name or address".to_owned(),
                existing_id: None,
            },
            source => Self::Store { doing: "working on it", source },
        }
    }
}

/// Collects the faults of an input, so that the caller hears of all at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault, once: what two rules find is told once.
    pub fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        let fault = FieldError::new(pointer, code, detail);
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Text of one line: not empty, not over `max` characters, no NUL and no line break, which in the head
    /// of a mail would end it.
    pub fn line(&mut self, pointer: &str, text: &str, max: usize) {
        self.required(pointer, text);
        self.header_name(pointer, text, max);
    }

    /// Text of any number of lines: not empty, not over `max` characters, no NUL.
    pub fn lines(&mut self, pointer: &str, text: &str, max: usize) {
        self.required(pointer, text);
        self.length(pointer, text, max);
    }

    fn required(&mut self, pointer: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(pointer, "required", "must not be empty");
        }
    }

    /// Text that may be empty: not over `max` characters, no NUL.
    pub fn length(&mut self, pointer: &str, text: &str, max: usize) {
        if text.chars().count() > max {
            self.add(pointer, "too_long", format!("has at most {max} characters"));
        }
        if text.contains('\0') {
            self.add(pointer, "nul_character", "must not hold U+0000");
        }
    }

    /// A name as it stands in the head of a mail: [`Faults::length`], and no line break, which would end
    /// its line there.
    pub fn header_name(&mut self, pointer: &str, name: &str, max: usize) {
        self.length(pointer, name, max);
        if name.contains(['\r', '\n']) {
            self.add(pointer, "line_break", "must be one line");
        }
    }

    /// An address that can be written to.
    pub fn email(&mut self, pointer: &str, address: &str) {
        if let Some(fault) = crate::text::address_fault(address) {
            self.add(pointer, "invalid_email", fault);
        }
    }

    /// Fails if anything was noted.
    pub fn check(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
