//! The flat XML that CloudFormation's query API answers with.
//!
//! It has neither attributes nor comments where it is read here, and names do
//! not nest in themselves within one block, so elements are found by their tags;
//! this is no XML parser.

/// What stands between the first such tags; nothing where there are none.
pub fn block<'a>(xml: &'a str, name: &str) -> &'a str {
    blocks(xml, name).next().unwrap_or_default()
}

/// What stands between such tags, each time.
pub fn blocks<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let from = rest.find(&start)? + start.len();
        let to = from + rest[from..].find(&end)?;
        let inner = &rest[from..to];
        rest = &rest[to + end.len()..];
        Some(inner)
    })
}

/// The text of the first such element.
pub fn text(xml: &str, name: &str) -> String {
    unescaped(block(xml, name))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.find(';').and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = entity.unwrap_or(('&', 1));
        plain.push(character);
        rest = &rest[length..];
    }
    plain + rest
}

fn character(entity: &str) -> Option<char> {
    let number = match entity {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => entity.strip_prefix('#')?,
    };
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_their_text_is_unescaped() {
        let xml = "<L><member><A>x &lt;&#39;&#x27;&amp;lt;</A></member><member><A/></member></L>";
        let members: Vec<_> = blocks(block(xml, "L"), "member").collect();
        assert_eq!(members.len(), 2);
        assert_eq!(text(members[0], "A"), "x <''&lt;");
        assert_eq!(text(members[1], "A"), "");
        assert_eq!(unescaped("a & b &nbsp; &"), "a & b &nbsp; &");
    }
}
