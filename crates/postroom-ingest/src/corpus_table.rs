//! What the reader is expected to make of every mail of `corpus/`: data for `corpus`.

use postroom_core::mail::Class;

/// What is expected of one mail.
pub(crate) struct Expected {
    pub(crate) file: &'static str,
    pub(crate) class: Class,
    pub(crate) subject: &'static str,
    /// `Name <address>` of the sender.
    pub(crate) from: &'static str,
    /// All of these stand in the text.
    pub(crate) text: &'static [&'static str],
    /// The new text, where the mail quotes.
    pub(crate) reply: Option<&'static str>,
    /// `name|type|size`, `inline` behind it where it is.
    pub(crate) files: &'static [&'static str],
}

/// A mail somebody wrote, without a quote and without files.
const HUMAN: Expected =
    Expected { file: "", class: Class::Human, subject: "", from: "", text: &[], reply: None, files: &[] };

/// What every mail of the corpus is.
pub(crate) fn table() -> Vec<Expected> {
    vec![
        Expected {
            file: "apple-mixed",
            subject: "Pictures in between",
            from: "Tim <tim@example.net>",
            text: &["Before.\nAfter."],
            files: &["photo.png|image/png|70"],
            ..HUMAN
        },
        Expected {
            file: "bare-cr",
            subject: "Old line ends",
            from: "Mac <mac@classic.example>",
            text: &["Hello from 1998.\nSecond line.\n"],
            ..HUMAN
        },
        Expected {
            file: "bounce-exchange",
            class: Class::Bounce,
            subject: "Unzustellbar: Ihre Bestellung",
            from: "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@corp.example>",
            text: &["The mailbox is full."],
            files: &[
                "delivery-status.txt|message/delivery-status|304",
                "headers.txt|text/rfc822-headers|154",
            ],
            ..HUMAN
        },
        Expected {
            file: "bounce-postfix",
            class: Class::Bounce,
            subject: "Undelivered Mail Returned to Sender",
            from: "Mail Delivery System <MAILER-DAEMON@mx.shop.example>",
            text: &["This is the mail system"],
            files: &["delivery-status.txt|message/delivery-status|386", "Your order.eml|message/rfc822|200"],
            ..HUMAN
        },
        Expected {
            file: "bounce-qmail",
            class: Class::Bounce,
            subject: "failure notice",
            from: "MAILER-DAEMON@old.example",
            text: &["qmail-send"],
            ..HUMAN
        },
        Expected {
            file: "bounce-sns",
            class: Class::Bounce,
            subject: "AWS Notification Message",
            from: "AWS Notifications <no-reply@sns.example>",
            text: &["Permanent"],
            ..HUMAN
        },
        Expected {
            file: "broken-mime",
            subject: "Broken in many ways",
            from: "Broken <broken@example.net>",
            text: &["Broken änd =ZZ strange", "but readable.", "No delimiter here."],
            files: &["image.png|image/png|69"],
            ..HUMAN
        },
        Expected {
            file: "calendar-request",
            class: Class::Calendar,
            subject: "Invitation: Review",
            from: "Cal <cal@example.net>",
            text: &["Please come to the review."],
            files: &["invite.ics|text/calendar|45", "invite.ics|application/ics|32"],
            ..HUMAN
        },
        Expected {
            file: "circle",
            class: Class::Loop,
            subject: "Round and round",
            from: "Round <round@example.net>",
            text: &["Again."],
            ..HUMAN
        },
        Expected {
            file: "complaint",
            class: Class::Complaint,
            subject: "Complaint",
            from: "fbl@provider.example",
            text: &["abuse report"],
            files: &["report.txt|message/feedback-report|97", "Your order.eml|message/rfc822|160"],
            ..HUMAN
        },
        Expected {
            file: "digest",
            class: Class::List,
            subject: "users Digest, Vol 1",
            from: "list@lists.example",
            text: &["Today's topics."],
            files: &["First.eml|message/rfc822|42", "Second.eml|message/rfc822|43"],
            ..HUMAN
        },
        Expected { file: "empty", subject: "", from: "", ..HUMAN },
        Expected {
            file: "euc-kr",
            subject: "배송 문의",
            from: "김민수 <minsu@kim.example>",
            text: &["주문이 아직 오지 않았습니다."],
            ..HUMAN
        },
        Expected {
            file: "flowed",
            subject: "Re: Flowed",
            from: "Flo <flo@example.net>",
            text: &[
                "longer than a line and goes on here.\nA second",
                "> Quoted and flowed.\n>\n>> Older still.",
            ],
            reply: Some("A paragraph that is longer than a line and goes on here.\nA second one."),
            ..HUMAN
        },
        Expected {
            file: "flowed-delsp",
            subject: "Flowed",
            from: "Flo <flo@example.net>",
            text: &["長い段落です。改行はありません。\n", "> A quoted paragraph that goes on in"],
            reply: Some("これは長い段落です。改行はありません。"),
            ..HUMAN
        },
        Expected {
            file: "forward-inline",
            subject: "WG: Reklamation",
            from: "Boss <boss@corp.example>",
            text: &["Es ist kaputt."],
            ..HUMAN
        },
        Expected {
            file: "gb18030",
            subject: "退款申请",
            from: "王伟 <wei@wang.example>",
            text: &["您好"],
            reply: Some("您好，我想申请退款。"),
            ..HUMAN
        },
        Expected {
            file: "gmail-html-only",
            subject: "Re: Order",
            from: "Grace Hopper <grace@gmail.example>",
            text: &["> es ist unterwegs."],
            reply: Some("Danke!"),
            ..HUMAN
        },
        Expected {
            file: "gmail-quote",
            subject: "Re: Where is order 4711?",
            from: "Grace Hopper <grace@gmail.example>",
            text: &["> it is on its way."],
            reply: Some("It arrived, thank you 👍"),
            ..HUMAN
        },
        Expected { file: "headers-only", subject: "Call me", from: "Quiet <quiet@example.net>", ..HUMAN },
        Expected {
            file: "html-only-es",
            subject: "Devolución",
            from: "María García <maria@garcia.example>",
            text: &[
                "Hola,\n\nquiero devolver el pedido 4711. ¿Cómo lo hago?",
                "- uno\n- dos",
                "la página <https://shop.example/devolucion>.\nGracias,\nMaría",
            ],
            ..HUMAN
        },
        Expected {
            file: "inline-answers",
            subject: "Re: Questions",
            from: "Linus <linus@example.net>",
            text: &["Blue.", "Large."],
            ..HUMAN
        },
        Expected {
            file: "iso-2022-jp",
            subject: "注文番号のお問い合わせ",
            from: "鈴木花子 <hanako@suzuki.example>",
            text: &["いつ届きますか"],
            reply: Some("お世話になっております。\n注文番号4711はいつ届きますか。"),
            ..HUMAN
        },
        Expected {
            file: "iso-8859-2-pl",
            subject: "Zgłoszenie błędu",
            from: "Łukasz Kowalski <lukasz@kowalski.example>",
            text: &["zgłasza błąd"],
            reply: Some("Dzień dobry, aplikacja zgłasza błąd."),
            ..HUMAN
        },
        Expected {
            file: "koi8-r",
            subject: "Вопрос о счёте",
            from: "Иван Петров <ivan@petrov.example>",
            text: &["> Счёт во вложении."],
            reply: Some("Здравствуйте!\n\nСчёт 42 оплачен дважды."),
            ..HUMAN
        },
        Expected {
            file: "mailing-list",
            class: Class::List,
            subject: "[users] Build fails",
            from: "Dev via Users <users@lists.example>",
            text: &["error 42"],
            ..HUMAN
        },
        Expected {
            file: "mbox-from",
            subject: "From an mbox",
            from: "Ada <ada@lovelace.example>",
            text: &[">From here on"],
            ..HUMAN
        },
        Expected {
            file: "nested-rfc822",
            subject: "Please handle",
            from: "Boss <boss@corp.example>",
            text: &["See the attached mail."],
            files: &["Nothing works – again.eml|message/rfc822|324"],
            ..HUMAN
        },
        Expected {
            file: "newsletter",
            class: Class::List,
            subject: "🔥 Only today: 50 % off",
            from: "Great Deals <news@deals.example>",
            text: &["50 % off\n\nEverything must go."],
            ..HUMAN
        },
        Expected {
            file: "no-message-id",
            subject: "Scan",
            from: "Scanner <scanner@office.example>",
            text: &["A scan."],
            ..HUMAN
        },
        Expected {
            file: "notification",
            class: Class::Notification,
            subject: "Host down",
            from: "Monitoring <no-reply@status.example>",
            text: &["web1 is down."],
            ..HUMAN
        },
        Expected {
            file: "ooo-exchange",
            class: Class::AutoReply,
            subject: "Automatische Antwort: Ihre Bestellung",
            from: "Müller, Max <max@mueller.example>",
            text: &["nicht im Büro"],
            ..HUMAN
        },
        Expected {
            file: "outlook-html",
            subject: "AW: Angebot",
            from: "Schmidt, Anna <anna@schmidt.example>",
            text: &["anbei das Angebot."],
            reply: Some("Guten Tag,\n\nwir nehmen das Angebot an.\n\nAnna Schmidt\n[cid:image001.png@01DC]"),
            files: &["image001.png|image/png|70|inline"],
            ..HUMAN
        },
        Expected {
            file: "outlook-html-only",
            subject: "Re: Offer",
            from: "Bo <bo@example.net>",
            text: &["Sent: Sunday"],
            reply: Some("We accept."),
            ..HUMAN
        },
        Expected {
            file: "plain-en",
            subject: "Where is order 4711?",
            from: "Ada Lovelace <ada@lovelace.example>",
            text: &["-- \nAda Lovelace\n"],
            reply: Some(
                "Hello,\n\nI ordered a difference engine on 12 December and it has not\narrived yet. Where is it?",
            ),
            ..HUMAN
        },
        Expected {
            file: "raw-8bit-headers",
            subject: "Problème de connexion à mon compte",
            from: "François Lefèvre <francois@lefevre.example>",
            text: &["À bientôt"],
            ..HUMAN
        },
        Expected {
            file: "receipt",
            class: Class::Receipt,
            subject: "Read: Your order",
            from: "Ada <ada@lovelace.example>",
            text: &["displayed"],
            files: &["receipt.txt|message/disposition-notification|216"],
            ..HUMAN
        },
        Expected {
            file: "rfc2231-filename",
            subject: "Files with names",
            from: "Zoë <zoe@example.net>",
            text: &["Three files."],
            files: &[
                "Übersicht der Preise.pdf|application/pdf|19",
                "価格表.xlsx|application/octet-stream|4",
                "table.csv|text/csv|7",
            ],
            ..HUMAN
        },
        Expected {
            file: "shift-jis-html",
            subject: "見積もり",
            from: "田中 <tanaka@example.net>",
            text: &["見積もりをお願いします。\n田中"],
            ..HUMAN
        },
        Expected {
            file: "split-words",
            subject: "注文番号",
            from: "Grün <gruen@example.net>",
            text: &["cut by bytes"],
            ..HUMAN
        },
        Expected {
            file: "two-message-ids",
            subject: "Two ids",
            from: "Two <two@example.net>",
            text: &["Hello."],
            ..HUMAN
        },
        Expected {
            file: "utf8-base64-tr",
            subject: "Siparişim nerede?",
            from: "Ayşe Yılmaz <ayse@yildiz.example>",
            text: &["> İyi günler"],
            reply: Some("Merhaba,\n\nKargo hâlâ gelmedi. Kontrol eder misiniz?\n\nTeşekkürler\nAyşe"),
            ..HUMAN
        },
        Expected {
            file: "utf8-qp-de",
            subject: "Größe falsch – bitte umtauschen",
            from: "Jürgen Groß <juergen@gross.example>",
            text: &["Können Sie mir die Größe 43 schicken?"],
            ..HUMAN
        },
        Expected {
            file: "utf8-raw-headers",
            subject: "Ερώτηση για την παραγγελία",
            from: "Γιώργος Παπαδόπουλος <giorgos@papadopoulos.example>",
            text: &["Καλημέρα"],
            ..HUMAN
        },
        Expected {
            file: "vacation-fr",
            class: Class::AutoReply,
            subject: "Absence",
            from: "Luc <luc@dubois.example>",
            text: &["en vacances"],
            ..HUMAN
        },
        Expected {
            file: "windows-1254",
            subject: "Şifre sıfırlama çalışmıyor",
            from: "Mehmet <mehmet@demir.example>",
            text: &["ığüşöç İĞÜŞÖÇ"],
            ..HUMAN
        },
        Expected {
            file: "windows-1255-he",
            subject: "שאלה",
            from: "דוד <david@levi.example>",
            text: &["איפה ההזמנה"],
            ..HUMAN
        },
        Expected {
            file: "windows-1256-ar",
            subject: "سؤال عن الطلب",
            from: "أحمد <ahmad@example.net>",
            text: &["أين طلبي"],
            ..HUMAN
        },
        Expected {
            file: "wrapped-mail",
            subject: "Fwd: Question",
            from: "Boss <boss@corp.example>",
            files: &["Question.eml|message/rfc822|102"],
            ..HUMAN
        },
    ]
}
