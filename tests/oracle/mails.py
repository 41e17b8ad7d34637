#!/usr/bin/env python3
"""Well-formed mails, and what Python's `email` makes of them: mails.py SEED COUNT

Writes one JSON object a line: the mail (base64), the kinds of thing in it, what was meant, and what
Python's reader says. The mails are put together byte by byte, not by the library that reads them.
The same seed gives the same mails.
"""
import base64, json, random, sys, unicodedata
from email import message_from_bytes, policy

rng = random.Random()

# Every charset that both Python and mail-parser know, by the name that a mail gives it.
SINGLE = """iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8
iso-8859-9 iso-8859-10 iso-8859-11 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 windows-1250
windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257
windows-1258 koi8-r koi8-u tis-620 ibm850 ibm866 macintosh cp1251 latin1 l2""".split()
MULTI = """utf-8 utf-7 gb2312 gbk gb18030 big5 euc-jp shift_jis iso-2022-jp euc-kr hz-gb-2312
iso-2022-kr""".split()
# Python knows these under another name.
PYTHON = {"windows-949": "cp949", "macintosh": "mac-roman"}
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщьюяАБВГДЕЖЗИК"
WIDE = {
    "gb2312": ["一丁七万丈三上下不与专且世业东两严中丰临为主丽举", "的是在有我他这个们来到时大地为子说生"],
    "big5": ["一丁七三上下不丑且世丘丙並中丸丹主乃久么之乍乎乏", "的是在有我他這個們來到時大地為子說生"],
    "euc-jp": ["あいうえおかきくけこさしすせそ", "アイウエオカキクケコサシスセソ", "日本語注文確認配送商品東京"],
    "euc-kr": ["가각간갈감갑강개객거건걸검겁게겨격견결겸", "한국어주문확인배송상품서울"],
    "utf-8": [CYRILLIC, "äöüßéèñçåø", "日本語の注文", "한국어", "עברית", "العربية", "ไทย", "ğışçöü", "ąčęėįšųū", "😀📦✉", "ελληνικά", "हिन्दी"],
}
WIDE["gbk"] = WIDE["gb18030"] = WIDE["gb2312"] + ["丂丄丅丆丏丒丗丟丠両丣並丩丮丯"]
WIDE["hz-gb-2312"] = WIDE["gb2312"]
WIDE["shift_jis"] = WIDE["iso-2022-jp"] = WIDE["euc-jp"]
WIDE["iso-2022-kr"] = WIDE["euc-kr"]
WIDE["utf-7"] = [CYRILLIC, "äöüßéèñçåø", "日本語の注文"]
ASCII = "order invoice parcel late broken question about your offer hello thanks please when where 12 7".split()


def codec(charset):
    return PYTHON.get(charset, charset)


def letters(charset):
    """Every letter of a charset of single bytes."""
    found = []
    for byte in range(0x80, 0x100):
        try:
            c = bytes([byte]).decode(codec(charset))
        except UnicodeDecodeError:
            continue
        # 0x80 to 0x9F of ISO 8859 are controls; what the web makes of them is another matter.
        if unicodedata.category(c)[0] in "LN" and len(c.encode(codec(charset))) == 1:
            found.append(c)
    return found


LETTERS = {name: letters(name) for name in SINGLE}


def word(charset):
    if charset == "us-ascii" or rng.random() < 0.25:
        return rng.choice(ASCII)
    pool = LETTERS.get(charset) or rng.choice(WIDE[charset])
    return "".join(rng.choice(pool) for _ in range(rng.randint(1, 9)))


def phrase(charset, low=1, high=6):
    words = [word(charset) for _ in range(rng.randint(low, high))]
    return " ".join(words)


def any_charset():
    return rng.choice(["us-ascii", "utf-8", "utf-8", rng.choice(SINGLE), rng.choice(SINGLE), rng.choice(MULTI)])


# --- headers

