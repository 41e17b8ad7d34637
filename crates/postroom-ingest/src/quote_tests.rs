//! What is cut from an answer, and what never is.

use crate::quote::parts;
use std::ops::Range;

const MAX: usize = 256 * 1024;

fn reply_to(text: &str) -> Option<String> {
    reply(text, "Re: Order", MAX)
}

fn reply(text: &str, subject: &str, max: usize) -> Option<String> {
    parts(text, subject, None, max).map(|parts| text[parts.reply].to_owned())
}

fn views(text: &str, fresh: Option<&str>) -> [Option<String>; 3] {
    let Some(parts) = parts(text, "Re: Order", fresh, MAX) else { return [None, None, None] };
    let view = |range: Range<usize>| text[range].to_owned();
    [Some(view(parts.reply)), parts.signature.map(view), parts.quoted.map(view)]
}

fn are(reply: &str, signature: &str, quoted: &str) -> [Option<String>; 3] {
    [reply, signature, quoted].map(|view| (!view.is_empty()).then(|| view.to_owned()))
}

#[test]
fn a_quote_below_is_cut_in_many_languages() {
    let lines = [
        "On Mon, Jan 5, 2026 at 10:00 AM Ada Lovelace <ada@x.example> wrote:",
        "On 5 Jan 2026, at 10:00, Ada Lovelace\n<ada@x.example> wrote:",
        "Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ada Lovelace <\nada@x.example>:",
        "Ada Lovelace <ada@x.example> schrieb am Mo., 5. Jan. 2026, 10:00:",
        "Le lun. 5 janv. 2026 à 10:00, Ada Lovelace <ada@x.example> a écrit :",
        "El lun, 5 ene 2026 a las 10:00, Ada Lovelace (<ada@x.example>) escribió:",
        "Il giorno lun 5 gen 2026 alle ore 10:00 Ada Lovelace <ada@x.example> ha scritto:",
        "Op ma 5 jan 2026 om 10:00 schreef Ada Lovelace <ada@x.example>:",
        "Em seg., 5 de jan. de 2026 às 10:00, Ada Lovelace <ada@x.example> escreveu:",
        "pon., 5 sty 2026 o 10:00 Ada Lovelace <ada@x.example> napisał(a):",
        "W dniu 5.01.2026 o 10:00, Ada Lovelace pisze:",
        "Ada Lovelace <ada@x.example>, 5 Oca 2026 Pzt, 10:00 tarihinde şunu yazdı:",
        "Den mån 5 jan. 2026 kl 10:00 skrev Ada Lovelace <ada@x.example>:",
        "пн, 5 янв. 2026 г. в 10:00, Ada Lovelace <ada@x.example>:",
        "5 января 2026 г., в 10:00, Ada Lovelace <ada@x.example> написал(а):",
        "ma 5. tammik. 2026 klo 10.00 Ada Lovelace (ada@x.example) kirjoitti:",
        "po 5. 1. 2026 v 10:00 odesílatel Ada Lovelace <ada@x.example> napsal:",
        "пн, 5 січ. 2026 р. о 10:00 Ada Lovelace <ada@x.example> пише:",
        "Ada Lovelace <ada@x.example> 于2026年1月5日周一 10:00写道：",
        "2026年1月5日(月) 10:00 Ada Lovelace <ada@x.example>:",
        "2026년 1월 5일 (월) 오전 10:00, Ada Lovelace <ada@x.example>님이 작성:",
    ];
    for line in lines {
        let text = format!("Yes, please.\nThank you\n\n{line}\n\n> Shall we?\n>\n> > Old\n");
        assert_eq!(reply_to(&text).as_deref(), Some("Yes, please.\nThank you"), "{line}");
        let text = format!("Yes, please.\n{line}\n> Shall we?\n");
        assert_eq!(reply_to(&text).as_deref(), Some("Yes, please."), "close: {line}");
    }
}

