//! Mail out: a message becomes MIME, and MIME leaves by SMTP
