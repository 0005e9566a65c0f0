//! XML to the tree. Namespaces are left out, a CDATA section is text, and the text
//! of an element is what stands directly in it, trimmed, as Liquibase takes it.
//!
//! A document type is refused, and with it every entity of one's own: they can
//! name files, and grow without bound.

use std::sync::Arc;

use roxmltree::{Document, ParsingOptions};

use super::node::Node;
use crate::changelog::{ChangelogError, Place};

/// Deeper than any changelog; a tree this deep is walked without harm.
const DEEPEST: u32 = 100;

/// Reads a document.
pub fn document(text: &str, file: &str) -> Result<Node, ChangelogError> {
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let line = error.pos().row as usize;
        let place = Place { file: file.to_owned(), line };
        let found = ChangelogError::at(&place, format!("the XML cannot be read: {error}"));
        match error {
            roxmltree::Error::DtdDetected => {
                found.hint("Remove the `<!DOCTYPE>`; entities of one's own are not read.")
            }
            _ => found,
        }
    })?;
    let file: Arc<str> = file.into();
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut root = Node::new("", &file, 1);
    root.push(element(document.root_element(), &file, &lines, 0)?);
    Ok(root)
}

fn element(
    from: roxmltree::Node<'_, '_>,
    file: &Arc<str>,
    lines: &[usize],
    depth: u32,
) -> Result<Node, ChangelogError> {
    let line_of =
        |at: usize| u32::try_from(lines.partition_point(|end| *end < at) + 1).unwrap_or(u32::MAX);
    let mut node = Node::new(from.tag_name().name(), file, line_of(from.range().start));
    if depth > DEEPEST {
        return Err(node.error("elements are nested too deep"));
    }
    for attribute in from.attributes() {
        let mut child = Node::new(attribute.name(), file, line_of(attribute.range().start));
        child.push_text(attribute.value());
        node.push(child);
    }
    let mut text = String::new();
    for child in from.children() {
        if child.is_element() {
            node.push(element(child, file, lines, depth + 1)?);
        } else if child.is_text() {
            let piece = child.text().unwrap_or_default();
            if text.bytes().all(|byte| byte <= b' ') {
                // Where the text begins in the file: after its blanks, and after `<![CDATA[`.
                let start = child.range().start;
                let source = &child.document().input_text()[start..from.range().end];
                let bare = source.trim_start();
                let bare = bare.strip_prefix("<![CDATA[").unwrap_or(bare).trim_start();
                node.set_text_line(line_of(start + source.len() - bare.len()));
            }
            text.push_str(piece);
        }
    }
    let text = crate::changelog::root::trimmed(&text);
    if !text.is_empty() {
        node.push_text(text);
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_cdata_is_text() {
        let read = document(
            "<databaseChangeLog>\n<sql a:stripComments='false' xmlns:a='x'> a <comment>no</comment>\
             <![CDATA[<b> ]]>\n</sql>\n</databaseChangeLog>",
            "a.xml",
        );
        let read = read.unwrap();
        let sql = read.child("databaseChangeLog").unwrap().child("sql").unwrap();
        assert_eq!(sql.text(), Some("a <b>"));
        assert_eq!((sql.attr("stripComments"), sql.place().line), (Some("false"), 2));
        let read = document("<a>\n <b>\n\n<![CDATA[\n x]]></b></a>", "a.xml").unwrap();
        let b = read.child("a").unwrap().child("b").unwrap();
        assert_eq!((b.text(), b.text_line()), (Some("x"), 5));
    }

    #[test]
    fn a_document_type_is_refused() {
        let text = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>\n<a>&b;</a>";
        let error = document(text, "a.xml").unwrap_err();
        assert!(error.hint.unwrap().contains("DOCTYPE"));
    }
}
