//! Domains that belong to nobody's organisation: public mail providers, and what registries
//! keep above the domains they sell. Two addresses there have nothing to do with each other.

/// Providers whose domains differ in the country alone: `yahoo.fr`, `yahoo.co.uk`.
const FAMILIES: &[&str] = &["aol", "gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex", "ymail"];

/// Where anybody, or any household, can have an address: free mail, access providers,
/// forwarding and throw-away addresses. In byte order.
const PROVIDERS: &[&str] = &[
    "10minutemail.com",
    "126.com",
    "139.com",
    "163.com",
    "189.cn",
    "21cn.com",
    "abv.bg",
    "aim.com",
    "alice.it",
    "aliceadsl.fr",
    "aliyun.com",
    "aon.at",
    "arcor.de",
    "arnet.com.ar",
    "att.net",
    "au.com",
    "azet.sk",
    "bbox.fr",
    "bell.net",
    "bellsouth.net",
    "bezeqint.net",
    "biglobe.ne.jp",
    "bigmir.net",
    "bigpond.com",
    "bk.ru",
    "bluemail.ch",
    "bluewin.ch",
    "blueyonder.co.uk",
    "bol.com.br",
    "bredband.net",
    "broadpark.no",
    "btinternet.com",
    "cableone.net",
    "casema.nl",
    "cegetel.net",
    "centrum.cz",
    "centrum.sk",
    "centurylink.net",
    "charter.net",
    "chello.at",
    "chello.nl",
    "citromail.hu",
    "club-internet.fr",
    "comcast.net",
    "comhem.se",
    "cox.net",
    "daum.net",
    "docomo.ne.jp",
    "duck.com",
    "earthlink.net",
    "eircom.net",
    "elisanet.fi",
    "email.cz",
    "email.de",
    "ezweb.ne.jp",
    "fastmail.com",
    "fastmail.fm",
    "fibertel.com.ar",
    "foxmail.com",
    "free.fr",
    "freemail.gr",
    "freemail.hu",
    "freenet.de",
    "frontier.com",
    "gawab.com",
    "globo.com",
    "gmail.com",
    "googlemail.com",
    "guerrillamail.com",
    "hanmail.net",
    "hetnet.nl",
    "hey.com",
    "hispeed.ch",
    "home.nl",
    "hushmail.com",
    "i.softbank.jp",
    "i.ua",
    "icloud.com",
    "ig.com.br",
    "in.gr",
    "inbox.com",
    "inbox.lv",
    "inbox.ru",
    "indiatimes.com",
    "interia.pl",
    "internet.ru",
    "jubii.dk",
    "juno.com",
    "kabelmail.de",
    "kolumbus.fi",
    "kpnmail.nl",
    "laposte.net",
    "libero.it",
    "list.ru",
    "luukku.com",
    "lycos.com",
    "mac.com",
    "mail.bg",
    "mail.com",
    "mail.de",
    "mail.dk",
    "mail.ee",
    "mail.ru",
    "mailbox.org",
    "mailinator.com",
    "mailo.com",
    "me.com",
    "meta.ua",
    "mindspring.com",
    "mozmail.com",
    "mweb.co.za",
    "mynet.com",
    "nate.com",
    "naver.com",
    "netvision.net.il",
    "netzero.net",
    "neuf.fr",
    "nifty.com",
    "ntlworld.com",
    "numericable.fr",
    "o2.pl",
    "ocn.ne.jp",
    "oi.com.br",
    "onet.eu",
    "onet.pl",
    "online.de",
    "online.no",
    "op.pl",
    "optimum.net",
    "optonline.net",
    "optusnet.com.au",
    "orange.fr",
    "otenet.gr",
    "pandora.be",
    "passport.com",
    "plala.or.jp",
    "planet.nl",
    "pm.me",
    "pochta.ru",
    "post.cz",
    "post.sk",
    "posteo.de",
    "posteo.net",
    "privaterelay.appleid.com",
    "prodigy.net.mx",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "proximus.be",
    "q.com",
    "qq.com",
    "r7.com",
    "rambler.ru",
    "rediff.com",
    "rediffmail.com",
    "rin.ru",
    "rocketmail.com",
    "rogers.com",
    "runbox.com",
    "sapo.pt",
    "sbcglobal.net",
    "scarlet.be",
    "seznam.cz",
    "sfr.fr",
    "shaw.ca",
    "sify.com",
    "simplelogin.com",
    "sina.cn",
    "sina.com",
    "singnet.com.sg",
    "sky.com",
    "skynet.be",
    "so-net.ne.jp",
    "softbank.ne.jp",
    "sohu.com",
    "speedy.com.ar",
    "spoko.pl",
    "spray.se",
    "startmail.com",
    "stofanet.dk",
    "sunrise.ch",
    "suomi24.fi",
    "superonline.com",
    "swissonline.ch",
    "sympatico.ca",
    "t-online.de",
    "talktalk.net",
    "tds.net",
    "tele2.se",
    "telenet.be",
    "telenor.no",
    "telia.com",
    "telkomsa.net",
    "telus.net",
    "temp-mail.org",
    "terra.com.br",
    "tin.it",
    "tiscali.it",
    "tlen.pl",
    "tom.com",
    "tuta.com",
    "tutamail.com",
    "tutanota.com",
    "tutanota.de",
    "ukr.net",
    "unity-mail.de",
    "unitybox.de",
    "uol.com.br",
    "upcmail.nl",
    "usa.net",
    "verizon.net",
    "versanet.de",
    "videotron.ca",
    "vip.qq.com",
    "virgilio.it",
    "virginmedia.com",
    "vk.com",
    "vodafone.de",
    "vodamail.co.za",
    "voila.fr",
    "volny.cz",
    "walla.co.il",
    "walla.com",
    "wanadoo.fr",
    "wanadoo.nl",
    "web.de",
    "webmail.co.za",
    "windstream.net",
    "wp.pl",
    "xs4all.nl",
    "xtra.co.nz",
    "ya.ru",
    "yeah.net",
    "yopmail.com",
    "ziggo.nl",
    "ziggomail.com",
    "zipmail.com.br",
    "zoho.com",
    "zohomail.com",
    "zoznam.sk",
];

