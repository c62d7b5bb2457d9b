//! From text to CEL's syntax tree, within bounds.
//!
//! The generated parser recurses, and so does everything that walks the tree. So the text is counted before the parser sees
//! it, the parser runs on a stack that is large enough for the largest text, and a tree that is too deep never leaves it.

use std::sync::{Arc, LazyLock};

use cel::Env;
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::extensions;
use cel::parser::ParseErrors;

use super::limits::{DEPTH, SOURCE_BYTES, TOKENS, exceeded};
use super::{ExpressionError, Failure};

/// The standard library of CEL with its extensions for texts, lists, numbers and encodings. Optional values are left out.
pub static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib().with_optional_support(false);
    let added = environment
        .add_extension(extensions::strings)
        .and_then(|()| environment.add_extension(extensions::lists))
        .and_then(|()| environment.add_extension(extensions::math))
        .and_then(|()| environment.add_extension(extensions::encoders));
    added.expect("each extension is added once, to the standard library");
    Arc::new(environment)
});

/// Enough for the deepest tree that [`TOKENS`] can make, in a build without optimisation. Only what is used is taken from
/// the system.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Texts of so few tokens need no stack of their own.
const FEW_TOKENS: usize = 24;

/// Parses one expression.
///
/// # Errors
/// If it is not CEL, or larger or nested more deeply than the limits.
pub fn parse(source: &str) -> Result<IdedExpr, ExpressionError> {
    if source.len() > SOURCE_BYTES {
        return Err(exceeded(format!("it has {} bytes; at most {SOURCE_BYTES} are allowed", source.len()))
            .help("compute the value elsewhere, or split the expression over several fields"));
    }
    let Size { tokens, depth } = Size::of(source);
    if tokens > TOKENS {
        return Err(exceeded(format!("it has {tokens} operators, names and values; at most {TOKENS} are allowed"))
            .help("write a long list as a value of the tier or tenant"));
    }
    if depth > DEPTH {
        return Err(too_deep(depth));
    }
    if tokens <= FEW_TOKENS {
        return parse_here(source);
    }
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || parse_here(source));
        match parser {
            Ok(parser) => parser.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => Err(exceeded("there is not enough memory to parse it").help("write a shorter expression")),
        }
    })
}

fn parse_here(source: &str) -> Result<IdedExpr, ExpressionError> {
    // The depth is bounded by ours, which is counted in the text and then in the tree.
    let parser = ENVIRONMENT.parser().max_recursion_depth(u16::MAX);
    let tree = parser.parse(source).map_err(|errors| syntax(&errors, source))?;
    let depth = depth_of(&tree);
    if depth > DEPTH { Err(too_deep(depth)) } else { Ok(tree) }
}

fn too_deep(depth: usize) -> ExpressionError {
    exceeded(format!(
        "it is nested {depth} levels deep; at most {DEPTH} are allowed, and each operator in a row is a level"
    ))
    .help("write fewer operators in a row: [a, b, c].join('') instead of a + b + c, or a value of the tier or tenant")
}

fn syntax(errors: &ParseErrors, source: &str) -> ExpressionError {
    // Later ones follow from the first.
    let first = errors.errors.first().map(|error| in_words(&error.msg, error.pos.1, source));
    let message = first.unwrap_or_else(|| "it is not a valid expression".into());
    ExpressionError::new(Failure::Syntax, message).help(match source.contains(" = ") {
        true => "write == to compare",
        false => "write an expression in CEL, such as ${tenant.name} or ${tenant.phase in ['trial', 'active']}",
    })
}

/// What the parser says of a place, in words for those who did not write its grammar.
fn in_words(message: &str, column: isize, source: &str) -> String {
    let message = message.trim().trim_start_matches("Syntax error: ").trim_start_matches("ERROR: ");
    // Lists of tokens that could follow have all of them, and so say nothing.
    let message = message.split(" expecting {").next().unwrap_or(message);
    if let Some(rest) = message.strip_suffix(" at '<EOF>'") {
        return format!("{rest} at its end");
    }
    if message.contains("'<EOF>'") && message.starts_with("mismatched input") {
        return "something is missing at its end".into();
    }
    let column = usize::try_from(column).unwrap_or_default();
    let place =
        source.chars().nth(column.saturating_sub(1)).map_or_else(String::new, |_| format!(" (character {column})"));
    let message = message.replace("token recognition error at: ", "it is not valid at ").replace("'<EOF>'", "the end");
    format!("{message}{place}")
}

/// What can be told of a text without parsing it.
struct Size {
    tokens: usize,
    /// Of brackets and of `?`, each of which the parser recurses for.
    depth: usize,
}

impl Size {
    fn of(source: &str) -> Self {
        let (mut tokens, mut depth, mut deepest, mut conditions) = (0, 0_usize, 0, 0);
        let mut rest = source;
        while let Some(character) = rest.chars().next() {
            let after = &rest[character.len_utf8()..];
            if character.is_whitespace() {
                rest = after;
                continue;
            }
            if rest.starts_with("//") {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            tokens += 1;
            rest = match character {
                '(' | '[' | '{' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                    after
                }
                ')' | ']' | '}' => {
                    depth = depth.saturating_sub(1);
                    after
                }
                '?' => {
                    conditions += 1;
                    after
                }
                '"' | '\'' => after_string(rest, character, false),
                c if c.is_alphanumeric() || c == '_' => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    let (word, follows) = rest.split_at(end);
                    let is_prefix = word.len() <= 2 && word.chars().all(|c| "rRbB".contains(c));
                    match follows.chars().next() {
                        Some(quote @ ('"' | '\'')) if is_prefix => {
                            after_string(follows, quote, word.contains(['r', 'R']))
                        }
                        _ => follows,
                    }
                }
                _ => after,
            };
        }
        Self { tokens, depth: deepest + conditions }
    }
}

