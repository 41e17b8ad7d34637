//! How much of a mail is read. What lies beyond a limit is left out, and the mail says so; it is
//! never refused.

/// The limits of reading. `Default` gives the values that postroom promises.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Multiparts inside multiparts: a deeper one stays an opaque file.
    pub depth: usize,
    /// MIME parts of one mail, containers included; what comes behind them is left out.
    pub parts: usize,
    /// Addresses of one mail, over all its address headers.
    pub addresses: usize,
    /// Files that are listed.
    pub files: usize,
    /// Header fields of one header block.
    pub fields: usize,
    /// Bytes of one header's value.
    pub field_bytes: usize,
    /// Bytes of one header block; headers behind them are left out.
    pub header_bytes: usize,
    /// `Received` headers a mail may have before it counts as going round in circles.
    pub received: usize,
    /// Decoded bytes of one text part that are looked at; parts behind so many of all together are not
    /// looked at.
    pub text_bytes: usize,
    /// Bytes of a mail's HTML that are sanitised, all its parts together; a part that goes beyond is
    /// shown as plain text.
    pub html_bytes: usize,
    /// HTML elements inside one another; deeper HTML is shown as plain text.
    pub html_depth: usize,
    /// Bytes of text in which the quoted part is looked for.
    pub quote_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            parts: 1000,
            addresses: 1000,
            files: 200,
            fields: 5000,
            field_bytes: 100 * 1024,
            header_bytes: 1024 * 1024,
            received: 50,
            text_bytes: 4 * 1024 * 1024,
            html_bytes: 256 * 1024,
            html_depth: 256,
            quote_bytes: 256 * 1024,
        }
    }
}
