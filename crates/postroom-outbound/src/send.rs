//! Hands a mail to a mailbox's SMTP server, phase by phase, and says what became of it.
//!
//! The one thing that can't be known is whether a mail was taken when the answer to the final
//! dot is lost (RFC 1047); every other end of the story is told apart from it here.

use crate::address::{for_command, on_the_wire};
use crate::body::Body;
use crate::course::{Course, Point};
use crate::session::{Session, Timeouts, Trouble, reason_of};
use crate::wire::Reply;
use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use postroom_core::mailbox::{Credential, Delivery};
use std::fmt::Display;

/// From whom and to whom, whatever the mail itself says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM; empty for the null sender of RFC 5321 section 4.5.5.
    pub from: String,
    /// MAIL FROM in place of the null sender, where the server refuses that one for good: some relays take
    /// it for a sign of unwanted mail.
    pub instead: Option<String>,
    /// RCPT TO, in the order they are named.
    pub to: Vec<String>,
}

/// Why a recipient was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The address, as the envelope has it.
    pub recipient: String,
    /// There is no use in trying again.
    pub permanent: bool,
    /// The server's code; `None` where it was not asked.
    pub code: Option<u16>,
    /// A sentence of one line, at most 500 characters.
    pub text: String,
}

/// What became of a mail. Reasons are one line of at most 500 characters, fit for the log and
/// for an agent, and never hold the password or the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the mail for at least one recipient.
    Sent {
        /// Code and text of the answer to the mail: some servers name the Message-ID they gave it.
        response: String,
        /// Whom it did not take it for; the transient ones may be tried again, alone.
        refused: Vec<Refusal>,
    },
    /// Nothing was taken; the same bytes may be tried again.
    Deferred {
        /// Why.
        reason: String,
        /// The server's code, if it was a reply.
        code: Option<u16>,
        /// Recipients refused so far; the permanent ones need not be tried again.
        refused: Vec<Refusal>,
    },
    /// Nothing was taken and nothing will be: it is this mail's fault.
    Failed {
        /// Why.
        reason: String,
        /// The server's code, if it was a reply.
        code: Option<u16>,
        /// Recipients refused.
        refused: Vec<Refusal>,
    },
    /// Nothing was taken: the server does not let the mailbox in. All its mail waits for that.
    LoginRefused {
        /// Why.
        reason: String,
    },
    /// The mail went out whole and no answer came: it may have been taken or not.
    Uncertain {
        /// Why.
        reason: String,
        /// Recipients that were refused before the mail went.
        refused: Vec<Refusal>,
    },
}

/// Sends bytes to a mailbox's SMTP server.
///
/// `course` is asked before the login and before the bytes go. CR and LF that stand alone go as CRLF,
/// for servers differ in what they take for the end of a mail (CVE-2023-51764).
///
/// `delivery` must be `Delivery::Smtp`; the sink defers.
pub async fn send(
    delivery: &Delivery,
    credential: Option<&Credential>,
    envelope: &Envelope,
    raw: &[u8],
    timeouts: &Timeouts,
    course: &impl Course,
) -> Outcome {
    let route = match Route::of(envelope) {
        Ok(route) => route,
        Err(reason) => return failed(reason, None),
    };
    let body = Body::of(raw);
    let mut from = route.from.as_ref();
    loop {
        let own_name = from.or(route.instead.as_ref()).map(Address::domain);
        let mut session = match Session::open(delivery, credential, own_name, timeouts, course).await {
            Ok(session) => session,
            Err(Trouble::Later { reason, code }) => {
                return Outcome::Deferred { reason, code, refused: Vec::new() };
            }
            Err(Trouble::Login { reason }) => return Outcome::LoginRefused { reason },
        };
        let mut transaction =
            Transaction { session: &mut session, timeouts, refused: Vec::new(), blames_sender: false };
        let end = transaction.run(from, &route.to, &body, course).await;
        let refused = transaction.refused;
        // not waited for: what is known now must be written down before anything else goes wrong
        tokio::spawn(session.quit());
        return match end {
            // anew, for who refuses may hang up
            Err(End::Sender(reason, _)) if from.is_none() && route.instead.is_some() => {
                tracing::info!(reason, "the null sender is refused, and another one is tried");
                from = route.instead.as_ref();
                continue;
            }
            Ok(response) => Outcome::Sent { response, refused },
            Err(End::Deferred(reason, code)) => Outcome::Deferred { reason, code, refused },
            Err(End::Failed(reason, code) | End::Sender(reason, code)) => {
                Outcome::Failed { reason, code, refused }
            }
            Err(End::Login(reason)) => Outcome::LoginRefused { reason },
            Err(End::Uncertain(reason)) => Outcome::Uncertain { reason, refused },
        };
    }
}