/// What follows a string literal.
fn after_string(text: &str, quote: char, is_raw: bool) -> &str {
    let triple = quote.to_string().repeat(3);
    let close = if text.starts_with(&triple) { triple } else { quote.to_string() };
    let mut rest = &text[close.len()..];
    while let Some(character) = rest.chars().next() {
        if rest.starts_with(&close) {
            return &rest[close.len()..];
        }
        rest = &rest[character.len_utf8()..];
        if character == '\\' && !is_raw {
            rest = rest.chars().next().map_or("", |escaped| &rest[escaped.len_utf8()..]);
        }
    }
    rest
}

/// How many levels a tree has.
fn depth_of(tree: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut waiting = vec![(&tree.expr, 1)];
    while let Some((expression, depth)) = waiting.pop() {
        deepest = deepest.max(depth);
        match expression {
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
            Expr::Select(select) => waiting.push((&select.operand.expr, depth + 1)),
            Expr::Call(call) => {
                waiting.extend(call.target.iter().map(|target| (&target.expr, depth + 1)));
                waiting.extend(call.args.iter().map(|argument| (&argument.expr, depth + 1)));
            }
            Expr::List(list) => waiting.extend(list.elements.iter().map(|element| (&element.expr, depth + 1))),
            Expr::Map(map) => waiting.extend(map.entries.iter().flat_map(|entry| entry_parts(&entry.expr, depth))),
            Expr::Struct(structure) => {
                waiting.extend(structure.entries.iter().flat_map(|entry| entry_parts(&entry.expr, depth)));
            }
            Expr::Comprehension(fold) => {
                let parts = [&fold.iter_range, &fold.accu_init, &fold.loop_cond, &fold.loop_step, &fold.result];
                waiting.extend(parts.map(|part| (&part.expr, depth + 1)));
            }
        }
    }
    deepest
}

fn entry_parts(entry: &EntryExpr, depth: usize) -> Vec<(&Expr, usize)> {
    match entry {
        EntryExpr::StructField(field) => vec![(&field.value.expr, depth + 1)],
        EntryExpr::MapEntry(entry) => vec![(&entry.key.expr, depth + 1), (&entry.value.expr, depth + 1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(source: &str) -> String {
        let error = parse(source).expect_err("a bound");
        assert_eq!(error.failure, Failure::Bound, "{}", error.message);
        error.message
    }

    #[test]
    fn every_way_to_nest_is_bounded() {
        for source in [
            "1+".repeat(900) + "1",
            "(".repeat(900) + "1" + &")".repeat(900),
            "[".repeat(900) + &"]".repeat(900),
            "{1:".repeat(400) + "1" + &"}".repeat(400),
            "true?1:".repeat(400) + "1",
            "a?".repeat(400) + "1" + &":1".repeat(400),
            "size(".repeat(600) + "x" + &")".repeat(600),
            "x".to_owned() + &".trim()".repeat(450),
            "x".to_owned() + &".a".repeat(900),
            "x".to_owned() + &"[0]".repeat(600),
            "1<".repeat(900) + "1",
            "1-".repeat(900) + "1",
            "x".to_owned() + &".map(y,x".repeat(250) + &")".repeat(250),
        ] {
            assert!(failure(&source).contains("levels deep; at most 100"), "{}", &source[..12]);
        }
        for source in ["1+".repeat(2_000) + "1", "!".repeat(2_001) + "true", "[1,".repeat(10) + &"1,".repeat(2_000)] {
            assert!(failure(&source).contains("operators, names and values; at most 2000"), "{}", &source[..12]);
        }
        assert!(failure(&format!("'{}'", "x".repeat(20_000))).contains("it has 20002 bytes; at most 16384"));
    }

    #[test]
    fn what_people_write_is_within_the_bounds() {
        for source in [
            "'a'+".repeat(90) + "'b'",
            "true && ".repeat(600) + "true",
            "[".to_owned() + &"1,".repeat(900) + "1]",
            "'((((' + \"[[[[\" + r'\\' + '''{{'{{''' // ((((\n".to_owned(),
            "(".repeat(60) + "1" + &")".repeat(60),
        ]
        .into_iter()
        .chain(["!".repeat(1_500) + "true", "-".repeat(1_001) + "1"])
        {
            assert!(parse(&source).is_ok(), "{}: {:?}", &source[..12], parse(&source));
        }
    }

    #[test]
    fn the_stack_holds_the_largest_text() {
        // Within the tokens, and cut short so that the parser has to recover too.
        for piece in ["1+", "(", "[", "a.b(", "-(", "a?b:", "{a:", "!", "x.map(y,", "1?(2):"] {
            let count = TOKENS / Size::of(piece).tokens;
            let _ = parse_on_its_stack(&piece.repeat(count));
        }
    }

    /// Without the count of brackets in the text.
    fn parse_on_its_stack(source: &str) -> Result<(), ExpressionError> {
        std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || parse_here(source));
            parser.expect("a thread").join().expect("no overflow").map(|_| ())
        })
    }
}
