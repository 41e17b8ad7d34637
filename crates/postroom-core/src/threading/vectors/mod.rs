//! What goes wrong with threading in the field, each case a story told to a [`desk::Desk`] in memory. A failure names
//! its vector.

mod desk;
mod joining;
mod references;
mod sameness;
mod states;
mod strangers;

/// Every name on the page, and those that were split.
const NAMES: [&str; 47] = [
    "reply-plain",
    "reply-apple-mail-refs-overwritten",
    "reply-ios-ses-rewritten-id",
    "reply-outlook-original-id",
    "child-before-parent",
    "missing-middle",
    "two-children-of-ghost",
    "same-mail-two-mailboxes",
    "same-mail-list-and-direct",
    "reused-mid-different-content",
    "no-mid",
    "mid-without-brackets",
    "in-reply-to-is-address",
    "10000-references",
    "self-reference",
    "reference-loop",
    "stranger-subject-tag",
    "stranger-replays-references",
    "stranger-valid-token",
    "spoofed-customer-dmarc-fail",
    "spoofed-customer-no-dmarc-with-tag",
    "forged-authentication-results-below-the-real-one",
    "forged-authentication-results-of-a-foreign-server",
    "forged-own-id-with-bad-mac",
    "own-format-id-of-another-instance",
    "colleague-same-domain",
    "colleague-freemail",
    "cc-colleague-replies",
    "agent-answers-from-outlook",
    "from-own-mailbox-loop",
    "forward-wg-to-other-mailbox",
    "reply-to-closed-29-days",
    "reply-to-closed-31-days",
    "reply-to-merged",
    "ooo-to-closed",
    "changed-subject",
    "nil-in-reply-to-matches-nothing",
    // Beyond the page: its rules that no vector of it tries.
    "strangers-append",
    "bounce-by-original-id",
    "deleted-is-passed-over",
    "guess-by-subject",
    "thread-index",
    "agent-without-grant-is-a-customer",
    "any-order-gives-the-same-conversations",
    "worked-on-conversations-stay-apart",
    "a-strangers-mail-ties-nothing",
    "disowned-mail-leads-nowhere",
];

type Case = (&'static str, fn());

#[test]
fn vectors_hold() {
    let cases: Vec<Case> =
        [references::CASES, joining::CASES, sameness::CASES, strangers::CASES, states::CASES].concat();
    for name in NAMES {
        let count = cases.iter().filter(|(case, _)| *case == name).count();
        assert_eq!(count, 1, "vector {name} is there {count} times");
    }
    assert_eq!(cases.len(), NAMES.len(), "a case has no name on the list");
    let failed: Vec<&str> = cases
        .iter()
        .filter(|(name, case)| {
            println!("vector {name}");
            std::panic::catch_unwind(case).is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "vectors that failed: {failed:?}");
}
