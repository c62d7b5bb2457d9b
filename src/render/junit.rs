//! A test report in the form that JUnit began and test reporters have in common: <https://github.com/testmoapp/junitxml>.

use std::fmt::Write as _;

use crate::visible::visible;

/// A test case.
pub struct Case {
    pub name: String,
    pub verdict: Verdict,
}

/// How a case ended, with a text of lines.
pub enum Verdict {
    Passed(String),
    /// A short message and the text.
    Failure(&'static str, String),
    Error(&'static str, String),
}

/// The whole report; `seconds` is the duration, if it was measured.
pub fn report(title: &str, class: &str, cases: &[Case], seconds: Option<f64>) -> String {
    let count = |is: fn(&Verdict) -> bool| cases.iter().filter(|case| is(&case.verdict)).count();
    let failures = count(|verdict| matches!(verdict, Verdict::Failure(..)));
    let errors = count(|verdict| matches!(verdict, Verdict::Error(..)));
    let time = seconds.map(|seconds| format!(" time=\"{seconds:.3}\"")).unwrap_or_default();
    let totals = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"{time}", cases.len());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  <testsuite name=\"{}\" {totals}>\n",
        escaped(title)
    );
    for Case { name, verdict } in cases {
        let _ = write!(xml, "    <testcase classname=\"{}\" name=\"{}\"", escaped(class), escaped(name));
        let (open, text, close) = match verdict {
            Verdict::Passed(text) if text.is_empty() => {
                xml.push_str("/>\n");
                continue;
            }
            Verdict::Passed(text) => ("<system-out>".to_owned(), text, "</system-out>"),
            Verdict::Failure(message, text) => (format!("<failure message=\"{message}\">"), text, "</failure>"),
            Verdict::Error(message, text) => (format!("<error message=\"{message}\">"), text, "</error>"),
        };
        let text: String = text.lines().map(|line| format!("{}\n", escaped(line))).collect();
        let _ = write!(xml, ">\n      {open}{text}{close}\n    </testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// A text as XML has it. Control characters, which XML 1.0 has no form for, are visible.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}[31m"), r"a&lt;b&gt; &amp; &quot;c&quot;\u{1b}[31m");
    }
}
