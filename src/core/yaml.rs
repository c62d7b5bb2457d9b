//! Values as YAML text that every reader reads in the same way.
//!
//! Readers of YAML 1.1 (kubectl and kustomize among them) read `on`, `0777` or `1_000` differently from readers of YAML 1.2. So
//! a text is written without quotes only if it is a text in both. Keys are in a fixed order, so that the same value always
//! gives the same file.

use crate::model::value::{Map, Value};

/// A piece of YAML with its own order of keys, and with comments.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    Value(Value),
    List(Vec<Yaml>),
    Map(Vec<Entry>),
}

/// A field, with the comment above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// One line each.
    pub comment: Vec<String>,
    pub key: String,
    pub value: Yaml,
}

impl Entry {
    pub fn new(key: impl Into<String>, value: impl Into<Yaml>) -> Self {
        Self { comment: Vec::new(), key: key.into(), value: value.into() }
    }

    #[must_use]
    pub fn comment(mut self, line: impl Into<String>) -> Self {
        self.comment.push(line.into());
        self
    }
}

impl From<Value> for Yaml {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&Value> for Yaml {
    fn from(value: &Value) -> Self {
        match value {
            Value::Map(map) => Self::from(&**map),
            Value::List(items) => Self::List(items.iter().map(Yaml::from).collect()),
            leaf => Self::Value(leaf.clone()),
        }
    }
}

impl From<&Map> for Yaml {
    fn from(map: &Map) -> Self {
        let mut fields: Vec<_> = map.iter().collect();
        fields.sort_by_key(|(key, _)| rank(key));
        Self::Map(fields.into_iter().map(|(key, value)| Entry::new(&**key, value)).collect())
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Value(text.into())
    }
}

/// The keys that come first; the others follow in alphabetical order.
const FIRST: [&str; 6] = ["apiVersion", "kind", "metadata", "id", "name", "namespace"];

fn rank(key: &str) -> usize {
    FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len())
}

/// YAML text, ending with a line break. Lists and maps of short scalars stand on one line if it has at most `width`
/// characters; with 0 everything has a line of its own.
pub fn text(yaml: &Yaml, width: usize) -> String {
    let mut writer = Writer { out: String::new(), width };
    match yaml {
        Yaml::Map(entries) if !entries.is_empty() => writer.map(entries, 0, false),
        Yaml::List(items) if !items.is_empty() => writer.list(items, 0),
        other => {
            writer.inline(other, 0);
        }
    }
    writer.out
}

