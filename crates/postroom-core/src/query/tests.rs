//! The grammar: what is read, what is refused and where, and that it is read again as it was printed.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Query {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn only(text: &str) -> Condition {
    let mut query = read(text);
    assert_eq!(query.terms.len(), 1, "{query}");
    let term = query.terms.remove(0);
    assert!(!term.is_negated);
    term.condition
}

fn at(text: &str) -> Moment {
    Moment::At(Timestamp::parse(text).expect("a time"))
}

#[test]
fn the_example_of_the_contract_is_read() {
    let text = "is:open assignee:me tag:billing from:ada@example.org subject:\"late order\" \
                created:>=2026-01-01 -tag:spam free words";
    let query = read(text);
    let text = |text: &str, is_exact| Text { text: text.to_owned(), is_exact };
    let wanted = [
        Condition::Status(vec![Status::Open]),
        Condition::Assignee(vec![Whom::Me]),
        Condition::Tag(vec!["billing".to_owned()]),
        Condition::From(vec!["ada@example.org".to_owned()]),
        Condition::Text(Place::Subject, text("late order", true)),
        Condition::Time(TimeField::Created, Span { since: Some(at("2026-01-01T00:00:00Z")), before: None }),
        Condition::Tag(vec!["spam".to_owned()]),
        Condition::Text(Place::Anywhere, text("free", false)),
        Condition::Text(Place::Anywhere, text("words", false)),
    ];
    let conditions: Vec<Condition> = query.terms.iter().map(|term| term.condition.clone()).collect();
    assert_eq!(conditions, wanted);
    let negated: Vec<bool> = query.terms.iter().map(|term| term.is_negated).collect();
    assert_eq!(negated, [false, false, false, false, false, false, true, false, false]);
    assert!(query.asks_for_me());
    assert!(parse("-is:unread").unwrap().asks_for_me());
    assert_eq!(parse("is:unread").unwrap().to_string(), "is:unread");
    assert!(parse("is:unread,open").unwrap_err().detail.contains("unread stands alone"));
}