fn failed(reason: impl Display, code: Option<u16>) -> Outcome {
    Outcome::Failed { reason: reason_of(&reason.to_string()), code, refused: Vec::new() }
}

/// An envelope whose addresses have been checked.
struct Route<'a> {
    from: Option<Address>,
    instead: Option<Address>,
    to: Vec<Recipient<'a>>,
}

/// As the envelope has it, and as the server is told.
type Recipient<'a> = (&'a str, Result<Address, &'static str>);

impl<'a> Route<'a> {
    fn of(envelope: &'a Envelope) -> Result<Self, String> {
        let sender = |from: &str| checked(from).map_err(|fault| format!("can't send from {from:?}: {fault}"));
        let (from, instead) = match envelope.from.as_str() {
            "" => (None, envelope.instead.as_deref().map(sender).transpose()?),
            from => (Some(sender(from)?), None),
        };
        if envelope.to.is_empty() {
            return Err("the mail has no recipient".to_owned());
        }
        Ok(Self { from, instead, to: envelope.to.iter().map(|to| (to.as_str(), checked(to))).collect() })
    }
}

fn checked(address: &str) -> Result<Address, &'static str> {
    for_command(&on_the_wire(address)?).ok_or("an address looks like name@example.org")
}

/// Whether an answer to RCPT says itself that it is for the recipient (RFC 3463 sections 3.2 and 3.3: X.1.1 to X.1.6
/// and X.1.10 are about a destination, X.2.Y about a mailbox). One without such a code may be for anything.
fn is_about_recipient(reply: &Reply) -> bool {
    let text = reply.text();
    let mut numbers = text.split_whitespace().next().unwrap_or_default().split('.').skip(1);
    match (numbers.next(), numbers.next()) {
        (Some("1"), Some(detail)) => matches!(detail, "1" | "2" | "3" | "4" | "5" | "6" | "10"),
        (Some("2"), Some(_)) => true,
        _ => false,
    }
}

fn is_ascii(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii()
}

/// How a transaction ends without the mail being taken for sure.
enum End {
    Deferred(String, Option<u16>),
    Failed(String, Option<u16>),
    /// As failed, but it may be for whom it comes from.
    Sender(String, Option<u16>),
    Login(String),
    Uncertain(String),
}

struct Transaction<'a> {
    session: &'a mut Session,
    timeouts: &'a Timeouts,
    refused: Vec<Refusal>,
    /// A recipient was refused for what may lie with whom the mail comes from.
    blames_sender: bool,
}