def q_word(data):
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/"
    digits = "%02X" if rng.random() < 0.8 else "%02x"
    return "".join(chr(b) if b in safe else "_" if b == 32 and rng.random() < 0.8 else "=" + digits % b for b in data)


def encoded_words(text, charset):
    """RFC 2047: words of at most 75 characters, none cut inside a character."""
    language = rng.choice(["", "", "", "*en", "*tr"])
    name = rng.choice([charset, charset.upper(), charset]) + language
    kind = rng.choice("bBqQ")
    words, piece = [], ""

    def spelled(text):
        data = text.encode(codec(charset))
        body = base64.b64encode(data).decode() if kind in "bB" else q_word(data)
        return "=?%s?%s?%s?=" % (name, kind, body)

    limit = rng.choice([75, 75, 40])
    for c in text:
        if piece and len(spelled(piece + c)) > limit:
            words.append(spelled(piece))
            piece = ""
        piece += c
    words.append(spelled(piece))
    return words


def gap():
    """White space inside a header, folded now and then."""
    return rng.choice([" ", " ", " ", "\n ", "\n\t", "\n  "])


def unstructured(text, charset, seen):
    """A decoded text as a header, in one of the ways there are."""
    if text.isascii() and rng.random() < 0.7:
        return gap().join(text.split(" "))
    if charset == "utf-8" and rng.random() < 0.3:
        seen.add("raw-utf8")
        return gap().join(text.split(" "))
    seen.add("words:" + charset)
    how = rng.random()
    if how < 0.6:
        return rng.choice([" ", "\n ", "\n\t"]).join(encoded_words(text, charset))
    # Some words encoded, the ASCII ones not; between two encoded ones the space is encoded too.
    out, run = [], []
    for w in text.split(" "):
        if w.isascii():
            if run:
                out.append(rng.choice([" ", "\n "]).join(encoded_words(" ".join(run), charset)))
                run = []
            out.append(w)
        else:
            run.append(w)
    if run:
        out.append(rng.choice([" ", "\n "]).join(encoded_words(" ".join(run), charset)))
    return gap().join(out)


ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"


def addr_spec(seen):
    how = rng.random()
    plain = lambda: "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(rng.randint(1, 8)))
    if how < 0.6:
        local = ".".join(plain() for _ in range(rng.randint(1, 3)))
    elif how < 0.75:
        local = plain() + rng.choice("+-_=") + plain()
    elif how < 0.85:
        local = "".join(rng.choice(ATEXT) for _ in range(rng.randint(1, 8)))
        # What looks like the beginning of an encoded word is another matter.
        local = local.replace("=?", "==")
        seen.add("local:atext")
    elif how < 0.92:
        seen.add("local:quoted")
        local = '"%s %s"' % (plain(), plain()) if rng.random() < 0.5 else '"%s@%s"' % (plain(), plain())
    else:
        seen.add("local:utf8")
        local = "".join(rng.choice("äöüßéçşığйцук日本") for _ in range(rng.randint(1, 6)))
    how = rng.random()
    if how < 0.75:
        domain = ".".join([plain().strip("-")] + rng.choice([["example"], ["mail", "example"], ["co", "example"]]))
    elif how < 0.85:
        domain = rng.choice(["Example.ORG", "xn--bcher-kva.example", "a-b.example", "1.example"])
    elif how < 0.92:
        seen.add("domain:utf8")
        domain = rng.choice(["bücher.example", "пример.example", "例え.example"])
    else:
        seen.add("domain:literal")
        domain = rng.choice(["[192.0.2.1]", "[IPv6:2001:db8::1]"])
    return local + "@" + domain


def comment():
    return "(%s)" % rng.choice(["home", "at work", "a (nested) one", "with \\) in it", ""])


