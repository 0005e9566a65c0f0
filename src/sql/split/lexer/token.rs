//! What the lexer tells apart: kinds of tokens, and of bytes.
//!
//! All bytes that are not ASCII may stand in words, as in PostgreSQL; so a character
//! is never cut by a token's end.

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Space,
    /// `-- …`, without the end of its line.
    LineComment,
    /// `/* … */`.
    Comment,
    /// A key word or an unquoted name.
    Word,
    /// A string constant, quotes and prefix included.
    Literal,
    /// A name in double quotes, prefix included.
    Quoted,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// psql's `:name`.
    Variable,
    /// psql's `:'name'`.
    VariableLiteral,
    /// psql's `:"name"`.
    VariableName,
    /// psql's `:{?name}`.
    VariableTest,
    /// psql's `\;` and `\:`.
    Escaped,
    /// The backslash of a psql command.
    Backslash,
    /// An operator, a bracket, a number: anything else.
    Other,
}

/// A token's kind and its bytes, counted from where the lexer was last set to 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// White space between tokens.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What a name may hold that stands without quotes in psql's `:name`, or as a dollar quote's tag.
pub const fn in_variable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The first byte of a word.
pub const fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

/// Its other bytes.
pub const fn continues_word(byte: u8) -> bool {
    in_variable(byte) || byte == b'$'
}

/// What operators are made of.
pub const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}
