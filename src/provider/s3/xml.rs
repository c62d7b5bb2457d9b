//! XML as S3 speaks it: elements with either a text or elements in them. Attributes and namespaces mean nothing.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// The deepest nesting that an answer may have; their own have eight.
const DEEPEST: usize = 32;

/// An element, with its text or what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds an element with a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: impl ToString) -> Self {
        self.children.push(Self { name: name.to_owned(), text: text.to_string(), children: Vec::new() });
        self
    }

    /// Adds an element with a text, if there is one.
    #[must_use]
    pub fn maybe(self, name: &str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds an element.
    #[must_use]
    pub fn with(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    /// The first element of a name in this one.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements of a name in this one.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of an element in this one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The text of an element in this one, as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub fn is(&self, name: &str, text: &str) -> bool {
        self.get(name) == Some(text)
    }

    /// As the body of a request to S3.
    pub fn document(&self) -> Vec<u8> {
        let mut text = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
        self.write(&mut text, r#" xmlns="http://s3.amazonaws.com/doc/2006-03-01/""#);
        text.into_bytes()
    }

    fn write(&self, into: &mut String, attributes: &str) {
        into.push_str(&format!("<{}{attributes}>", self.name));
        into.push_str(&escape(self.text.as_str()));
        for child in &self.children {
            child.write(into, "");
        }
        into.push_str(&format!("</{}>", self.name));
    }

    /// The root element of a document. `None` if it is no XML of this sort: truncated, with a document type, too deep.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
        // The root ends up in this one.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    open.push(Self { name, ..Self::default() });
                    if open.len() > DEEPEST {
                        return None;
                    }
                }
                Event::Empty(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    open.last_mut()?.children.push(Self { name, ..Self::default() });
                }
                Event::End(_) => {
                    let mut done = open.pop()?;
                    // What stands between elements is layout.
                    if !done.children.is_empty() {
                        done.text.clear();
                    }
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text),
                Event::CData(text) => open.last_mut()?.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut()?.text;
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => text.push_str(resolve_predefined_entity(&reference)?),
                    }
                }
                Event::DocType(_) => return None,
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        let [outer] = <[Self; 1]>::try_from(open).ok()?;
        <[Self; 1]>::try_from(outer.children).ok().map(|[root]| root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let tag = Element::new("Tag").text("Key", "a<b>&\"c'").text("Value", " é \u{1F600} ");
        let element = Element::new("Tagging").with(Element::new("TagSet").with(tag));
        assert_eq!(Element::parse(&element.document()), Some(element));
    }

    #[test]
    fn namespaces_layout_and_references_mean_nothing() {
        let text = "<?xml version=\"1.0\"?>\n<a:R xmlns:a=\"x\">\n <K>&#34;1&quot;</K>\n <E/>\n</a:R>\n";
        let root = Element::parse(text.as_bytes()).expect("a document");
        assert_eq!(
            (root.name.as_str(), root.get("K"), root.get("E"), root.text.as_str()),
            ("R", Some("\"1\""), Some(""), "")
        );
    }

    #[test]
    fn what_is_cut_or_strange_is_nothing() {
        for text in ["", "{}", "<a><b></a>", "<a><b>", "<!DOCTYPE html><html></html>", "<a/><b/>", "<a>&x;</a>", "text"]
        {
            assert_eq!(Element::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Element::parse("<a>".repeat(40).as_bytes()), None);
    }
}