/// What stands before a country in the suffixes that registries sell names under: `co.uk`.
const REGISTRY_LABELS: &[&str] =
    &["ac", "co", "com", "edu", "gob", "gouv", "gov", "mil", "ne", "net", "nom", "or", "org", "sch"];

/// Whether a folded domain is a public mail provider's.
pub fn is_public_provider(domain: &str) -> bool {
    let is_family = domain.split_once('.').is_some_and(|(name, suffix)| {
        FAMILIES.contains(&name) && suffix.bytes().filter(|b| *b == b'.').count() <= 1
    });
    is_family || PROVIDERS.binary_search(&domain).is_ok()
}

/// Whether two folded domains are one organisation's: equal, or one is within the other.
///
/// Two neighbours (`a.example.org`, `b.example.org`) are not: what of a domain was sold as one
/// changes by the day, and a wrong "yes" lets strangers in, while a wrong "no" costs one click.
pub fn is_same_organisation(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() || is_public_provider(short) || is_public_provider(long) {
        return false;
    }
    if short == long {
        return true;
    }
    let Some((name, suffix)) = short.split_once('.') else { return false };
    let is_registry = suffix.len() == 2 && REGISTRY_LABELS.contains(&name);
    !is_registry && long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(PROVIDERS.is_sorted(), "binary search needs order");
        assert!(PROVIDERS.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(PROVIDERS.iter().all(|domain| *domain == domain.to_lowercase() && domain.contains('.')));
    }

    #[test]
    fn providers_are_known_in_every_country() {
        for domain in ["gmail.com", "web.de", "qq.com", "yahoo.co.uk", "hotmail.fr", "live.com", "gmx.net"] {
            assert!(is_public_provider(domain), "{domain}");
        }
        for domain in ["example.org", "yahoo", "live.mybank.co.uk", "outlook.shop.example.org", "", "mail"] {
            assert!(!is_public_provider(domain), "{domain}");
        }
    }

    #[test]
    fn an_organisation_is_one_domain_and_what_is_within() {
        assert!(is_same_organisation("example.org", "example.org"));
        assert!(is_same_organisation("example.org", "mail.example.org"));
        assert!(is_same_organisation("sales.acme.co.uk", "acme.co.uk"));
        for (one, other) in [
            ("a.example.org", "b.example.org"),
            ("example.org", "notexample.org"),
            ("co.uk", "acme.co.uk"),
            ("org", "example.org"),
            ("gmail.com", "gmail.com"),
            ("gmail.com", "mail.gmail.com"),
            ("", ""),
            ("", "example.org"),
        ] {
            assert!(!is_same_organisation(one, other), "{one} {other}");
            assert!(!is_same_organisation(other, one), "{other} {one}");
        }
    }
}
