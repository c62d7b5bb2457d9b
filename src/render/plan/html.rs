//! A plan as one file for a browser: it needs no network and no server, and can be searched, filtered and folded.

use std::fmt::{self, Write as _};

use super::fate::Effect;
use super::view::{ChangeView, Group, PlanView, SECRETS_UNREAD, Script, WAVES};
use crate::difference::{Difference, Sign};
use crate::visible::visible;
use crate::words;
use tenantry_core::diagnostics::Severity;
use tenantry_core::plan::sensitive::MASK;
use tenantry_core::plan::{Action, Finding, Granted};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing is loaded from anywhere, whatever a value may contain.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole page.
pub fn page(view: &PlanView<'_>) -> String {
    let mut html = String::new();
    // Writing to a text does not fail.
    let _ = write_page(&mut html, view);
    html
}

fn write_page(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    let title = escaped(&view.title);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p class=\"counts\">{}</p>\n",
        escaped(&view.counts)
    )?;
    if view.plan.secrets_unread {
        writeln!(html, "<p>{}</p>", escaped(SECRETS_UNREAD))?;
    }
    if view.plan.simulated {
        html.push_str(
            "<p class=\"quiet\">Simulated: every target is the sandbox; no real system is looked at or changed.</p>\n",
        );
    }
    if let Some(narrowed) = &view.narrowed {
        writeln!(html, "<p><b>{}.</b></p>", escaped(narrowed))?;
    }
    if !view.systems.is_empty() || !view.plan.approvals.is_empty() {
        html.push_str("<dl>\n");
        for (target, system) in &view.systems {
            writeln!(html, "<dt>Target {}</dt><dd>{}</dd>", escaped(target), escaped(system))?;
        }
        for (approval, Granted { expires, reason }) in &view.plan.approvals {
            let (approval, expires) = (escaped(approval), escaped(expires));
            writeln!(html, "<dt>Approval {approval}</dt><dd>{} (expires at {expires})</dd>", escaped(reason))?;
        }
        html.push_str("</dl>\n");
    }
    html.push_str("</header>\n");
    effects(html, view)?;
    waves(html, view)?;
    findings(html, view)?;
    blocked(html, view)?;
    tools(html, view)?;
    html.push_str("<main>\n");
    for group in &view.groups {
        self::group(html, group)?;
    }
    html.push_str("<p class=\"quiet\" id=\"none\" hidden>No change matches the search and the filters.</p>\n</main>\n");
    write!(html, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
}

/// What happens to tenants as a whole.
fn effects(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    if view.effects.is_empty() {
        return Ok(());
    }
    html.push_str("<section class=\"effects\">\n<h2>Tenants</h2>\n<ul>\n");
    for Effect { what, who, is_loss } in &view.effects {
        let what = if *is_loss { format!("<b>{}</b>", escaped(what)) } else { escaped(what) };
        let names: Vec<String> = who.iter().map(|name| format!("<code>{}</code>", escaped(name))).collect();
        let colon = if names.is_empty() { "" } else { ": " };
        writeln!(html, "<li>{what}{colon}{}</li>", names.join(", "))?;
    }
    html.push_str("</ul>\n</section>\n");
    Ok(())
}

/// Who is changed in which wave.
fn waves(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    if view.waves.is_empty() {
        return Ok(());
    }
    writeln!(html, "<section class=\"effects\">\n<h2>Rollout</h2>\n<p>{WAVES}.</p>\n<ul>")?;
    for (wave, tenants) in &view.waves {
        let names: Vec<String> = tenants.iter().map(|name| format!("<code>{}</code>", escaped(name))).collect();
        writeln!(html, "<li>{}: {}</li>", escaped(wave), names.join(", "))?;
    }
    html.push_str("</ul>\n</section>\n");
    Ok(())
}

