//! What a plain value of YAML 1.1 means, as the text that Liquibase makes of it.
//!
//! `id: 1.10` is the number 1.1, `010` is eight, `yes` is true and `12e3` is
//! 12000.0: the history holds these texts, so they must be the same here. A date
//! stays as it is written; Java's text of it depends on the machine's time zone.

/// The text of a plain value; `None` is null.
pub fn plain(text: &str) -> Option<String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return None,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some("true".into());
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some("false".into());
        }
        _ => {}
    }
    let first = text.as_bytes()[0];
    let number = if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        integer(text).or_else(|| float(text))
    } else {
        None
    };
    Some(number.unwrap_or_else(|| text.to_owned()))
}

fn integer(text: &str) -> Option<String> {
    let (minus, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let all = |digits: &str, allowed: &dyn Fn(u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|byte| byte == b'_' || allowed(byte))
    };
    let bare = |digits: &str| digits.replace('_', "");
    let decimal = |byte: u8| byte.is_ascii_digit();
    let value = if digits == "0" {
        "0".to_owned()
    } else if let Some(rest) = digits.strip_prefix("0x") {
        all(rest, &|byte| byte.is_ascii_hexdigit()).then_some(())?;
        i128::from_str_radix(&bare(rest), 16).ok()?.to_string()
    } else if let Some(rest) = digits.strip_prefix("0b") {
        all(rest, &|byte| matches!(byte, b'0' | b'1')).then_some(())?;
        i128::from_str_radix(&bare(rest), 2).ok()?.to_string()
    } else if let Some(rest) = digits.strip_prefix('0') {
        all(rest, &|byte| matches!(byte, b'0'..=b'7')).then_some(())?;
        match bare(rest) {
            rest if rest.is_empty() => "0".to_owned(),
            rest => i128::from_str_radix(&rest, 8).ok()?.to_string(),
        }
    } else if digits.contains(':') {
        sexagesimal(digits)?
    } else {
        let starts = digits.as_bytes().first().is_some_and(u8::is_ascii_digit);
        (starts && all(digits, &decimal)).then(|| bare(digits))?
    };
    Some(if minus && value != "0" { format!("-{value}") } else { value })
}

/// `1:30` is ninety: numbers to the base of 60.
fn sexagesimal(digits: &str) -> Option<String> {
    let mut parts = digits.split(':');
    let first = parts.next()?;
    let starts = first.as_bytes().first().is_some_and(|byte| matches!(byte, b'1'..=b'9'));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut value: i128 =
        (starts && is_digits(first)).then(|| first.replace('_', "").parse().ok())??;
    for part in parts {
        let fits = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        let digit: i128 = fits.then(|| part.parse().ok())??;
        value = (digit < 60).then(|| value.checked_mul(60)?.checked_add(digit))??;
    }
    Some(value.to_string())
}

fn float(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let sign = if text.starts_with('-') { "-" } else { "" };
        return Some(format!("{sign}Infinity"));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some("NaN".into());
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_number = match fraction {
        // `.5`, but not `.`; `5.` and `5.5`.
        Some(fraction) if whole.is_empty() => {
            fraction.as_bytes().first().is_some_and(u8::is_ascii_digit) && digits(fraction)
        }
        Some(fraction) => whole.as_bytes()[0].is_ascii_digit() && digits(whole) && digits(fraction),
        // Without a point there must be an exponent.
        None => {
            exponent.is_some()
                && whole.as_bytes().first().is_some_and(u8::is_ascii_digit)
                && digits(whole)
        }
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let bare = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !is_number || !exponent_fits {
        return None;
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    Some(java(value))
}

/// A number as Java prints a `double`.
fn java(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}E{exponent}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_value_is_what_yaml_1_1_says() {
        for (written, text) in [
            ("1.10", "1.1"),
            ("1.0", "1.0"),
            ("010", "8"),
            ("089", "089"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("-5", "-5"),
            ("+5", "5"),
            ("12e3", "12000.0"),
            ("12e9", "1.2E10"),
            ("12345678.5", "1.23456785E7"),
            ("1e-4", "1.0E-4"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("12e4567", "Infinity"),
            ("1:30", "90"),
            ("1:99", "1:99"),
            ("1.2.3", "1.2.3"),
            ("20240101120000", "20240101120000"),
            ("99999999999999999999", "99999999999999999999"),
            ("Yes", "true"),
            ("off", "false"),
            ("y", "y"),
            ("-", "-"),
            (".", "."),
            ("+", "+"),
            ("0x", "0x"),
            ("2020-01-01", "2020-01-01"),
            ("1-a", "1-a"),
            ("1e", "1e"),
        ] {
            assert_eq!(plain(written).as_deref(), Some(text), "{written}");
        }
        assert_eq!((plain("~"), plain(""), plain("NULL")), (None, None, None));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in "[-+0-9_.:exbEiInN]{0,12}", any in ".{0,8}") {
            let _ = (plain(&text), plain(&any));
        }
    }
}