#[test]
fn every_field_is_read_and_the_list_of_them_is_whole() {
    for (field, value) in [
        ("is", "open,pending"),
        ("assignee", "me,none,7"),
        ("follower", "me,none,7"),
        ("team", "none,7"),
        ("category", "7"),
        ("mailbox", "1,2"),
        ("customer", "77"),
        ("from", "@example.org"),
        ("tag", "\"late order\",vip"),
        ("priority", ">=high"),
        ("channel", "email"),
        ("waiting_on", "third_party"),
        ("has", "attachment"),
        ("subject", "late"),
        ("file", "bill.pdf"),
        ("id", "1234"),
        ("created", "2026-01-01"),
        ("updated", "<-7d"),
        ("closed", "2026-01-01..*"),
        ("last_message", ">=2026-01-01T08:00:00+02:00"),
        ("waiting", "<-4h"),
        ("field.order_no", "881,\"8 82\""),
        ("customer.plan", "paid"),
    ] {
        let listed = field.split_once('.').map_or(field.to_owned(), |(of, _)| format!("{of}.KEY"));
        assert!(FIELDS.iter().any(|(name, _)| *name == listed), "{field}");
        let query = read(&format!("{field}:{value}"));
        assert_eq!(read(&query.to_string()), query, "{query}");
    }
    assert_eq!(FIELDS.len(), 23);
    assert_eq!(only("IS:Open"), only("status:open"));
    assert_eq!(only("priority:>normal"), Condition::Priority(vec![Priority::High, Priority::Urgent]));
    assert_eq!(only("priority:<=normal"), Condition::Priority(vec![Priority::Low, Priority::Normal]));
    let quoted = Text { text: "a \"b\" \\".to_owned(), is_exact: true };
    assert_eq!(only(r#""a \"b\" \\""#), Condition::Text(Place::Anywhere, quoted));
    assert_eq!(read("  "), Query::default());
    // What only looks like a field is text.
    assert!(matches!(only("10:30"), Condition::Text(Place::Anywhere, _)));
    assert!(matches!(only("\"is:open\""), Condition::Text(Place::Anywhere, _)));
}

#[test]
fn times_are_days_moments_and_how_long_ago() {
    let span = |text: &str| match only(&format!("created:{text}")) {
        Condition::Time(TimeField::Created, span) => (span.since, span.before),
        other => panic!("{other:?}"),
    };
    let (first, second) = (Some(at("2026-01-31T00:00:00Z")), Some(at("2026-02-01T00:00:00Z")));
    assert_eq!(span("2026-01-31"), (first, second));
    assert_eq!(span(">2026-01-31"), (second, None));
    assert_eq!(span(">=2026-01-31"), (first, None));
    assert_eq!(span("<2026-01-31"), (None, first));
    assert_eq!(span("<=2026-01-31"), (None, second));
    assert_eq!(span("2026-01-31..2026-01-31"), (first, second));
    assert_eq!(span("*..2026-01-31"), (None, second));
    assert_eq!(span(">2026-01-30T23:59:59.999999Z"), (first, None));
    assert_eq!(span("<-2w"), (None, Some(Moment::MinutesAgo(2 * 7 * 24 * 60))));
    assert_eq!(span("-7d..-90m").0, Some(Moment::MinutesAgo(7 * 24 * 60)));
    let now = Timestamp::parse("2026-02-02T00:00:00Z").expect("a time");
    let resolved = read("created:>=-1d").asked_at(now);
    assert_eq!(resolved.to_string(), "created:>=2026-02-01T00:00:00.000000Z");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, position, said) in [
        ("is:new", 4, "one of open, pending"),
        ("late is:", 9, "needs a value"),
        ("is:open,", 9, "needs a value"),
        ("é color:red", 3, "no field \"color\""),
        ("-color:red", 2, "no field \"color\""),
        ("\"late", 1, "never closed"),
        ("tag:\"a\"b", 8, "a blank must follow"),
        ("\"a\",b", 4, "a blank must follow"),
        ("assignee:ada", 10, "must be a number"),
        ("id:0", 4, "must be a number"),
        ("id:+7", 4, "must be a number"),
        ("from:ada", 6, "@ and a domain"),
        ("from:ada@", 6, "@ and a domain"),
        ("created:2026-13-01", 9, "no time"),
        ("created:2026-01-01T00:00:00Z", 9, "no time"),
        ("created:>=2026-01-01..2026-02-01", 11, "no time"),
        ("created:*..*", 9, "no time"),
        ("updated:<-7y", 10, "no time"),
        ("updated:<-99999999999d", 10, "no time"),
        ("priority:>urgent", 11, "none above urgent"),
        ("a OR b", 3, "there is no OR"),
        ("late - order", 6, "a minus stands right before"),
        ("late -", 6, "a minus stands right before"),
        ("?!", 1, "no letter or digit"),
        ("subject:\"\"", 9, "no letter or digit"),
        ("field.a:", 9, "needs a value"),
        ("field.a:1,", 11, "needs a value"),
        ("a field.a:>", 12, "something must follow"),
        ("has:field.a,tag", 12, "stands alone"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    let error = parse("color:red").expect_err("there is no such field");
    assert_eq!(error.accepted.len(), FIELDS.len());
    assert_eq!(parse("has:gold").expect_err("no").accepted.len(), 1);
}

#[test]
fn limits_hold_at_the_limit_and_not_above() {
    let many = |count: usize| vec!["a"; count].join(" ");
    assert_eq!(read(&many(TERMS)).terms.len(), TERMS);
    assert!(parse(&many(TERMS + 1)).unwrap_err().detail.contains("at most 20 terms"));
    let values = |count: usize| format!("id:{}", vec!["7"; count].join(","));
    assert!(parse(&values(VALUES)).is_ok());
    assert!(parse(&values(VALUES + 1)).unwrap_err().detail.contains("at most 100 values"));
    assert!(parse(&"é".repeat(QUERY_CHARS)).is_ok());
    let error = parse(&"é".repeat(QUERY_CHARS + 1)).unwrap_err();
    assert_eq!(error.position, QUERY_CHARS + 1);
    assert!(error.detail.contains("at most 2000 characters"), "{error}");
}

#[test]
fn custom_fields_are_asked_for_in_one_way_or_another() {
    let term = |text: &str| match only(text) {
        Condition::Field(term) => term,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(term("field.order_no=881"), term("field.order_no:881"));
    assert_eq!(term("FIELD.Order_No:881"), term("field.order_no:881"));
    assert_eq!(term("field.amount>10"), term("field.amount:>10"));
    assert_eq!(term("field.amount>=10").to_string(), "field.amount:>=10");
    assert_eq!(term("has:customer.plan").to_string(), "has:customer.plan");
    assert_ne!(term("field.plan:a"), term("customer.plan:a"));
    assert_eq!(term("field.a:\"1..2\"").to_string(), "field.a:\"1..2\"", "quoted it is no range");
    // What only looks like one is text.
    for text in ["field.a", "field.", "other.a:1", "field.a-b:1"] {
        assert!(matches!(only(text), Condition::Text(Place::Anywhere, _)), "{text}");
    }
    let values = |count: usize| format!("field.a:{}", vec!["7"; count].join(","));
    assert!(parse(&values(VALUES)).is_ok());
    assert!(parse(&values(VALUES + 1)).is_err());
}

/// Pieces that the grammar is sensitive to, beside any text.
fn piece() -> impl Strategy<Value = String> {
    let known = FIELDS.iter().map(|(name, _)| format!("{name}:")).chain(
        [
            "-",
            "\"",
            "\\",
            ",",
            " ",
            ">=",
            "<",
            "..",
            "*",
            "none",
            "me",
            "7",
            "open",
            "high",
            "2026-01-31",
            "-7d",
            "@x",
            "field.a",
            "has:customer.b",
            "=",
        ]
        .map(str::to_owned),
    );
    prop_oneof![3 => proptest::sample::select(known.collect::<Vec<_>>()), 1 => "\\PC{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_it_panic_and_what_is_read_is_printed_and_read_alike(
        pieces in proptest::collection::vec(piece(), 0..12)
    ) {
        let text = pieces.concat();
        match parse(&text) {
            Ok(query) => {
                let printed = query.to_string();
                let again = parse(&printed);
                prop_assert_eq!(again, Ok(query), "{} printed as {}", text, printed);
            }
            Err(error) => {
                prop_assert!(error.position >= 1 && error.position <= text.chars().count() + 1);
                prop_assert!(!error.detail.is_empty());
            }
        }
    }
}