fn findings(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    if view.findings.is_empty() {
        return Ok(());
    }
    html.push_str("<section class=\"findings\">\n<h2>Findings</h2>\n<ul>\n");
    for finding in &view.findings {
        let Finding { code, severity, refuses, help, origin, .. } = finding;
        let word = match (severity, refuses) {
            (_, true) => "refused",
            (Severity::Error, _) => "error",
            (Severity::Warning, _) => "warning",
        };
        write!(html, "<li class=\"{word}\"><b>{word} {}</b> {}", escaped(code), with_code(&finding.sentence()))?;
        if let Some(place) = origin {
            write!(html, " <span class=\"quiet\">{}:{}</span>", escaped(&place.file), place.line)?;
        }
        if let Some(help) = help {
            write!(html, "<div class=\"help\">{}</div>", with_code(help))?;
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n</section>\n");
    Ok(())
}

fn blocked(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    if view.blocked.is_empty() {
        return Ok(());
    }
    html.push_str("<section class=\"blocked\">\n<h2>Blocked: nothing is done about these</h2>\n<ul>\n");
    for (reason, members) in &view.blocked {
        write!(html, "<li>{}", with_code(reason))?;
        write!(html, "<details><summary>{}</summary><ul>", words::count(members.len(), "resource"))?;
        for member in members {
            write!(html, "<li><code>{}</code></li>", escaped(&member.address.to_string()))?;
        }
        html.push_str("</ul></details></li>\n");
    }
    html.push_str("</ul>\n</section>\n");
    Ok(())
}

/// Search and filters. They need the script, which shows them.
fn tools(html: &mut String, view: &PlanView<'_>) -> fmt::Result {
    if view.groups.is_empty() {
        return Ok(());
    }
    html.push_str(
        "<nav id=\"tools\" aria-label=\"Search and filters\" hidden>\n<input id=\"search\" type=\"search\" \
         placeholder=\"Search tenants, kinds, names, values\" aria-label=\"Search\">\n",
    );
    for action in Action::ALL {
        let changes = view.groups.iter().flat_map(|group| group.changes.iter().map(move |change| (group, change)));
        let count: usize =
            changes.filter(|(_, change)| change.action == action).map(|(group, _)| group.owners.len()).sum();
        if count > 0 {
            let word = action.as_str();
            writeln!(
                html,
                "<label class=\"{word}\"><input type=\"checkbox\" value=\"{word}\" checked> {word} <b>{count}</b></label>"
            )?;
        }
    }
    html.push_str(
        "<button id=\"open\" type=\"button\">Open all</button>\n<button id=\"close\" type=\"button\">Close all</button>\n\
         <span class=\"quiet keys\"><kbd>/</kbd> search · <kbd>o</kbd> open all · <kbd>c</kbd> close all</span>\n</nav>\n",
    );
    Ok(())
}

fn group(html: &mut String, group: &Group<'_>) -> fmt::Result {
    let destroys = group.changes.iter().any(|change| change.action.destroys());
    write!(html, "<details class=\"group\"{}>\n<summary>", if destroys { " open" } else { "" })?;
    match group.owners.as_slice() {
        [owner] => write!(html, "<b>{}</b>", escaped(&owner.to_string()))?,
        owners => {
            let first: Vec<String> = owners.iter().take(3).map(|owner| escaped(&owner.to_string())).collect();
            let more = owners.len().saturating_sub(first.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            write!(html, "<b>{} {}</b> with the same changes: {}{more}", owners.len(), group.noun(), first.join(", "))?;
        }
    }
    for phrase in group.fate() {
        write!(html, " <span class=\"phase\">{}</span>", escaped(&phrase))?;
    }
    for action in Action::ALL {
        let count = group.changes.iter().filter(|change| change.action == action).count();
        if count > 0 {
            write!(html, " <span class=\"badge {0}\">{count} {0}</span>", action.as_str())?;
        }
    }
    html.push_str("</summary>\n");
    if group.owners.len() > 1 {
        let names: Vec<String> = group.owners.iter().map(|owner| escaped(&owner.to_string())).collect();
        writeln!(html, "<p class=\"owners\">{}</p>", names.join(", "))?;
        if !group.differing.is_empty() {
            let fields: Vec<String> = group.differing.iter().map(|field| escaped(field)).collect();
            writeln!(html, "<p class=\"quiet\">They differ in {}.</p>", fields.join(", "))?;
        }
    }
    for change in &group.changes {
        self::change(html, change)?;
    }
    if !group.records.is_empty() {
        let names: Vec<String> = group.records.iter().map(|record| escaped(record)).collect();
        writeln!(
            html,
            "<p class=\"quiet\">The inventory is brought up to date for {}; the targets stay as they are.</p>",
            names.join(", ")
        )?;
    }
    html.push_str("</details>\n");
    Ok(())
}

fn change(html: &mut String, change: &ChangeView<'_>) -> fmt::Result {
    let ChangeView { action, id, kind, name, reason, place, loses_data, .. } = change;
    let word = action.as_str();
    write!(
        html,
        "<article class=\"change {word}\" data-action=\"{word}\">\n<h3><span class=\"badge {word}\">{} {word}</span> {} \
         <span class=\"kind\">{}</span>",
        words::symbol(*action),
        escaped(id),
        escaped(kind)
    )?;
    if let Some(name) = name {
        write!(html, " <code>{}</code>", escaped(name))?;
    }
    html.push_str("</h3>\n");
    if action.destroys() && *loses_data {
        html.push_str("<p class=\"data\">The data in it is lost.</p>\n");
    }
    if let Some(reason) = reason {
        write!(html, "<p class=\"quiet\">{}", escaped(reason))?;
        if let Some(place) = place {
            write!(html, " ({}:{})", escaped(&place.file), place.line)?;
        }
        html.push_str("</p>\n");
    }
    if !change.contents.is_empty() {
        html.push_str("<table>\n");
        for (field, value) in &change.contents {
            writeln!(html, "<tr><th>{}</th><td>{}</td></tr>", escaped(field), escaped(value))?;
        }
        html.push_str("</table>\n");
    }
    for (field, difference) in &change.fields {
        let field = escaped(field);
        match difference {
            Difference::Values { before, after } => writeln!(
                html,
                "<p class=\"field\"><span>{field}</span> <del>{}</del> <span aria-hidden=\"true\">→</span> <ins>{}</ins></p>",
                escaped(before),
                escaped(after)
            )?,
            Difference::Lines(lines) => {
                write!(html, "<p class=\"field\"><span>{field}</span></p>\n<pre>")?;
                for line in lines {
                    let (sign, text) = (line.sign.symbol(), escaped(&line.text));
                    match line.sign {
                        Sign::Removed => write!(html, "<del>{sign} {text}</del>")?,
                        Sign::Added => write!(html, "<ins>{sign} {text}</ins>")?,
                        Sign::Moved | Sign::Same => write!(html, "<span>{sign} {text}</span>")?,
                        Sign::Gap => write!(html, "<span class=\"quiet\">{sign} {text}</span>")?,
                    }
                }
                html.push_str("</pre>\n");
            }
        }
    }
    for Script { field, whose, text } in &change.scripts {
        let whose = whose.map(|owner| format!(" (of {})", escaped(&owner.to_string()))).unwrap_or_default();
        let lines: Vec<String> = text.unwrap_or(MASK).lines().map(escaped).collect();
        writeln!(
            html,
            "<p class=\"field\"><span>{}</span>{whose}</p>\n<pre>{}</pre>",
            escaped(field),
            lines.join("\n")
        )?;
    }
    html.push_str("</article>\n");
    Ok(())
}

/// A sentence in which what stands in backticks is code.
fn with_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let shown = parts.iter().enumerate().map(|(at, part)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    shown.collect()
}

/// For an element's text and for an attribute in double quotes: <https://html.spec.whatwg.org/multipage/syntax.html#syntax-text>.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(escaped("</code><script>'\"&"), "&lt;/code&gt;&lt;script&gt;&#39;&quot;&amp;");
        assert_eq!(escaped("a\u{202e}\u{1b}[31m"), "a\\u{202e}\\u{1b}[31m");
        assert_eq!(with_code("run `x <y>` now"), "run <code>x &lt;y&gt;</code> now");
        assert_eq!(with_code("one ` <b>"), "one ` &lt;b&gt;");
    }
}
