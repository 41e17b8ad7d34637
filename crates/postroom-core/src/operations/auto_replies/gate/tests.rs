//! Every condition of the gate by itself.

use super::*;

const NOW: Timestamp = Timestamp(1_795_334_400_000_000);

/// A mail that may be answered, for a test to spoil.
fn good() -> Facts {
    Facts {
        class: Class::Human,
        sender_auth: SenderAuth::None,
        flags: Vec::new(),
        hints: AnswerHints::default(),
        sender: "ada@example.net".to_owned(),
        recipients: vec!["bob@example.net".to_owned(), "support@example.org".to_owned()],
        came: NOW,
        status: Status::Open,
        is_trashed: false,
        mailbox: vec!["support@example.org".to_owned(), "help@example.org".to_owned()],
        own: ["support@example.org", "help@example.org", "sales@example.org"].map(str::to_owned).into(),
        is_agent: false,
        is_undeliverable: false,
        has_complained: false,
        now: NOW,
    }
}

fn spoilt(spoil: impl FnOnce(&mut Facts)) -> Option<Withheld> {
    let mut facts = good();
    spoil(&mut facts);
    refusal(&facts)
}

fn from(sender: &str) -> Option<Withheld> {
    spoilt(|facts| sender.clone_into(&mut facts.sender))
}

fn to(recipients: &[&str]) -> Option<Withheld> {
    spoilt(|facts| facts.recipients = recipients.iter().map(|&to| to.to_owned()).collect())
}

#[test]
fn a_mail_that_a_person_wrote_to_us_may_be_answered() {
    assert_eq!(refusal(&good()), None);
    assert_eq!(to(&["help@example.org"]), None, "an alias");
    assert_eq!(to(&["support+x@example.org"]), None);
}

#[test]
fn only_what_a_person_wrote_is_answered() {
    for class in Class::ALL.iter().filter(|class| **class != Class::Human) {
        assert_eq!(spoilt(|facts| facts.class = *class), Some(Withheld::Class), "{class}");
    }
}

#[test]
fn what_its_domain_disowns_is_not() {
    let why = Some(Withheld::SenderDisowned);
    assert_eq!(spoilt(|facts| facts.sender_auth = SenderAuth::Fail), why);
    assert_eq!(spoilt(|facts| facts.flags = vec![Flag::Suspicious]), why);
    assert_eq!(spoilt(|facts| facts.sender_auth = SenderAuth::Pass), None);
}

#[test]
fn nor_is_spam_by_anybodys_word() {
    let why = Some(Withheld::Spam);
    assert_eq!(spoilt(|facts| facts.hints.is_marked_spam = true), why);
    assert_eq!(spoilt(|facts| facts.flags = vec![Flag::Junk]), why);
    assert_eq!(spoilt(|facts| facts.status = Status::Spam), why);
}

#[test]
fn nor_what_comes_from_nobody() {
    assert_eq!(spoilt(|facts| facts.hints.has_null_path = true), Some(Withheld::NullReturnPath));
    assert_eq!(from(""), Some(Withheld::NoSender));
    assert_eq!(from("nonsense"), Some(Withheld::NoSender));
}

#[test]
fn nor_our_own_and_the_agents() {
    for own in ["support@example.org", "sales@example.org", "sales+lists@example.org"] {
        assert_eq!(from(own), Some(Withheld::OwnSender), "{own}");
    }
    assert_eq!(spoilt(|facts| facts.is_agent = true), Some(Withheld::AgentSender));
}

#[test]
fn nor_offices_and_lists() {
    for local in [
        "mailer-daemon",
        "postmaster",
        "post_master",
        "root",
        "abuse",
        "bounce",
        "bounces+ada=example.net",
        "noreply",
        "no-reply",
        "no.reply-shop",
        "donotreply",
        "do_not_reply",
        "owner-news",
        "news-request",
        "news-owner",
        "news-bounces",
        "majordomo",
    ] {
        assert_eq!(from(&format!("{local}@example.net")), Some(Withheld::RoleSender), "{local}");
    }
    for person in ["ada", "info", "rooth", "noreen", "daemonica", "request"] {
        assert_eq!(from(&format!("{person}@example.net")), None, "{person}");
    }
}

#[test]
fn nor_what_asks_for_none() {
    assert_eq!(spoilt(|facts| facts.hints.is_declined = true), Some(Withheld::Declined));
}

#[test]
fn nor_what_was_not_written_to_the_mailbox() {
    let why = Some(Withheld::NotAddressed);
    assert_eq!(to(&["list@example.net"]), why);
    assert_eq!(to(&["sales@example.org"]), why, "another mailbox's");
    assert_eq!(to(&[]), why);
}

#[test]
fn nor_what_is_older_than_a_day() {
    assert_eq!(spoilt(|facts| facts.now = NOW.plus(FRESH)), None);
    let later = NOW.plus(FRESH).plus(Duration::from_secs(1));
    assert_eq!(spoilt(|facts| facts.now = later), Some(Withheld::Old));
}

#[test]
fn nor_what_somebody_dealt_with() {
    for status in [Status::Closed, Status::Pending, Status::Snoozed] {
        assert_eq!(spoilt(|facts| facts.status = status), Some(Withheld::Handled), "{status}");
    }
    assert_eq!(spoilt(|facts| facts.is_trashed = true), Some(Withheld::Handled));
}

#[test]
fn nor_who_can_not_be_reached_or_does_not_want_it() {
    assert_eq!(spoilt(|facts| facts.is_undeliverable = true), Some(Withheld::Undeliverable));
    assert_eq!(spoilt(|facts| facts.has_complained = true), Some(Withheld::Complained));
}