def mailbox(seen, charset):
    """(as written, name, address)"""
    address = addr_spec(seen)
    how = rng.random()
    if how < 0.12:
        return address, "", address
    if how < 0.15:
        seen.add("comment-name")
        return "%s (Ada Lovelace)" % address, "Ada Lovelace", address
    if how < 0.22:
        return "<%s>" % address, "", address
    angle = "<%s>" % address if rng.random() < 0.9 else "< %s >" % address
    if "< " in angle:
        seen.add("spaced-angle")
    if how < 0.40:
        name = " ".join(rng.choice(["Ada", "Lovelace", "van", "O'Neil", "Smith-Jones", "J"]) for _ in range(rng.randint(1, 3)))
        return gap().join(name.split(" ") + [angle]), name, address
    if how < 0.60:
        name = rng.choice(["Lovelace, Ada", "Ada \"the first\" Lovelace", "Ada (Sales)", "a@b.example", "back\\slash", "Dr. Ada", "Ada; Bob", "x:y", "<ada>"])
        seen.add("name:quoted")
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return '"%s"%s%s' % (quoted, gap(), angle), name, address
    if how < 0.66:
        seen.add("name:quoted-utf8")
        name = phrase("utf-8", 1, 3)
        return '"%s" %s' % (name, angle), name, address
    if how < 0.72:
        seen.add("name:utf8")
        name = phrase("utf-8", 1, 3)
        return "%s %s" % (name, angle), name, address
    if how < 0.78:
        seen.add("comments")
        name = rng.choice(["Ada", "Grace"])
        return "%s %s %s %s" % (name, comment(), angle, comment()), name, address
    name = phrase(charset, 1, 3)
    if name.isascii():
        return "%s %s" % (name, angle), name, address
    seen.add("name-words:" + charset)
    return rng.choice([" ", "\n "]).join(encoded_words(name, charset)) + gap() + angle, name, address


def address_list(seen, charset, low, high, groups=True):
    written, meant = [], []
    for _ in range(rng.randint(low, high)):
        if groups and rng.random() < 0.08:
            seen.add("group")
            inner = [mailbox(seen, charset) for _ in range(rng.randint(0, 3))]
            written.append("%s:%s;" % (rng.choice(["Friends", '"The others"', "undisclosed-recipients"]), ",".join(" " + w for w, _, _ in inner)))
            meant += [[n, a] for _, n, a in inner]
        else:
            w, n, a = mailbox(seen, charset)
            written.append(w)
            meant.append([n, a])
    return rng.choice([",", ", ", ",\n ", " , "]).join(written), meant


DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
ZONES = {"GMT": 0, "UT": 0, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420}


