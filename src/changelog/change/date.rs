//! Dates and times in ISO form, as Liquibase takes them.
//!
//! Which form a text has is told by its length: `07:30:00`, `2020-01-02`,
//! `2020-01-02T03:04:05`, the last also with a blank for the T and with a
//! fraction. Anything else is an expression for the database. A zone behind a
//! fraction is dropped, as Liquibase drops it; what no calendar has (30 February)
//! is left to the database to refuse.

/// The one form of a date or time; `None` if the text is something else.
pub fn iso(text: &str) -> Option<String> {
    if !text.is_ascii() {
        return None;
    }
    match text.len() {
        8 => time(text),
        10 => date(text),
        19 => date_and_time(text),
        _ if text.contains(':') && !text.contains('-') => time(text),
        20.. if text.as_bytes()[19] == b'.' => {
            let whole = date_and_time(&text[..19])?;
            let rest = &text[20..];
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, zone) = rest.split_at(end);
            let fits = (1..=9).contains(&digits.len());
            let fits = fits && (zone.is_empty() || text.as_bytes()[10] == b'T' && is_zone(zone));
            let digits = fits.then(|| digits.trim_end_matches('0'))?;
            Some(if digits.is_empty() { whole } else { format!("{whole}.{digits}") })
        }
        _ => None,
    }
}

/// As an SQL literal has it.
pub fn in_sql(iso: &str) -> String {
    iso.replace('T', " ")
}

fn time(text: &str) -> Option<String> {
    let mut parts = text.split(':');
    let mut next = || number(parts.next()?, 2);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let fits = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    fits.then(|| format!("{hour:02}:{minute:02}:{second:02}"))
}

fn date(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && parts.next().is_none();
    fits.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn date_and_time(text: &str) -> Option<String> {
    let fits = matches!(text.as_bytes()[10], b'T' | b' ');
    let (date, time) = fits.then(|| Some((date(&text[..10])?, time(&text[11..])?)))??;
    Some(format!("{date}T{time}"))
}

fn number(text: &str, most: usize) -> Option<u16> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

/// `Z`, `+02`, `+02:00`.
fn is_zone(text: &str) -> bool {
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "Z"
        || text.strip_prefix(['+', '-']).is_some_and(|offset| match offset.split_once(':') {
            Some((hours, minutes)) => digits(hours) && digits(minutes),
            None => digits(offset),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_known_by_its_form() {
        for (text, expected) in [
            ("07:30:00", Some("07:30:00")),
            ("7:30:00", Some("07:30:00")),
            ("2001-02-03", Some("2001-02-03")),
            ("2001-02-03T04:05:06", Some("2001-02-03T04:05:06")),
            ("2001-02-03 04:05:06.120", Some("2001-02-03T04:05:06.12")),
            ("2001-02-03T04:05:06.000", Some("2001-02-03T04:05:06")),
            ("2001-02-03T04:05:06.7+02:00", Some("2001-02-03T04:05:06.7")),
            ("2001-02-03T04:05:06.5Z", Some("2001-02-03T04:05:06.5")),
            ("2001-02-03T04:05:06Z", None),
            ("now()", None),
            ("current_date", None),
            ("2001-13-03", None),
            ("", None),
        ] {
            assert_eq!(iso(text).as_deref(), expected, "{text}");
        }
        assert_eq!(in_sql("2001-02-03T04:05:06"), "2001-02-03 04:05:06");
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_date_or_nothing(text in "[-0-9:. TZ+é]{0,26}") {
            let _ = iso(&text);
        }
    }
}
