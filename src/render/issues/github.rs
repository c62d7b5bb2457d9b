//! Annotations of a GitHub workflow: a line for each issue, which the runner shows beside the line of the file.
//!
//! The form is that of workflow commands:
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>. A runner shows ten errors and ten warnings
//! of a step, so that errors come first.

use super::{Issue, Level};

/// All annotations.
pub fn annotations(issues: &[Issue]) -> String {
    let mut issues: Vec<&Issue> = issues.iter().collect();
    issues.sort_by_key(|issue| issue.level);
    issues.into_iter().map(annotation).collect()
}

fn annotation(issue: &Issue) -> String {
    let command = match issue.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = &issue.place {
        properties.push(format!("file={}", property(&place.file)));
        properties.push(format!("line={}", place.line));
        if let Some((column, end_line, end_column)) = place.columns {
            // Columns count within one line only.
            properties.push(format!("endLine={end_line}"));
            if end_line == place.line && end_column > column {
                properties.push(format!("col={column},endColumn={end_column}"));
            }
        }
    }
    properties.push(format!("title={}", property(&format!("Tenantry {}", issue.code))));
    format!("::{command} {}::{}\n", properties.join(","), data(&issue.text()))
}

/// A message, in which the end of a line would be the end of the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::Location;
    use super::*;

    fn issue(level: Level, message: &str, place: Option<Location>) -> Issue {
        Issue { code: "TY0304".into(), level, message: message.into(), help: None, place }
    }

    #[test]
    fn errors_come_first_and_what_others_wrote_begins_no_command() {
        let place = |columns| Location { file: "tenants/a,b:c.yaml".into(), line: 3, columns };
        let issues = [
            issue(Level::Warning, "100% of\n::error::x", Some(place(None))),
            issue(Level::Error, "wrong", Some(place(Some((5, 3, 9))))),
            issue(Level::Error, "over two lines", Some(place(Some((5, 4, 2))))),
            issue(Level::Note, "no place", None),
        ];
        let lines = annotations(&issues);
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                "::error file=tenants/a%2Cb%3Ac.yaml,line=3,endLine=3,col=5,endColumn=9,title=Tenantry TY0304::wrong",
                "::error file=tenants/a%2Cb%3Ac.yaml,line=3,endLine=4,title=Tenantry TY0304::over two lines",
                r"::warning file=tenants/a%2Cb%3Ac.yaml,line=3,title=Tenantry TY0304::100%25 of\n::error::x",
                "::notice title=Tenantry TY0304::no place",
            ]
        );
    }
}
