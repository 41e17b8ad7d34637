use super::*;
use crate::id::MessageId;

const OWN: &str = "support@desk.example";

fn signer() -> Signer {
    Signer::new([7; 32])
}

fn address(email: &str) -> Address {
    Address { name: None, email: email.to_owned() }
}

fn mail(message_id: &str, in_reply_to: &str, references: &str) -> Mail {
    let mut mail = Mail::unreadable("");
    mail.message_id = vec![message_id.to_owned()];
    mail.in_reply_to = in_reply_to.to_owned();
    mail.references = references.to_owned();
    mail.from = vec![address("Ada@Example.org")];
    mail
}

fn keys_of(mail: &Mail) -> Keys {
    read(mail, &HashSet::from([OWN.to_owned()]), &signer())
}

#[test]
fn ids_are_what_stands_in_brackets() {
    assert_eq!(normalise_id("<A b\r\n\t@X>").as_deref(), Some("Ab@X"));
    assert_eq!(normalise_id("note <a@x> note").as_deref(), Some("a@x"));
    assert_eq!(normalise_id("a@x").as_deref(), Some("a@x"));
    assert_eq!(normalise_id("<a@x").as_deref(), Some("a@x"));
    assert_eq!(normalise_id("<a\0@x>").as_deref(), Some("a@x"));
    for nothing in
        ["", "<>", "< >", "<none>", "<NULL>", "<Undisclosed-Recipients:;>", "<@>", "none", "<none> a@x"]
    {
        assert_eq!(normalise_id(nothing), None, "{nothing:?}");
    }
}

#[test]
fn a_long_id_becomes_its_hash() {
    let edge = "x".repeat(ID_BYTES);
    assert_eq!(normalise_id(&format!("<{edge}>")), Some(edge.clone()));
    let hashed = normalise_id(&format!("<{edge}x>")).expect("is an id");
    assert!(hashed.starts_with("sha256:") && hashed.len() == 71, "{hashed}");
    // SHA-256 of 513 times "x", by another program.
    assert_eq!(hashed, "sha256:35ade0090e64e74d6ad04204009c23a4e34b82bdf0f4f317fbcc5f26f9b10241");
}

#[test]
fn brackets_are_read_as_people_break_them() {
    let ids = |text| bracketed(text).collect::<Vec<_>>();
    assert_eq!(ids("<a> <b>,<c>"), ["a", "b", "c"]);
    assert_eq!(ids("<a <b> c> d<e>"), ["b", "e"]);
    assert_eq!(ids("a b < > <"), [" "]);
    assert!(ids("no ids").is_empty());
}

#[test]
fn the_nearest_comes_first() {
    let keys = keys_of(&mail("<me@x>", "<p@x> <q@x>", "<r@x> <s@x> <p@x>"));
    assert_eq!(keys.message_id.as_deref(), Some("me@x"));
    assert_eq!(keys.candidates, ["p@x", "q@x", "s@x", "r@x"]);
    assert_eq!(keys.ghosts, keys.candidates);
    assert_eq!(keys.answered, 2);
}

#[test]
fn an_id_names_no_address_and_not_the_mail_itself() {
    let mut mail = mail("<me@x>", "<ADA@example.org>", "<me@x> <support@DESK.example> <eve@y> <r@x>");
    mail.cc = vec![address("eve@y")];
    let keys = keys_of(&mail);
    assert_eq!(keys.candidates, ["r@x"]);
    mail.in_reply_to = "<ada@xn--bcher-kva.example>".into();
    mail.reply_to = vec![address("ada@bücher.example")];
    assert_eq!(keys_of(&mail).candidates, ["r@x"]);
}

#[test]
fn text_beside_an_id_makes_no_ghost() {
    let keys = keys_of(&mail("<me@x>", "Your message of Monday <p@x>", "<r@x>"));
    assert_eq!(keys.candidates, ["p@x", "r@x"]);
    assert_eq!(keys.ghosts, ["r@x"]);
    let both = keys_of(&mail("<me@x>", "Your message <p@x>", "<r@x> <p@x>"));
    assert_eq!(both.candidates, ["p@x", "r@x"]);
    assert_eq!(both.ghosts, ["p@x", "r@x"]);
    assert!(keys_of(&mail("<me@x>", "p@x", "q@x")).candidates.is_empty());
}

#[test]
fn of_many_references_the_first_and_the_last_are_read() {
    let ids = |count| (0..count).map(|n| format!("<{n}@x> ")).collect::<Vec<_>>().concat();
    let many: String = ids(10_000);
    let keys = keys_of(&mail("<me@x>", "", &many));
    assert_eq!(keys.candidates.len(), 100);
    assert_eq!(keys.candidates[0], "9999@x");
    assert_eq!(keys.candidates[98], "9901@x");
    assert_eq!(keys.candidates[99], "0@x");
    let hundred = ids(100);
    assert_eq!(keys_of(&mail("<me@x>", "", &hundred)).candidates.len(), 100);
    let both = keys_of(&mail("<me@x>", &many.replace("@x", "@y"), &many));
    assert_eq!(both.candidates.len(), 200);
}

#[test]
fn the_first_message_id_counts_and_the_others_are_aliases() {
    let mut mail = mail("<none>", "<b@x> <c@x> <d@x>", "");
    mail.message_id.extend(["a@x <".to_owned(), "<b@x> <b2@x>".to_owned(), "<a@x>".to_owned()]);
    mail.other_ids = vec!["<c@x>".into(), "<b@x>".into(), "<a@x>".into()];
    let keys = keys_of(&mail);
    assert_eq!(keys.message_id.as_deref(), Some("a@x"));
    assert_eq!(keys.aliases, ["b@x", "b2@x", "c@x"]);
    assert_eq!(keys.candidates, ["d@x"], "own names are no references");
    let names: Vec<_> = keys.names().collect();
    assert_eq!(names[0], ("a@x", IdKind::Real));
    assert_eq!(names[1], ("b@x", IdKind::Alias));
    assert_eq!(names[4], ("d@x", IdKind::Ghost));
}

