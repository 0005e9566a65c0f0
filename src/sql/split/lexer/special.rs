//! The two things that only show at their end what they are: dollar quotes, and psql's
//! variables.

use super::token::{Kind, in_variable, starts_word};
use super::{Lexer, State, Step};

impl Lexer {
    /// `$1`, `$$…$$`, `$tag$…$tag$`.
    pub(super) fn dollar(&mut self, input: &[u8]) -> Step {
        match self.state {
            State::Dollar => {
                self.delimiter.clear();
                self.delimiter.push(b'$');
                match input[0] {
                    byte if byte == b'$' || starts_word(byte) => self.go(0, State::DollarTag),
                    b'0'..=b'9' => self.go(0, State::Number),
                    _ => self.ended(0, Kind::Other),
                }
            }
            State::DollarTag => {
                let end = input.iter().position(|&byte| !in_variable(byte));
                self.delimiter.extend_from_slice(&input[..end.unwrap_or(input.len())]);
                match end {
                    None => (input.len(), None),
                    Some(n) if input[n] == b'$' => {
                        self.delimiter.push(b'$');
                        self.go(n + 1, State::DollarBody { matched: 0 })
                    }
                    Some(n) => self.split(n, Kind::Other, self.start + 1, State::Word),
                }
            }
            State::DollarBody { mut matched } => {
                let mut at = 0;
                while at < input.len() {
                    if matched == 0 {
                        match input[at..].iter().position(|&byte| byte == b'$') {
                            None => break,
                            Some(n) => at += n,
                        }
                    }
                    // The only `$` of the delimiter are its ends, so a failed match starts anew here.
                    matched = match input[at] {
                        byte if byte == self.delimiter[matched] => matched + 1,
                        byte => usize::from(byte == b'$'),
                    };
                    at += 1;
                    if matched == self.delimiter.len() {
                        return self.ended(at, Kind::Literal);
                    }
                }
                self.go(input.len(), State::DollarBody { matched })
            }
            _ => (0, None),
        }
    }

    /// What starts with a colon. Where it turns out to be no variable, the colon stands for itself
    /// and the rest is what it would be without.
    pub(super) fn variable(&mut self, input: &[u8]) -> Step {
        let first = input[0];
        let name_end = input.iter().position(|&byte| !in_variable(byte));
        match self.state {
            State::Colon => match first {
                b':' | b'=' => self.ended(1, Kind::Other),
                b'\'' | b'"' => self.go(1, State::VariableQuoted { quote: first }),
                b'{' => self.go(1, State::VariableBrace),
                _ if in_variable(first) => self.go(1, State::Variable),
                _ => self.ended(0, Kind::Other),
            },
            State::Variable => self.run(input, in_variable, Kind::Variable),
            State::VariableQuoted { quote } => {
                let Some(n) = name_end else { return (input.len(), None) };
                let named = self.at + n > self.start + 2;
                if input[n] == quote && named {
                    let kind = match quote {
                        b'"' => Kind::VariableName,
                        _ => Kind::VariableLiteral,
                    };
                    return self.ended(n + 1, kind);
                }
                let rest = State::Quote { quote, escapes: false };
                self.split(n, Kind::Other, self.start + 1, rest)
            }
            State::VariableBrace if first == b'?' => self.go(1, State::VariableTest),
            State::VariableTest => {
                let Some(n) = name_end else { return (input.len(), None) };
                let named = self.at + n > self.start + 3;
                match input[n] {
                    b'}' if named => self.ended(n + 1, Kind::VariableTest),
                    _ if named => self.split(n, Kind::Other, self.start + 3, State::Word),
                    _ => self.ended(n, Kind::Other),
                }
            }
            _ => self.ended(0, Kind::Other),
        }
    }
}
