//! The settings of one script: `V1__x.sql.conf` beside `V1__x.sql`.
//!
//! Four are Flyway's: `executeInTransaction`, `placeholderReplacement`,
//! `shouldExecute` and `encoding`. Expressions in `shouldExecute` and encodings
//! other than UTF-8 are refused by name, and so is any other setting.

use crate::changelog::{ChangelogError, Place};

/// What a script's settings say; the defaults are those of a script without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    /// `executeInTransaction`.
    pub in_transaction: bool,
    /// `placeholderReplacement`.
    pub placeholders: bool,
    /// `shouldExecute`.
    pub execute: bool,
}

impl Default for Conf {
    fn default() -> Self {
        Self { in_transaction: true, placeholders: true, execute: true }
    }
}

/// Reads the settings in `text`, which is the file `path`.
pub fn read(path: &str, text: &str) -> Result<Conf, Vec<ChangelogError>> {
    let mut conf = Conf::default();
    let mut errors = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = setting(line);
        let place = Place { file: path.to_owned(), line: number + 1 };
        if let Err(error) = conf.set(key, value, &place) {
            errors.push(error);
        }
    }
    if errors.is_empty() { Ok(conf) } else { Err(errors) }
}

impl Conf {
    fn set(&mut self, key: &str, value: &str, place: &Place) -> Result<(), ChangelogError> {
        match key {
            "executeInTransaction" => self.in_transaction = yes_or_no(key, value, place)?,
            "placeholderReplacement" => self.placeholders = yes_or_no(key, value, place)?,
            "shouldExecute" => {
                self.execute = yes_or_no(key, value, place).map_err(|error| {
                    error.hint("Expressions are not evaluated here; write `true` or `false`.")
                })?;
            }
            "encoding" if ["utf-8", "utf8"].contains(&value.to_ascii_lowercase().as_str()) => {}
            "encoding" => {
                let what = format!("the encoding `{value}` is not supported");
                let hint = "Save the script as UTF-8. Its checksum stays the same, for Flyway's counts \
                            characters, not bytes.";
                return Err(ChangelogError::at(place, what).hint(hint));
            }
            _ => {
                let what = format!("the setting `{key}` of a script is not known");
                let hint = "The settings of a script are `executeInTransaction`, \
                            `placeholderReplacement`, `shouldExecute` and `encoding`.";
                return Err(ChangelogError::at(place, what).hint(hint));
            }
        }
        Ok(())
    }
}

fn yes_or_no(key: &str, value: &str, place: &Place) -> Result<bool, ChangelogError> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        let what = format!("`{key}` is `{value}`; it can be `true` or `false`");
        Err(ChangelogError::at(place, what))
    }
}

/// `key=value`, `key: value` or `key value`, as in Java's properties.
fn setting(line: &str) -> (&str, &str) {
    let end = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace()).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read_as_java_reads_properties() {
        let text = "# no transaction\r\n executeInTransaction = FALSE\n\n! and\n\
                    placeholderReplacement:false\nshouldExecute false\nencoding=utf-8";
        let conf = read("a.conf", text).unwrap();
        assert_eq!(conf, Conf { in_transaction: false, placeholders: false, execute: false });
        assert_eq!(read("a.conf", "").unwrap(), Conf::default());
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, what) in [
            ("encoding=ISO-8859-1", "a.conf:2: the encoding `ISO-8859-1` is not supported"),
            (
                "shouldExecute=${env}==prod",
                "a.conf:2: `shouldExecute` is `${env}==prod`; it can be `true` or `false`",
            ),
            (
                "executeInTransaction",
                "a.conf:2: `executeInTransaction` is ``; it can be `true` or `false`",
            ),
            ("mixed=true", "a.conf:2: the setting `mixed` of a script is not known"),
        ] {
            let errors = read("a.conf", &format!("\n{text}")).unwrap_err();
            assert_eq!(errors[0].to_string(), what);
        }
        assert_eq!(read("a.conf", "x=1\ny=2").unwrap_err().len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_settings_or_errors(text in "(?s).*") {
            let _ = read("a.conf", &text);
        }
    }
}