/// A value on one line, with lists and maps in brackets.
pub fn in_one_line(value: &Value) -> String {
    match value {
        Value::List(items) => format!("[{}]", items.iter().map(within_brackets).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let field = |(key, value): (&std::sync::Arc<str>, &Value)| {
                format!("{}: {}", within_brackets(&Value::Text(key.clone())), within_brackets(value))
            };
            format!("{{{}}}", map.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        leaf => self::leaf(leaf),
    }
}

/// A value within brackets, on one line.
pub fn within_brackets(value: &Value) -> String {
    match value {
        Value::Text(text) if text.contains([',', '[', ']', '{', '}', ':']) => quoted(text),
        other => in_one_line(other),
    }
}

struct Writer {
    out: String,
    width: usize,
}

impl Writer {
    fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.out.push_str("  ");
        }
    }

    fn comment(&mut self, lines: &[String], depth: usize) {
        for line in lines {
            self.indent(depth);
            self.out.push_str(format!("# {line}").trim_end());
            self.out.push('\n');
        }
    }

    /// `begun`: whether the first key stands behind the dash of a list's item, and its comment above that.
    fn map(&mut self, entries: &[Entry], depth: usize, begun: bool) {
        for (index, Entry { comment, key, value }) in entries.iter().enumerate() {
            if index > 0 || !begun {
                self.comment(comment, depth);
                self.indent(depth);
            }
            self.out.push_str(&scalar(key));
            self.out.push(':');
            self.below(value, depth, depth * 2 + key.len() + 2);
        }
    }

    fn list(&mut self, items: &[Yaml], depth: usize) {
        for item in items {
            if let Yaml::Map(entries) = item
                && let Some(first) = entries.first()
            {
                self.comment(&first.comment, depth);
            }
            self.indent(depth);
            self.out.push('-');
            match item {
                Yaml::Map(entries) if !entries.is_empty() && self.flow(item, depth * 2 + 2).is_none() => {
                    self.out.push(' ');
                    self.map(entries, depth + 1, true);
                }
                other => self.below(other, depth, depth * 2 + 2),
            }
        }
    }

    /// What comes after a colon or a dash.
    fn below(&mut self, value: &Yaml, depth: usize, used: usize) {
        if let Some(flow) = self.flow(value, used) {
            self.out.push(' ');
            self.out.push_str(&flow);
            self.out.push('\n');
            return;
        }
        match value {
            Yaml::Map(entries) if !entries.is_empty() => {
                self.out.push('\n');
                self.map(entries, depth + 1, false);
            }
            Yaml::List(items) if !items.is_empty() => {
                self.out.push('\n');
                self.list(items, depth + 1);
            }
            other => {
                self.out.push(' ');
                self.inline(other, depth + 1);
            }
        }
    }

    /// A scalar, or an empty list or map.
    fn inline(&mut self, value: &Yaml, depth: usize) {
        match value {
            Yaml::Value(Value::Text(text)) => match literal(text) {
                Some(header) => {
                    self.out.push_str(header);
                    self.out.push('\n');
                    for line in text.lines() {
                        if !line.is_empty() {
                            self.indent(depth.max(1));
                            self.out.push_str(line);
                        }
                        self.out.push('\n');
                    }
                    return;
                }
                None => self.out.push_str(&scalar(text)),
            },
            Yaml::Value(Value::Map(_)) | Yaml::Map(_) => self.out.push_str("{}"),
            Yaml::Value(Value::List(_)) | Yaml::List(_) => self.out.push_str("[]"),
            Yaml::Value(other) => self.out.push_str(&leaf(other)),
        }
        self.out.push('\n');
    }

    /// The value on one line, if that is short enough and nothing in it has a comment.
    fn flow(&self, value: &Yaml, used: usize) -> Option<String> {
        let text = match value {
            Yaml::List(items) if !items.is_empty() => {
                let items: Option<Vec<String>> = items.iter().map(short).collect();
                format!("[{}]", items?.join(", "))
            }
            Yaml::Map(entries) if !entries.is_empty() => {
                let field = |entry: &Entry| {
                    entry.comment.is_empty().then_some(())?;
                    Some(format!("{}: {}", scalar(&entry.key), short(&entry.value)?))
                };
                let fields: Option<Vec<String>> = entries.iter().map(field).collect();
                format!("{{{}}}", fields?.join(", "))
            }
            _ => return None,
        };
        (used + text.chars().count() <= self.width).then_some(text)
    }
}

/// A scalar within brackets.
fn short(value: &Yaml) -> Option<String> {
    match value {
        Yaml::Value(Value::Text(text)) if text.contains('\n') => None,
        Yaml::Value(Value::Text(text)) if text.contains([',', '[', ']', '{', '}', ':']) => Some(quoted(text)),
        Yaml::Value(Value::Map(_) | Value::List(_)) | Yaml::List(_) | Yaml::Map(_) => None,
        Yaml::Value(other) => Some(leaf(other)),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::Text(text) => scalar(text),
        // Without an exponent, a zero at the end or the sign of -0: documents take a number that is written in another way
        // for a text that was meant.
        Value::Float(number) if number.is_finite() => (number + 0.0).to_string(),
        other => match other.to_json() {
            serde_json::Value::String(text) => quoted(&text),
            json => json.to_string(),
        },
    }
}

/// The header of a literal block, if the text has several lines and survives as one.
fn literal(text: &str) -> Option<&'static str> {
    let fits = |line: &str| !line.ends_with([' ', '\t']) && !line.starts_with('\t') && !line.chars().any(must_escape);
    let is_block =
        text.contains('\n') && !text.starts_with(['\n', ' ']) && !text.ends_with("\n\n") && text.split('\n').all(fits);
    is_block.then_some(if text.ends_with('\n') { "|" } else { "|-" })
}

/// A text, in quotes where it could be anything else without.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Words that some reader takes for a boolean, nothing, or a number (YAML 1.1, types `bool`, `null`, `float`).
const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];

/// Endings that make of digits a text for every reader: quantities and durations.
const UNITS: [&str; 16] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "d", "h", "k", "m", "s", "w", "G", "M", "P", "T"];

