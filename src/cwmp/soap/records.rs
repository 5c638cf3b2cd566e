//! Small documents that are no envelopes: a root, records in it, and texts in these, read by the same strict parser.

use super::error::{ReadError, Stop};
use super::xml::{Limits, Xml};
use crate::model::path::clip;

/// A child of the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name, without a prefix.
    pub name: String,
    /// The names and texts of its children; one that has children of its own is left out.
    pub texts: Vec<(String, String)>,
}

/// Reads the records of a document with this root.
///
/// # Errors
/// [`ReadError::NotXml`] and [`ReadError::TooLarge`], and [`ReadError::NotSoap`] for another root or text between
/// elements.
pub fn records(bytes: &[u8], root: &str, limits: &Limits) -> Result<Vec<Record>, ReadError> {
    let mut xml = Xml::new(bytes, limits)?;
    let tag = xml.root()?;
    if tag.local != root {
        return Err(ReadError::NotSoap(format!("the root is <{}>, not <{root}>", clip(&tag.local))));
    }
    let mut records = Vec::new();
    xml.children(|xml, tag| {
        let mut texts = Vec::new();
        xml.children(|xml, tag| {
            let above = xml.depth().saturating_sub(1);
            match xml.text() {
                Ok(text) => texts.push((tag.local.clone(), text)),
                Err(Stop::Content(_)) => xml.unwind(above)?,
                Err(stop) => return Err(stop),
            }
            Ok(())
        })?;
        records.push(Record { name: tag.local.clone(), texts });
        Ok(())
    })?;
    xml.finish()?;
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_their_texts() {
        let read = |text: &str| records(text.as_bytes(), "cwmp", &Limits { depth: 6, ..Limits::default() });
        let found =
            read("<cwmp>\n <a><b>1 &amp; 2</b><c/><d><e>x</e> y</d><f>3</f></a><g/>\n</cwmp>").unwrap();
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let texts = vec![text("b", "1 & 2"), text("c", ""), text("f", "3")];
        assert_eq!(found[0], Record { name: "a".to_owned(), texts });
        assert_eq!(found[1], Record { name: "g".to_owned(), texts: Vec::new() });
        assert_eq!(found.len(), 2);
        for bad in ["", "<other/>", "<cwmp><a>", "<cwmp>x</cwmp>", "<cwmp/><cwmp/>", "<!DOCTYPE a><cwmp/>"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(matches!(read(&"<cwmp>".repeat(9)), Err(ReadError::TooLarge(_))));
    }
}