#[test]
fn a_mail_without_an_id_has_none() {
    for id in ["", "<>", "<none>"] {
        assert_eq!(keys_of(&mail(id, "", "")).message_id, None);
    }
}

#[test]
fn a_report_is_about_what_it_says_alone() {
    let mut mail = mail("<me@x>", "<p@x>", "<r@x>");
    mail.about_ids = vec!["<a@x>".into(), "b@x".into()];
    for class in [Class::Bounce, Class::Receipt, Class::Complaint] {
        mail.class = class;
        let keys = keys_of(&mail);
        assert_eq!(keys.candidates, ["a@x", "b@x"]);
        assert!(keys.ghosts.is_empty());
    }
    mail.class = Class::AutoReply;
    assert_eq!(keys_of(&mail).candidates, ["p@x", "r@x"]);
}

#[test]
fn seals_are_read_wherever_they_stand() {
    let seal = |conversation| signer().conversation_reference(ConversationId(conversation), "desk.example");
    let token = |conversation| {
        let id = seal(conversation);
        id.trim_matches(['<', '>']).split('@').next().expect("has a local part").to_owned()
    };
    let message = signer().message_id(ConversationId(2), MessageId(9), [1; 10], "desk.example");
    let mut mail = mail("<me@x>", &message, &format!("{} <r@x>", seal(1)));
    mail.to = vec![address(&format!("Support+{}@desk.example", token(3).to_uppercase()))];
    mail.delivered_to = vec![format!("support+{}@desk.example", token(3))];
    mail.cc = vec![address(&format!("support+{}@desk.example", token(4)))];
    let keys = keys_of(&mail);
    let found: Vec<i64> = keys.seals.iter().map(|(_, own)| own.conversation_id().0).collect();
    assert_eq!(found, [2, 3, 4, 1], "the nearest first");
    assert_eq!(keys.broken_seals, 0);
    assert_eq!(keys.candidates.len(), 3);
    assert_eq!(keys.conversations().map(|id| id.0).collect::<Vec<_>>(), [2, 3, 4, 1]);
}

#[test]
fn broken_seals_are_counted_and_count_as_foreign_ids() {
    let other = Signer::new([8; 32]);
    let id = other.message_id(ConversationId(2), MessageId(9), [1; 10], "desk.example");
    let plus = other.conversation_reference(ConversationId(3), "desk.example");
    let mut mail = mail("<me@x>", &id, &id);
    let token = plus.trim_matches(['<', '>']);
    mail.to = vec![address(&format!("support+{token}")), address(&format!("support+{token}"))];
    let keys = keys_of(&mail);
    assert!(keys.seals.is_empty());
    assert_eq!(keys.broken_seals, 2);
    assert_eq!(keys.candidates.len(), 1);
}

#[test]
fn a_thread_index_is_no_id_that_anybody_can_write() {
    let mut mail = mail("<me@x>", "<thread-index AdAbc=>", "");
    mail.thread_index = Some("AdAbc=".into());
    let keys = keys_of(&mail);
    let index = keys.thread_index.expect("was given");
    assert!(index.contains(' '));
    assert!(!keys.candidates.contains(&index));
    mail.thread_index = Some(String::new());
    assert_eq!(keys_of(&mail).thread_index, None);
}

#[test]
fn a_lone_wrapped_mail_is_a_forward() {
    let mut mail = mail("<me@x>", "", "");
    mail.subject = "Re: [#12] Printer broken".into();
    let keys = keys_of(&mail);
    assert!(keys.is_reply && !keys.is_forward);
    assert_eq!(keys.subject_number, Some(ConversationId(12)));
    assert_eq!(keys.base_subject, "printer broken");
    mail.is_wrapped_mail = true;
    let keys = keys_of(&mail);
    assert!(!keys.is_reply && keys.is_forward);
}

/// Whatever stands in the headers, what comes out can be stored and compared.
#[test]
fn arbitrary_headers_keep_the_promises() {
    const BITS: [&str; 19] = [
        "<",
        ">",
        "<>",
        " ",
        "\r\n\t",
        "\0",
        "a@x",
        "me@x",
        "ada@example.org",
        ",",
        "é",
        "none",
        "c.1.2.",
        "\u{202E}",
        "t.1.0123456789abcdef@x",
        "<b@x>",
        "<d@x>",
        "<e f@x>",
        "<g\0@x>",
    ];
    let mut seed: u64 = 42;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut seen = 0;
    for _ in 0..5_000 {
        let mut header = || (0..next() % 40).map(|_| BITS[next() % BITS.len()]).collect::<String>();
        let mail = mail(&header(), &header(), &header());
        let keys = keys_of(&mail);
        seen += keys.candidates.len();
        for id in keys.ids() {
            assert!(!id.is_empty() && id.len() <= ID_BYTES, "{mail:?}");
            assert!(
                !id.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<' || c == '>'),
                "{id:?}"
            );
        }
        assert!(keys.candidates.iter().all(|id| Some(id) != keys.message_id.as_ref()));
        assert!(keys.candidates.iter().all(|id| id != "ada@example.org"));
        assert!(keys.ghosts.iter().all(|id| keys.candidates.contains(id)));
        assert!(keys.answered <= keys.candidates.len());
        let distinct: HashSet<&String> = keys.candidates.iter().collect();
        assert_eq!(distinct.len(), keys.candidates.len());
    }
    assert!(seen > 5_000, "the test saw too few ids: {seen}");
}