fn is_plain(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if digits.len() < text.len() && UNITS.contains(&digits) {
        return true;
    }
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let inner = |c: char| c.is_ascii_alphanumeric() || " _./@+=~()-:".contains(c);
    begins
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn must_escape(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text in double quotes.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if must_escape(other) => quoted.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(json: serde_json::Value) -> String {
        text(&Yaml::from(Value::from(json)), 0)
    }

    #[test]
    fn an_object_reads_as_people_write_it() {
        insta::assert_snapshot!(written(json!({
            "spec": {
                "rules": [{"verbs": ["get"], "host": "*.example.org", "name": "a"}, {}], "on": "yes", "empty": [],
                "script": "#!/bin/sh\nset -e\n\nrun: it\n", "no-end": "a\nb", "odd": "a \nb", "cpu": "500m", "port": 80,
            },
            "kind": "X", "apiVersion": "v1", "metadata": {"namespace": "a", "labels": {"b/c": "true"}, "name": "x"},
        })), @r#"
        apiVersion: v1
        kind: X
        metadata:
          name: x
          namespace: a
          labels:
            b/c: "true"
        spec:
          cpu: 500m
          empty: []
          no-end: |-
            a
            b
          odd: "a \nb"
          "on": "yes"
          port: 80
          rules:
            - name: a
              host: "*.example.org"
              verbs:
                - get
            - {}
          script: |
            #!/bin/sh
            set -e

            run: it
        "#);
    }

    #[test]
    fn short_lists_and_maps_may_stand_on_one_line() {
        let value = Yaml::from(Value::from(
            json!({"verbs": ["get", "a, b"], "metadata": {"name": "${x}"}, "long": ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbb"]}),
        ));
        insta::assert_snapshot!(text(&value, 34), @r#"
        metadata: {name: "${x}"}
        long:
          - aaaaaaaaaaaaaaaa
          - bbbbbbbbbbbbb
        verbs: [get, "a, b"]
        "#);
    }

    #[test]
    fn a_value_fits_on_one_line_whatever_is_in_it() {
        let value = Value::from(json!({"a": [1, {"b": "x, y", "c:d": null}], "e": "line\nline", "f": {}, "g": "no"}));
        insta::assert_snapshot!(in_one_line(&value), @r#"{a: [1, {b: "x, y", "c:d": null}], e: "line\nline", f: {}, g: "no"}"#);
    }

    #[test]
    fn comments_stand_above_their_field() {
        let entry = Entry::new("a", Value::Integer(1)).comment("one").comment("");
        let map = Yaml::Map(vec![entry]);
        assert_eq!(text(&map, 80), "# one\n#\na: 1\n");
        assert_eq!(text(&Yaml::List(vec![map]), 80), "# one\n#\n- a: 1\n");
    }

    #[test]
    fn what_some_reader_takes_for_something_else_is_quoted() {
        for trap in [
            "",
            "~",
            "yes",
            "No",
            "ON",
            "y",
            "null",
            "0777",
            "1_000",
            "0x1F",
            "1e3",
            "12:30",
            ".5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "@a",
            "*a",
            "&a",
            "!a",
            "%a",
            "[a",
            "{a",
            "a:",
            " a",
            "a ",
            "2024-01-01",
            "\u{85}",
            "é",
            "=",
            "<<",
        ] {
            assert!(scalar(trap).starts_with('"'), "{trap}");
        }
        for plain in ["a", "500m", "10Gi", "github:team", "a.b/c", "/health", "Prometheus rules (all)"] {
            assert_eq!(scalar(plain), plain);
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let text = prop_oneof!["[ -~\n\t]{0,12}", "\\PC{0,6}", "(yes|no|0[0-7]{1,3}|[0-9]e[0-9]|~|a: b|- x)(\n)?"];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1000.0..1000.0).prop_map(|number: f64| number.into()),
            text.clone().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A number such as 5.0 is written as 5: the same number to everybody who reads it.
    fn whole_numbers_as_integers(json: serde_json::Value) -> serde_json::Value {
        match json {
            serde_json::Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 => {
                    serde_json::from_str(&(float + 0.0).to_string()).expect("digits are JSON")
                }
                _ => number.into(),
            },
            serde_json::Value::Array(items) => items.into_iter().map(whole_numbers_as_integers).collect(),
            serde_json::Value::Object(map) => {
                map.into_iter().map(|(key, value)| (key, whole_numbers_as_integers(value))).collect()
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(json in any_value(), width in prop_oneof![Just(0_usize), Just(100)]) {
            let written = text(&Yaml::from(Value::from(&json)), width);
            let read: serde_json::Value = serde_yaml::from_str(&written).map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
            prop_assert_eq!(whole_numbers_as_integers(read), whole_numbers_as_integers(json), "{}", written);
        }
    }
}