#[test]
fn outlook_blocks_are_cut_in_many_languages() {
    let blocks = [
        "From: Ada <ada@x.example>\nSent: Monday, January 5, 2026 10:00 AM\nTo: Shop\nSubject: Order",
        "*From:* Ada\n*Sent:* Monday\n*To:* Shop\n*Subject:* Order",
        "Von: Ada\nGesendet: Montag, 5. Januar 2026 10:00\nAn: Shop\nBetreff: Bestellung",
        "De : Ada\nEnvoyé : lundi 5 janvier 2026 10:00\nÀ : Shop\nObjet : Commande",
        "De: Ada\nEnviado el: lunes, 5 de enero de 2026\nPara: Shop\nAsunto: Pedido",
        "Da: Ada\nInviato: lunedì 5 gennaio 2026\nA: Shop\nOggetto: Ordine",
        "Van: Ada\nVerzonden: maandag 5 januari 2026\nAan: Shop\nOnderwerp: Bestelling",
        "De: Ada\nEnviada em: segunda-feira\nPara: Shop\nAssunto: Pedido",
        "Od: Ada\nWysłano: poniedziałek\nDo: Shop\nTemat: Zamówienie",
        "Kimden: Ada\nGönderildi: 5 Ocak 2026 Pazartesi\nKime: Shop\nKonu: Sipariş",
        "Från: Ada\nSkickat: den 5 januari 2026\nTill: Shop\nÄmne: Order",
        "От: Ada\nОтправлено: 5 января 2026 г.\nКому: Shop\nТема: Заказ",
        "发件人: Ada\n发送时间: 2026年1月5日\n收件人: Shop\n主题: 订单",
        "-----Original Message-----\nFrom: Ada\n",
        "-----Ursprüngliche Nachricht-----\nirgendwas",
        "-------- Message d'origine --------\n",
    ];
    for block in blocks {
        for rule in ["", "________________________________\n", "---\n"] {
            let text = format!("Yes.\n\n{rule}{block}\n\nShall we?\n");
            assert_eq!(reply_to(&text).as_deref(), Some("Yes."), "{block}");
        }
    }
}

#[test]
fn answers_between_the_lines_are_kept() {
    assert_eq!(reply_to("On 5 Jan 2026 Ada wrote:\n> One?\nYes.\n> Two?\nNo.\n"), None);
    assert_eq!(reply_to("> One?\n\nYes.\n"), None);
    assert_eq!(reply_to("Hi\nOn 5 Jan 2026 Ada wrote:\n> One?\n\nYes.\n"), None);
    assert_eq!(reply_to("> One?\nYes.\n> Two?\n"), None);
    // But the whole mail that stands below them once more is cut.
    let text = "> One?\nYes.\n\nOn 5 Jan 2026 Ada wrote:\n> One?\n> Two?\n";
    assert_eq!(reply_to(text).as_deref(), Some("> One?\nYes."));
}

#[test]
fn nothing_is_lost_whole() {
    assert_eq!(reply_to("On 5 Jan 2026 Ada <a@x.example> wrote:\n> all of it\n"), None);
    assert_eq!(reply_to("-----Original Message-----\nFrom: Ada\n\nShall we?"), None);
    assert_eq!(reply_to("\n  \n--\n> all of it\n"), None);
    assert_eq!(reply_to("👍\n\n> Shall we?\n").as_deref(), Some("👍"));
    assert_eq!(reply_to(""), None);
    assert_eq!(reply_to("Only text.\n"), None);
    assert_eq!(reply_to("Only text.\n>From here on too.\n"), None);
}

