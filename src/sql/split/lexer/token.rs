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

const SPACE: u8 = 1;
const STARTS_WORD: u8 = 2;
const IN_VARIABLE: u8 = 4;
const CONTINUES_WORD: u8 = 8;
const OPERATOR: u8 = 16;

/// What each byte may be.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => STARTS_WORD | IN_VARIABLE | CONTINUES_WORD,
            b'0'..=b'9' => IN_VARIABLE | CONTINUES_WORD,
            b'$' => CONTINUES_WORD,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*'
            | b'/' | b'%' | b'<' | b'>' | b'=' => OPERATOR,
            _ => 0,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

const fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// White space between tokens.
pub const fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// What a name may hold that stands without quotes in psql's `:name`, or as a dollar quote's tag.
pub const fn in_variable(byte: u8) -> bool {
    is(byte, IN_VARIABLE)
}

/// The first byte of a word.
pub const fn starts_word(byte: u8) -> bool {
    is(byte, STARTS_WORD)
}

/// Its other bytes.
pub const fn continues_word(byte: u8) -> bool {
    is(byte, CONTINUES_WORD)
}

/// What operators are made of.
pub const fn is_operator(byte: u8) -> bool {
    is(byte, OPERATOR)
}
