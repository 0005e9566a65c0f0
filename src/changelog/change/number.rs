//! Numbers, as far as Java's `NumberFormat` and `BigInteger` matter.
//!
//! Liquibase takes a text for a number if a number stands at its beginning
//! (`1 + 2`, `1,000`), and keeps the text. Here a text is told apart that is a
//! number as a whole; nothing is computed.

/// A whole number in its shortest form: no `+`, no leading zeros.
pub fn whole(text: &str) -> Option<String> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".into()),
        digits => Some(format!("{sign}{digits}")),
    }
}

/// Whether a number stands at the beginning of the text.
pub fn starts_with_one(text: &str) -> bool {
    first(text).is_some()
}

/// The number that the text is, without the commas between its digits.
pub fn plain(text: &str) -> Option<String> {
    let (number, len) = first(text)?;
    (len == text.len()).then_some(number)
}

/// The number at the beginning of the text, and how long it is there.
pub fn first(text: &str) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let mut number = String::new();
    let mut at = 0;
    if bytes.first() == Some(&b'-') {
        number.push('-');
        at = 1;
    }
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut digits, mut point) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                number.push(char::from(byte));
                digits += 1;
            }
            b',' if !point && is_digit(at + 1) => {}
            b'.' if !point => {
                point = true;
                // `.5` is a number, and so is `5.`, which PostgreSQL takes as well.
                number.push('.');
            }
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    if number.ends_with('.') {
        number.pop();
    }
    let signed = usize::from(bytes.get(at + 1) == Some(&b'-'));
    if bytes.get(at) == Some(&b'E') && is_digit(at + 1 + signed) {
        let end = (at + 1 + signed..bytes.len()).find(|&end| !is_digit(end)).unwrap_or(bytes.len());
        number.push_str(&text[at..end]);
        at = end;
    }
    Some((number, at))
}

/// Without zeros behind the point, if there is nothing else behind it.
pub fn short(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        _ => number,
    }
}

/// Without any zeros at the end of a fraction.
pub fn shortest(number: &str) -> &str {
    if number.contains('.') && !number.contains('E') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_from_an_expression_that_begins_with_one() {
        for (text, number) in [
            ("5", Some("5")),
            ("-3.50", Some("-3.50")),
            ("1,000.5", Some("1000.5")),
            (".5", Some(".5")),
            ("1E5", Some("1E5")),
            ("1E-5", Some("1E-5")),
            ("1 + 2", None),
            ("1e5", None),
            ("+5", None),
            ("", None),
            ("-", None),
            ("nextval('s')", None),
            ("5; DROP TABLE t", None),
        ] {
            assert_eq!(plain(text).as_deref(), number, "{text}");
        }
        assert!(starts_with_one("1 + 2") && !starts_with_one("+5") && !starts_with_one("x1"));
        assert_eq!(["7.50", "7.00", "100"].map(shortest), ["7.5", "7", "100"]);
        assert_eq!(["0.00", "7.50", "5", "1."].map(short), ["0", "7.50", "5", "1."]);
    }

    #[test]
    fn a_whole_number_has_one_form() {
        let forms = ["007", "+5", "-0", "-12", "1.0", "", "x"].map(whole);
        let forms: Vec<_> = forms.iter().map(Option::as_deref).collect();
        assert_eq!(forms, [Some("7"), Some("5"), Some("0"), Some("-12"), None, None, None]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_number_or_nothing(text in "[-+0-9.,E e(x]{0,12}") {
            if let Some((_, len)) = first(&text) {
                proptest::prop_assert!(len <= text.len());
            }
            let _ = whole(&text);
        }
    }
}