impl Transaction<'_> {
    async fn run(
        &mut self,
        from: Option<&Address>,
        to: &[Recipient<'_>],
        body: &Body,
        course: &impl Course,
    ) -> Result<String, End> {
        let place = self.session.place.clone();
        tracing::debug!(place, recipients = to.len(), bytes = body.size, "a mail goes to an SMTP server");
        self.mail_from(from, to, body).await?;
        // Postfix says at RCPT what it has against the sender (smtpd_delay_reject, its default).
        self.rcpt_to(to).await.map_err(|end| match end {
            End::Failed(reason, code) if self.blames_sender => End::Sender(reason, code),
            other => other,
        })?;

        let reply = self.ask("DATA", Data, self.timeouts.data).await?;
        if reply.code != 354 {
            return Err(self.verdict("DATA", &reply));
        }
        if !self.session.wire.begin_mail() {
            let reason = format!("{place} answered before it had the mail");
            return Err(End::Deferred(reason, None));
        }
        course.passed(Point::Recipients);
        let sender: &str = from.map_or("", AsRef::as_ref);
        course.data(sender, &self.refused).await.map_err(|error| {
            End::Deferred(
                reason_of(&format!("the mail was not sent, for it could not be noted: {error}")),
                None,
            )
        })?;
        if let Err((broken, last_words)) = self.session.wire.mail(&body.stuffed, self.timeouts.block).await {
            // without the final dot nothing is taken (RFC 5321 section 4.1.1.4)
            return Err(match last_words {
                Some(reply) if !reply.is_done() => self.verdict("the mail", &reply),
                _ => End::Deferred(self.session.broken("the mail", &broken), None),
            });
        }
        course.passed(Point::Bytes);
        let reply = self.session.wire.dot(self.timeouts.dot, || course.passed(Point::Dot)).await;
        let reply = reply.map_err(|broken| {
            let what = self.session.broken("the end of the mail", &broken);
            End::Uncertain(reason_of(&format!("{what}: it may have been taken or not")))
        })?;
        match reply.code {
            200..300 => Ok(reason_of(&format!("{} {}", reply.code, self.session.said(&reply)))),
            400.. => Err(self.verdict("the mail", &reply)),
            // no such answer exists at this point
            _ => Err(End::Uncertain(self.session.refused("the end of the mail", &reply))),
        }
    }

    async fn mail_from(
        &mut self,
        from: Option<&Address>,
        to: &[Recipient<'_>],
        body: &Body,
    ) -> Result<(), End> {
        let offers = &self.session.offers;
        let place = &self.session.place;
        if let Some(limit) = offers.size.filter(|limit| *limit > 0 && body.size > *limit) {
            let size = body.size;
            let reason = format!("the mail is too large: it has {size} bytes, and {place} takes {limit}");
            return Err(End::Failed(reason, None));
        }
        let from_is_ascii = from.is_none_or(is_ascii);
        if !from_is_ascii && !offers.utf8 {
            let reason = format!("{place} takes no mail from addresses outside ASCII (SMTPUTF8)");
            return Err(End::Failed(reason, None));
        }
        if !body.header_is_ascii && !offers.utf8 {
            // RFC 6531 section 3.2: not even to the others, for what they would get is no mail of theirs
            let reason = format!(
                "the mail names an address outside ASCII to all who get it, and {place} takes no such mail \
                 (SMTPUTF8): write to the others alone"
            );
            return Err(End::Failed(reason, None));
        }
        if !body.is_ascii && !offers.eight_bit {
            let reason = format!("{place} takes only 7-bit mail, and this one is not");
            return Err(End::Failed(reason, None));
        }
        let mut parameters = Vec::new();
        if offers.size.is_some() {
            parameters.push(MailParameter::Size(body.size));
        }
        if !body.is_ascii {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let needs_utf8 = !from_is_ascii
            || !body.header_is_ascii
            || to.iter().flat_map(|(_, to)| to).any(|to| !is_ascii(to));
        if offers.utf8 && needs_utf8 {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let reply =
            self.ask("MAIL FROM", Mail::new(from.cloned(), parameters), self.timeouts.command).await?;
        match reply.code {
            200..300 => Ok(()),
            // RFC 4954 section 6: it wants a login, or another one
            530 | 534 | 535 | 538 => Err(End::Login(self.session.refused("MAIL FROM", &reply))),
            _ => Err(match self.verdict("MAIL FROM", &reply) {
                End::Failed(reason, code) => End::Sender(reason, code),
                other => other,
            }),
        }
    }

    /// Names every recipient; that one is refused stops none of the others.
    async fn rcpt_to(&mut self, recipients: &[Recipient<'_>]) -> Result<(), End> {
        let mut accepted = 0;
        for (recipient, address) in recipients {
            let address = match address {
                Ok(address) if is_ascii(address) || self.session.offers.utf8 => address,
                Ok(_) => {
                    let place = &self.session.place;
                    let text = format!("{place} sends no mail to addresses outside ASCII (SMTPUTF8)");
                    self.refuse(recipient, true, None, text);
                    continue;
                }
                Err(fault) => {
                    self.refuse(recipient, true, None, (*fault).to_owned());
                    continue;
                }
            };
            let reply =
                self.ask("RCPT TO", Rcpt::new(address.clone(), Vec::new()), self.timeouts.command).await?;
            if reply.is_done() {
                accepted += 1;
                continue;
            }
            if reply.code == 421 {
                // it hangs up: there is no point in naming the others
                return Err(self.verdict("RCPT TO", &reply));
            }
            self.blames_sender |= reply.is_permanent() && !is_about_recipient(&reply);
            let text = self.session.refused("RCPT TO", &reply);
            self.refuse(recipient, reply.is_permanent(), Some(reply.code), text);
        }
        if accepted > 0 {
            return Ok(());
        }
        // where some may be tried again, they say how the mail stands
        let decisive = self.refused.iter().find(|refusal| !refusal.permanent).or(self.refused.first());
        let Some(decisive) = decisive else {
            return Err(End::Failed("the mail has no recipient".to_owned(), None));
        };
        let reason = reason_of(&format!("no recipient was accepted: {}", decisive.text));
        Err(if decisive.permanent {
            End::Failed(reason, decisive.code)
        } else {
            End::Deferred(reason, decisive.code)
        })
    }

    fn refuse(&mut self, recipient: &str, permanent: bool, code: Option<u16>, text: String) {
        let recipient = recipient.to_owned();
        self.refused.push(Refusal { recipient, permanent, code, text: reason_of(&text) });
    }

    /// A command before the mail: if no answer comes, nothing has been taken.
    async fn ask(
        &mut self,
        phase: &str,
        command: impl Display,
        limit: std::time::Duration,
    ) -> Result<Reply, End> {
        let reply = self.session.wire.command(command, limit).await;
        reply.map_err(|broken| End::Deferred(self.session.broken(phase, &broken), None))
    }

    fn verdict(&self, phase: &str, reply: &Reply) -> End {
        let reason = self.session.refused(phase, reply);
        if reply.is_permanent() {
            End::Failed(reason, Some(reply.code))
        } else {
            End::Deferred(reason, Some(reply.code))
        }
    }
}

#[cfg(test)]
mod tests;