#[test]
fn every_part_is_a_view() {
    let announced = "On 5 Jan 2026, at 10:00, Bob <b@x.example> wrote:\n> Shall we?";
    let text = format!("Yes.\n\n-- \nAda\n\n{announced}\n");
    assert_eq!(views(&text, None), are("Yes.", "-- \nAda", announced));
    let text = "Yes.\n\n> Shall we?\n\n-- \nAda\nLondon\n";
    assert_eq!(views(text, None), are("Yes.", "-- \nAda\nLondon", "> Shall we?"));
    let text = "Yes.\n\n> Shall we?\n_______________\nusers mailing list\n";
    assert_eq!(views(text, None), are("Yes.", "_______________\nusers mailing list", "> Shall we?"));
    let text = "Yes.\n\nSent from my iPhone\n\n> Shall we?\n";
    assert_eq!(views(text, None), are("Yes.", "Sent from my iPhone", "> Shall we?"));
    assert_eq!(views("Yes.\n-- \nAda\n", None), are("Yes.", "-- \nAda", ""));
    assert_eq!(views("-- \nAda\n", None), [None, None, None]);
    assert_eq!(views("Sent from my iPhone\n> Shall we?\n", None), [None, None, None]);
}

#[test]
fn the_html_beside_it_may_tell() {
    let text = "Yes,\nplease.\n\nAda asked\nwhether we shall.\n";
    assert_eq!(views(text, None), [None, None, None]);
    assert_eq!(views(text, Some("Yes, please.")), are("Yes,\nplease.", "", "Ada asked\nwhether we shall."));
    assert_eq!(views(text, Some("Yes, thanks.")), [None, None, None]);
    assert_eq!(views(text, Some(text)), [None, None, None]);
    assert_eq!(views(text, Some("")), [None, None, None]);
    let apple = "Yes.\n\nOn 5 Jan 2026, Ada\n<ada@x.example> wrote:\n\nShall we?\n";
    let announced = "On 5 Jan 2026, Ada\n<ada@x.example> wrote:\n\nShall we?";
    assert_eq!(
        views(apple, Some("Yes. On 5 Jan 2026, Ada <ada@x.example> wrote:")),
        are("Yes.", "", announced)
    );
    let forward = "See below.\n\n---------- Forwarded message ---------\nFrom: Ada\n\nHi\n";
    assert_eq!(views(forward, Some("See below.")), [None, None, None]);
}

#[test]
fn forwards_are_kept() {
    let quote = "FYI\n\nOn 5 Jan 2026 Ada wrote:\n> Shall we?\n";
    for subject in [
        "Fwd: Order",
        "WG: Auftrag",
        "[EXT] FW: Order",
        "İLT: Sipariş",
        "转发：订单",
        "轉發: 訂單",
        "Переслано: x",
        "إعادة توجيه: طلب",
    ] {
        assert_eq!(reply(quote, subject, MAX), None, "{subject}");
    }
    assert!(reply(quote, "Re: Fwd: Order", MAX).is_some());
    for line in [
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "Anfang der weitergeleiteten Nachricht:",
    ] {
        assert_eq!(
            reply_to(&format!("FYI\n\n{line}\nFrom: Ada\nDate: today\nSubject: x\n\nHi\n")),
            None,
            "{line}"
        );
    }
}

#[test]
fn prose_is_no_announcement() {
    let prose = [
        "On page 3 you wrote:\nPay in 5 days.\nIs that right?",
        "The list I wrote:\n1. apples\n2. pears",
        "From: where do I send 3 parcels?\nTo: whom?",
        "I need:\n- 2 cables\n- 1 box",
        "Ada@x.example wrote: hello, and I said 5:\nno",
    ];
    for text in prose {
        assert_eq!(reply_to(text), None, "{text}");
    }
}

#[test]
fn unmarked_quotes_behind_a_dated_line_are_cut() {
    let text =
        "Yes.\n\nOn Monday, January 5, 2026 at 10:00:00 AM GMT+1, Ada <a@x.example> wrote:\n\nShall we?\n";
    assert_eq!(reply_to(text).as_deref(), Some("Yes."));
}

#[test]
fn only_so_much_is_looked_at() {
    let text = format!("Yes.\n\n{}\n", "> quoted line\n".repeat(100));
    assert_eq!(reply(&text, "", MAX).as_deref(), Some("Yes."));
    assert_eq!(reply(&text, "", 200).as_deref(), Some("Yes."));
    let text = format!("{}\n> Shall we?\n", "ä".repeat(200));
    assert_eq!(reply(&text, "", 101), None);
}