def date(seen):
    import calendar, datetime
    at = datetime.datetime(rng.randint(1971, 2035), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))
    how = rng.random()
    if how < 0.75:
        minutes = rng.choice([0, 60, 120, 180, 330, 345, 540, 570, 720, -60, -210, -300, -480, -720])
        zone = "%s%02d%02d" % ("-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60)
    elif how < 0.8:
        minutes, zone = 0, "-0000"
    else:
        zone = rng.choice(list(ZONES))
        minutes = ZONES[zone]
        seen.add("date:zone-name")
    weekday = DAYS[at.weekday()] + "," + rng.choice([" ", " ", "  ", "\n "]) if rng.random() < 0.8 else ""
    day = "%d" % at.day if rng.random() < 0.6 else "%02d" % at.day
    month = MONTHS[at.month - 1]
    if rng.random() < 0.06:
        seen.add("date:case")
        month = rng.choice([month.upper(), month.lower()])
    year = str(at.year)
    if 1970 <= at.year < 2000 and rng.random() < 0.15 or 2000 <= at.year < 2035 and rng.random() < 0.06:
        year = year[2:]
        seen.add("date:two-digits")
    seconds = at.second
    time = "%02d:%02d:%02d" % (at.hour, at.minute, seconds)
    if rng.random() < 0.08:
        seconds = 0
        time = time[:5]
        seen.add("date:no-seconds")
    text = "%s%s%s%s%s%s%s%s%s" % (weekday, day, rng.choice([" ", "  "]), month, " ", year, " ", time, rng.choice([" ", " ", "  ", "\n "])) + zone
    if rng.random() < 0.15:
        text += " (%s)" % rng.choice(["CET", "Coordinated Universal Time", "W. Europe (Summer) Time"])
        seen.add("date:comment")
    if rng.random() < 0.03:
        text = text.replace(" %s" % time, " (a) %s" % time)
        seen.add("date:inner-comment")
    stamp = calendar.timegm((at.year, at.month, at.day, at.hour, at.minute, seconds)) - minutes * 60
    return text, stamp


def msg_id(seen):
    left = "".join(rng.choice(ATEXT + ".") for _ in range(rng.randint(6, 24))).strip(".").replace("..", ".") or "x"
    left = left.replace("=?", "==")
    right = rng.choice(["mail.example", "Example.ORG", "a.b.c.example", "[192.0.2.1]", "host"])
    if right.startswith("["):
        seen.add("id:literal")
    return "<%s@%s>" % (left, right)


# --- bodies

def lines(charset):
    out = []
    for at in range(rng.randint(1, 6)):
        # A text without a word gives way to the HTML beside it, which is no matter for this.
        out.append("" if at > 0 and rng.random() < 0.15 else phrase(charset, 1, 9))
    return "\n".join(out) + "\n"


def quoted_printable(data):
    out = []
    for line in data.split(b"\n"):
        text = ""
        for at, b in enumerate(line):
            last = at == len(line) - 1
            if b == 61 or b > 126 or b < 32 and b != 9 or (b in (32, 9) and last) or rng.random() < 0.02:
                piece = ("=%02X" if rng.random() < 0.9 else "=%02x") % b
            else:
                piece = chr(b)
            if len(text) + len(piece) > 72:
                out.append(text + "=")
                text = ""
            text += piece
        out.append(text)
    return "\n".join(out).encode()


def parameter(name, value, seen):
    """`; name=value`, in one of the ways of RFC 2045, 2231 and of those who never read them."""
    if value.isascii():
        if value.replace(".", "").replace("-", "").replace("_", "").isalnum() and rng.random() < 0.5:
            return ";%s%s=%s" % (gap(), name, value)
        if rng.random() < 0.25:
            seen.add("2231:continued")
            cut = rng.randint(0, len(value))
            quoted = lambda v: '"%s"' % v.replace("\\", "\\\\").replace('"', '\\"')
            return ";\n %s*0=%s;\n %s*1=%s" % (name, quoted(value[:cut]), name, quoted(value[cut:]))
        return '; %s="%s"' % (name, value.replace("\\", "\\\\").replace('"', '\\"'))
    charset = rng.choice(["utf-8", "UTF-8"])
    for other in ("iso-8859-1", "koi8-r", "shift_jis", "windows-1252"):
        try:
            value.encode(other)
        except UnicodeEncodeError:
            continue
        if rng.random() < 0.5:
            charset = other
    percent = lambda data: "".join(chr(b) if chr(b).isalnum() and b < 128 else "%%%02X" % b for b in data)
    data = value.encode(charset)
    if rng.random() < 0.5:
        seen.add("2231")
        return "; %s*=%s'%s'%s" % (name, charset, rng.choice(["", "en"]), percent(data))
    seen.add("2231:continued")
    pieces, at = [], 0
    while at < len(data):
        step = rng.randint(1, 20)
        pieces.append(data[at : at + step])
        at += step
    out = ";\n %s*0*=%s''%s" % (name, charset, percent(pieces[0]))
    for number, piece in enumerate(pieces[1:], 1):
        out += ";\n %s*%d*=%s" % (name, number, percent(piece))
    return out


FILES = ["bill.pdf", "My order.txt", "photo-1.PNG", "a;b.doc", 'say "hi".txt', "Größe.txt", "Rechnung März.pdf", "注文書.pdf", "счёт.xls", "fatura_ağustos.pdf", "x" * 90 + ".bin"]


def text_part(charset, seen, kind="plain"):
    """(headers, body bytes, text)"""
    text = lines(charset)
    if kind == "html":
        text = "<html><body><p>%s</p></body></html>\n" % text.strip().replace("\n", "<br>")
    data = text.encode("us-ascii" if charset == "us-ascii" else codec(charset))
    seen.add("text:" + charset)
    how = rng.choice(["qp", "base64", "8bit", "8bit"])
    declared = charset
    head = "Content-Type: text/%s" % kind
    if charset == "us-ascii" and rng.random() < 0.5:
        head = head if rng.random() < 0.5 or kind == "html" else ""
    else:
        head += rng.choice([";%s" % gap(), "; ", ";"]) + rng.choice(["charset=%s", 'charset="%s"', "Charset=%s"]) % rng.choice([declared, declared.upper()])
    head = head + "\n" if head else ""
    if how == "qp":
        return head + rng.choice(["Content-Transfer-Encoding: quoted-printable\n", "Content-transfer-encoding: Quoted-Printable\n"]), quoted_printable(data), text
    if how == "base64":
        wide = rng.choice([76, 60, 4])
        code = base64.b64encode(data).decode()
        body = "\n".join(code[at : at + wide] for at in range(0, len(code), wide)) + "\n"
        return head + "Content-Transfer-Encoding: base64\n", body.encode(), text
    is_ascii = all(b < 128 for b in data)
    name = rng.choice(["7bit", ""]) if is_ascii else rng.choice(["8bit", "binary"])
    return head + ("Content-Transfer-Encoding: %s\n" % name if name else ""), data, text


def boundary():
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789'()+_,-./:=?") for _ in range(rng.randint(5, 40))) + "z"


def multipart(kind, parts, seen):
    mark = boundary()
    head = 'Content-Type: multipart/%s; boundary="%s"\n' % (kind, mark)
    body = b"" if rng.random() < 0.5 else b"This is a message in MIME format.\n\n"
    for part_head, part_body in parts:
        # The line break before a delimiter is the delimiter's.
        body += ("--%s\n" % mark).encode() + part_head.encode() + b"\n" + part_body + b"\n"
    return head, body + ("--%s--\n" % mark).encode() + rng.choice([b"", b"\nepilogue\n"])


def attachment(seen):
    name = rng.choice(FILES)
    data = bytes(rng.randrange(256) for _ in range(rng.randint(0, 200)))
    head = "Content-Type: application/octet-stream\nContent-Disposition: attachment" + parameter("filename", name, seen) + "\nContent-Transfer-Encoding: base64\n"
    code = base64.b64encode(data).decode()
    body = "\n".join(code[at : at + 76] for at in range(0, len(code), 76))
    return (head, body.encode()), [name, base64.b64encode(data).decode()]


def body(seen):
    """(headers, bytes, text, files)"""
    charset = any_charset()
    head, data, text = text_part(charset, seen)
    how = rng.random()
    files = []
    if how < 0.5:
        return head, data, text, files
    parts = [(head, data)]
    if how < 0.8:
        html_head, html_data, _ = text_part(any_charset(), seen, "html")
        inner = multipart("alternative", parts + [(html_head, html_data)], seen)
        seen.add("alternative")
        if how < 0.65:
            return inner[0], inner[1], text, files
        parts = [inner]
    for _ in range(rng.randint(1, 3)):
        part, meant = attachment(seen)
        parts.append(part)
        files.append(meant)
    seen.add("files")
    head, data = multipart("mixed", parts, seen)
    return head, data, text, files


# --- mails

def mail():
    seen, fields, meant = set(), [], {}
    charset = any_charset()
    subject = phrase(charset, 1, 12)
    meant["subject"] = subject
    fields.append(("Subject", unstructured(subject, charset, seen)))
    many = 1 if rng.random() < 0.93 else rng.randint(2, 3)
    if many > 1:
        seen.add("from:several")
    written, meant["from"] = address_list(seen, any_charset(), many, many, groups=False)
    fields.append(("From", written))
    for name in ("To", "Cc"):
        meant[name.lower()] = []
        if name == "To" or rng.random() < 0.3:
            written, meant[name.lower()] = address_list(seen, any_charset(), 1, 4)
            fields.append((name, written))
    meant["reply_to"] = []
    if rng.random() < 0.15:
        written, meant["reply_to"] = address_list(seen, any_charset(), 1, 1, groups=False)
        fields.append(("Reply-To", written))
    written, meant["date"] = date(seen)
    fields.append(("Date", written))
    meant["message_id"] = msg_id(seen)
    fields.append(("Message-ID", rng.choice(["%s", "%s", " %s", "\n %s"]) % meant["message_id"]))
    meant["in_reply_to"] = meant["references"] = ""
    if rng.random() < 0.5:
        ids = [msg_id(seen) for _ in range(rng.randint(1, 12))]
        meant["references"] = " ".join(ids)
        fields.append(("References", rng.choice([" ", "\n ", "\n\t"]).join(ids)))
        meant["in_reply_to"] = ids[-1]
        fields.append(("In-Reply-To", ids[-1]))
    head, data, meant["text"], meant["files"] = body(seen)
    fields += [("MIME-Version", "1.0"), ("X-Mailer", "a test (1.0)"), ("Received", "from a by b\n with SMTP; Mon, 5 Jan 2026 10:00:00 +0000")]
    rng.shuffle(fields)
    written = ""
    for name, value in fields:
        if rng.random() < 0.1:
            name = rng.choice([name.upper(), name.lower()])
        written += "%s:%s%s\n" % (name, rng.choice([" ", " ", "", "\t"]), value)
    raw = (written + head).encode() + b"\n" + data
    # UTF-7, HZ and the like are ASCII, and every line end of a text is the mail's own.
    if rng.random() < 0.8:
        raw = raw.replace(b"\n", b"\r\n")
        seen.add("crlf")
    return raw, sorted(seen), meant


# --- what Python says

def whole(value):
    """Raw bytes of a header, which Python keeps as surrogates, as the UTF-8 that they are (RFC 6532)."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, (list, tuple)):
        return [whole(one) for one in value]
    return {key: whole(one) for key, one in value.items()} if isinstance(value, dict) else value


def addresses(parsed, name):
    """The addresses of a header; Python's reader stumbles over some that are in order."""
    try:
        header = parsed[name]
        return [] if header is None else [[a.display_name, a.addr_spec] for a in header.addresses]
    except Exception as error:
        return [["error", repr(error)]]


class Once(policy.EmailPolicy):
    """Python's default policy, which reads a header anew whenever it is asked for; this one does not."""

    def header_fetch_parse(self, name, value):
        key = (name.lower(), value)
        if key not in READ:
            READ[key] = super().header_fetch_parse(name, value)
        return READ[key]


READ = {}


def python(raw):
    import calendar
    READ.clear()
    parsed = message_from_bytes(raw, policy=Once())
    header = lambda name: str(parsed[name]) if parsed[name] is not None else ""
    found = {name.lower().replace("-", "_"): header(name) for name in ("Message-ID", "In-Reply-To", "References", "Subject")}
    for name in ("From", "To", "Cc", "Reply-To"):
        found[name.lower().replace("-", "_")] = addresses(parsed, name)
    at = parsed["Date"].datetime
    found["date"] = calendar.timegm(at.utctimetuple()) if at is not None else None
    part = parsed.get_body(("plain",))
    found["text"] = part.get_content() if part is not None else None
    found["files"] = [[p.get_filename(), base64.b64encode(p.get_payload(decode=True)).decode()] for p in parsed.iter_attachments()] if parsed.is_multipart() and parsed.get_content_subtype() == "mixed" else []
    return found


def main():
    rng.seed(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        raw, seen, meant = mail()
        line = {"raw": base64.b64encode(raw).decode(), "seen": seen, "meant": meant, "python": whole(python(raw))}
        print(json.dumps(line, ensure_ascii=True))


main()
