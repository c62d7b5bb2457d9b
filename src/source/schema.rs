//! Checks a tree against a JSON Schema, with readable messages.
//!
//! One mistake, one message: alternatives (`anyOf`, `oneOf`) are reduced to the branch that was probably meant, a place
//! that has a message gets no second one, and a misspelled field does not count as missing too.

use std::collections::HashSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::listing::MAX_PROBLEMS;
use super::node::{Data, Node, first_line};
use super::spelling::yaml_1_1_number;
use super::wanted::{Wanted, wanted};
use super::words::format_words;
use super::words::{
    Notation, alternatives, dotted, found, found_json, listed, lower_first, name_help, one_of, plain, shown, type_words,
};
use tenantry_core::diagnostics::{Code, Diagnostic, FileId, Origin, codes, nearest};
use tenantry_core::model::names::Name;
use tenantry_core::model::value::{push_token, unescape_token};

/// A schema that is ready to check with.
pub struct Form {
    schema: Value,
    validator: Validator,
}

/// A tree that is checked, and the words for it.
pub struct Subject<'a> {
    pub file: FileId,
    pub text: &'a str,
    pub root: &'a Node,
    /// The tree over which this one was merged, if the checked value is both together.
    pub beneath: Option<Beneath<'a>>,
    /// Where the checked value stands within the root, as a JSON pointer.
    pub base: &'a str,
    /// Parts of the tree could not be read, so what is missing says nothing.
    pub incomplete: bool,
    pub notation: Notation,
    /// The code of all messages, where it does not depend on the mistake.
    pub code: Option<Code>,
}

/// A tree in another file.
#[derive(Clone, Copy)]
pub struct Beneath<'a> {
    pub file: FileId,
    pub text: &'a str,
    pub root: &'a Node,
}

/// Something that a schema objects to.
struct Mistake<'e> {
    pointer: String,
    error: &'e ValidationError<'e>,
    /// What would have been right, if an alternative was reduced to types only.
    expected: Option<String>,
}

impl Form {
    /// # Errors
    /// If `schema` is not a valid JSON Schema, or refers to another document.
    pub fn new(schema: Value) -> Result<Self, String> {
        // From draft 2019-09 on, a validator need not look at `format`; whoever writes one means it.
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator })
    }

    /// The schema itself.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// What the schema requires at a JSON pointer of the value.
    pub fn wanted(&self, pointer: &str) -> Wanted {
        wanted(&self.schema, pointer)
    }

    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Reports what is wrong with `value`. `reported` are pointers that already have a message; more are added.
    pub fn check(&self, value: &Value, subject: &Subject<'_>, reported: &mut HashSet<String>) -> Vec<Diagnostic> {
        if self.is_valid(value) {
            return Vec::new();
        }
        let errors: Vec<_> = self.validator.iter_errors(value).take(MAX_PROBLEMS + 1).collect();
        let mut mistakes = Vec::new();
        for error in &errors {
            reduce(error, &mut mistakes);
        }
        let mut diagnostics = Vec::new();
        let mut meant = HashSet::new();
        for mistake in &mistakes {
            if let ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } = mistake.error.kind()
            {
                self.unknown_fields(mistake, unexpected, value, subject, reported, &mut meant, &mut diagnostics);
            }
        }
        for mistake in &mistakes {
            match mistake.error.kind() {
                ValidationErrorKind::AdditionalProperties { .. }
                | ValidationErrorKind::UnevaluatedProperties { .. } => {}
                ValidationErrorKind::Required { property } => {
                    let pointer = child(&mistake.pointer, property.as_str().unwrap_or_default());
                    if !subject.incomplete && !meant.contains(&pointer) && reported.insert(absolute(subject, &pointer))
                    {
                        diagnostics.push(self.missing_field(mistake, &pointer, subject));
                    }
                }
                _ => {
                    if reported.insert(absolute(subject, &mistake.pointer)) {
                        diagnostics.push(self.wrong_value(mistake, subject));
                    }
                }
            }
        }
        diagnostics
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `check`, which owns all of it")]
    fn unknown_fields(
        &self,
        mistake: &Mistake<'_>,
        unexpected: &[String],
        value: &Value,
        subject: &Subject<'_>,
        reported: &mut HashSet<String>,
        meant: &mut HashSet<String>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let around = self.around(mistake.error);
        let known: Vec<&str> = around
            .and_then(|schema| schema.get("properties")?.as_object())
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let present = value.pointer(&mistake.pointer).and_then(Value::as_object);
        let is_free = |name: &str| present.is_none_or(|present| !present.contains_key(name));
        for name in unexpected.iter().take(MAX_PROBLEMS + 1) {
            let pointer = child(&mistake.pointer, name);
            if !reported.insert(absolute(subject, &pointer)) {
                continue;
            }
            let guess = nearest(name, known.iter().copied().filter(|name| is_free(name)));
            let help = match guess {
                Some(guess) => {
                    meant.insert(child(&mistake.pointer, guess));
                    format!("did you mean `{guess}`?")
                }
                None if known.is_empty() => "remove it".to_owned(),
                None => format!("elements are {}", listed(&known)),
            };
            let parent = absolute(subject, &mistake.pointer);
            // Where fields are named freely, it is the name that is wrong.
            let freely_named =
                around.is_some_and(|schema| schema.get("patternProperties").is_some()) && known.is_empty();
            if let (true, Err(invalid)) = (freely_named, Name::new(name)) {
                let message = format!("`{}` is not a valid name in `{}`", shown(name), dotted(&parent));
                diagnostics.push(
                    Diagnostic::error(subject.code.unwrap_or(codes::INVALID_NAME), message)
                        .at(subject.key(&parent, name), invalid.to_string())
                        .help(name_help(name)),
                );
                continue;
            }
            let message = match parent.as_str() {
                "" => format!("`{}` is not a field of {}", shown(name), subject.notation.whole()),
                _ => format!("`{}` is not a field of `{}`", shown(name), dotted(&parent)),
            };
            let origin = subject.key(&parent, name);
            diagnostics.push(
                Diagnostic::error(subject.code.unwrap_or(codes::UNKNOWN_FIELD), message)
                    .at(origin, "unknown field")
                    .help(help),
            );
        }
    }

    fn missing_field(&self, mistake: &Mistake<'_>, pointer: &str, subject: &Subject<'_>) -> Diagnostic {
        let (parent, name) = (absolute(subject, &mistake.pointer), last_token(pointer));
        let message = match parent.as_str() {
            "" => format!("{} has no `{name}`", subject.notation.whole()),
            _ => format!("`{}` has no `{name}`", dotted(&parent)),
        };
        let property = self.around(mistake.error).and_then(|schema| schema.get("properties")?.get(&name));
        let description = property.and_then(|property| self.keyword(property, "description")?.as_str());
        let values: Vec<String> = property
            .and_then(|property| self.keyword(property, "enum")?.as_array())
            .map(|values| values.iter().map(plain).collect())
            .unwrap_or_default();
        let help = match (description, values.is_empty()) {
            (Some(description), true) => format!("add `{name}`: {}", lower_first(description)),
            (_, false) => {
                format!("add `{name}`, {}", one_of(&values.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            (None, true) => format!("add `{name}`"),
        };
        Diagnostic::error(subject.code.unwrap_or(codes::SCHEMA), message)
            .at(subject.own_place(&parent), format!("`{name}` is missing here"))
            .help(help)
    }

    fn wrong_value(&self, mistake: &Mistake<'_>, subject: &Subject<'_>) -> Diagnostic {
        let pointer = absolute(subject, &mistake.pointer);
        let path =
            if pointer.is_empty() { subject.notation.whole().to_owned() } else { format!("`{}`", dotted(&pointer)) };
        let written = subject.written(&pointer);
        let instance = mistake.error.instance();
        let schema_path = mistake.error.schema_path().as_str();
        let diagnostic = |code: Code, message: String, label: String, help: String| {
            Diagnostic::error(subject.code.unwrap_or(code), message).at(subject.place(&pointer), label).help(help)
        };
        let said = |otherwise: &str| {
            let description =
                self.around(mistake.error).and_then(|schema| self.keyword(schema, "description")?.as_str());
            description
                .map_or_else(|| otherwise.to_owned(), |description| format!("write {}", lower_first(description)))
        };
        // A user's own schema may have a `Name` of its own.
        let is_name = subject.base.is_empty() && schema_path.starts_with("/$defs/Name/");
        if is_name
            && let Some(text) = instance.as_str()
            && let Err(invalid) = Name::new(text)
        {
            let message = match text {
                "" => format!("{path} is empty"),
                _ => format!("`{}` is not a valid name for {path}", shown(text)),
            };
            return diagnostic(codes::INVALID_NAME, message, invalid.to_string(), name_help(text));
        }
        if let Some(words) = expected_type(mistake) {
            let found = written.map_or_else(|| found_json(instance), |written| found(&written.node.data));
            let help = written.and_then(|written| type_help(&words, written));
            let help = help.unwrap_or_else(|| format!("write {}", subject.notation.example(&words)));
            let (found, expected) = (subject.notation.term(found), subject.notation.term(&words));
            let message = format!("{path} is {found}, but must be {expected}");
            return diagnostic(codes::SCHEMA, message, format!("expected {expected}"), help);
        }
        match mistake.error.kind() {
            ValidationErrorKind::Enum { options } => {
                let options: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                let help = match instance.as_str().and_then(|text| nearest(text, options.iter().copied())) {
                    Some(guess) => format!("did you mean `{}`?", shown(guess)),
                    None => format!("write {}", one_of(&options)),
                };
                let message = format!("`{}` is not a valid value of {path}", shown(&plain(instance)));
                diagnostic(codes::SCHEMA, message, format!("expected {}", one_of(&options)), help)
            }
            ValidationErrorKind::Constant { expected_value } => {
                let expected = shown(&plain(expected_value));
                let message = format!("{path} must be `{expected}`");
                diagnostic(codes::SCHEMA, message, format!("expected `{expected}`"), format!("write `{expected}`"))
            }
            ValidationErrorKind::PropertyNames { error } => {
                let name = plain(error.instance());
                let why = Name::new(&name).err().map(|invalid| invalid.to_string());
                let origin = subject.key(&pointer, &name);
                let code = if schema_path.starts_with("/$defs/") { codes::INVALID_NAME } else { codes::SCHEMA };
                Diagnostic::error(
                    subject.code.unwrap_or(code),
                    format!("`{}` is not a valid name for a field of {path}", shown(&name)),
                )
                .at(origin, why.clone().unwrap_or_else(|| error.masked().to_string()))
                .help("use lower-case letters, digits and hyphens")
            }
            ValidationErrorKind::Format { format } => {
                let message = format!("`{}` is not a valid value of {path}", shown(&plain(instance)));
                let (label, help) = format_words(format);
                diagnostic(codes::SCHEMA, message, label, help)
            }
            ValidationErrorKind::Pattern { .. } => {
                let message = format!("`{}` does not have the form that {path} requires", shown(&plain(instance)));
                let label = mistake.error.masked_with("this").to_string();
                diagnostic(codes::SCHEMA, message, label, said("write it as the pattern of the schema requires"))
            }
            ValidationErrorKind::Minimum { limit } => bound(&diagnostic, &path, instance, "at least", limit),
            ValidationErrorKind::Maximum { limit } => bound(&diagnostic, &path, instance, "at most", limit),
            ValidationErrorKind::ExclusiveMinimum { limit } => bound(&diagnostic, &path, instance, "more than", limit),
            ValidationErrorKind::ExclusiveMaximum { limit } => bound(&diagnostic, &path, instance, "less than", limit),
            ValidationErrorKind::MinLength { limit: 1 } => diagnostic(
                codes::SCHEMA,
                format!("{path} is empty"),
                "expected a text".to_owned(),
                said("write a text"),
            ),
            ValidationErrorKind::MinItems { limit: 1 } => diagnostic(
                codes::SCHEMA,
                format!("{path} is empty"),
                "expected an item".to_owned(),
                said("add an item"),
            ),
            ValidationErrorKind::FalseSchema => diagnostic(
                codes::SCHEMA,
                format!("{path} is not allowed here"),
                "unexpected".to_owned(),
                "remove it".to_owned(),
            ),
            _ => {
                let label = mistake.error.masked_with("this").to_string();
                diagnostic(
                    codes::SCHEMA,
                    format!("{path} does not follow its schema"),
                    label,
                    said("change it so that it follows the schema"),
                )
            }
        }
    }

    /// The schema that holds the keyword which failed.
    fn around(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let keyword = error.schema_path().as_str();
        self.schema.pointer(&keyword[..keyword.rfind('/')?])
    }

    /// A keyword of a schema, or of the one that it refers to.
    fn keyword<'s>(&'s self, schema: &'s Value, keyword: &str) -> Option<&'s Value> {
        schema.get(keyword).or_else(|| {
            let reference = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
            self.schema.pointer(reference)?.get(keyword)
        })
    }
}

/// A value as it is written somewhere.
#[derive(Clone, Copy)]
struct Written<'a> {
    file: FileId,
    text: &'a str,
    node: &'a Node,
}

impl<'a> Subject<'a> {
    fn written(&self, pointer: &str) -> Option<Written<'a>> {
        let own = self.root.pointer(pointer).map(|node| Written { file: self.file, text: self.text, node });
        own.or_else(|| {
            let Beneath { file, text, root } = self.beneath?;
            root.pointer(pointer).map(|node| Written { file, text, node })
        })
    }

    /// The place of a pointer from the root, or of the nearest value around it.
    fn place(&self, pointer: &str) -> Origin {
        match self.written(pointer) {
            Some(Written { file, text, node }) => first_line(file, text, node.span),
            None => self.own_place(pointer),
        }
    }

    /// The same, in the root's own file.
    fn own_place(&self, pointer: &str) -> Origin {
        let mut pointer = pointer;
        loop {
            if let Some(node) = self.root.pointer(pointer) {
                return first_line(self.file, self.text, node.span);
            }
            pointer = pointer.rfind('/').map_or("", |at| &pointer[..at]);
        }
    }

    /// The place of the key of a field.
    fn key(&self, parent: &str, name: &str) -> Origin {
        let own = self.root.pointer(parent).and_then(|node| node.field(name)).map(|field| (self.file, field.key_span));
        let key = own.or_else(|| {
            let Beneath { file, root, .. } = self.beneath?;
            Some((file, root.pointer(parent)?.field(name)?.key_span))
        });
        key.map_or_else(|| self.place(parent), |(file, span)| Origin { file, span })
    }
}

/// Replaces a failed alternative by what failed in the branch that was probably meant: one of whose type the value is.
fn reduce<'e>(error: &'e ValidationError<'e>, mistakes: &mut Vec<Mistake<'e>>) {
    let pointer = error.instance_path().as_str().to_owned();
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        mistakes.push(Mistake { pointer, error, expected: None });
        return;
    };
    let mismatch = |branch: &[ValidationError<'_>]| {
        branch.iter().find_map(|inner| match inner.kind() {
            ValidationErrorKind::Type { kind } if inner.instance_path().as_str() == pointer => Some(type_words(kind)),
            _ => None,
        })
    };
    let best = context.iter().filter(|branch| mismatch(branch).is_none()).min_by_key(|branch| branch.len());
    match best {
        Some(branch) => branch.iter().for_each(|inner| reduce(inner, mistakes)),
        None => {
            let mut expected: Vec<String> = context.iter().filter_map(|branch| mismatch(branch)).collect();
            expected.dedup();
            mistakes.push(Mistake { pointer, error, expected: Some(alternatives(expected)) });
        }
    }
}

fn expected_type(mistake: &Mistake<'_>) -> Option<String> {
    match mistake.error.kind() {
        ValidationErrorKind::Type { kind } => Some(type_words(kind)),
        // `phase: 5`: that it is no text says more than that it is none of five texts.
        ValidationErrorKind::Enum { options } if !mistake.error.instance().is_string() => {
            let all_texts = options.as_array().is_some_and(|options| options.iter().all(Value::is_string));
            all_texts.then(|| {
                let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                one_of(&options)
            })
        }
        _ => mistake.expected.clone().filter(|expected| !expected.is_empty()),
    }
}

/// What to do about a value of the wrong type, where its spelling tells.
fn type_help(expected: &str, Written { text, node, .. }: Written<'_>) -> Option<String> {
    let written = text.get(node.span.start as usize..node.span.end as usize)?;
    match &node.data {
        Data::Bool(_) | Data::Integer(_) | Data::Float(_) | Data::Huge(_) | Data::NotFinite
            if expected.contains("a text") =>
        {
            Some(format!("quote it: \"{}\"", shown(written)))
        }
        // What another reader of YAML takes for a number.
        Data::Text { text, plain: true } if expected.contains("number") && yaml_1_1_number(text).is_some() => {
            yaml_1_1_number(text).map(|number| format!("write {number}"))
        }
        Data::Text { text, .. } if expected.contains("number") && text.parse::<f64>().is_ok() => {
            Some(format!("write it without quotes: {}", shown(text)))
        }
        Data::Text { text, .. } if expected.contains("true") && matches!(&**text, "true" | "false") => {
            Some(format!("write it without quotes: {}", shown(text)))
        }
        Data::Text { text, .. } if expected == "a list" && !text.is_empty() => {
            Some(format!("write it as a list: [{}]", shown(text)))
        }
        Data::Null => Some("write a value, or remove the field".to_owned()),
        _ => None,
    }
}

fn bound(
    diagnostic: &dyn Fn(Code, String, String, String) -> Diagnostic,
    path: &str,
    instance: &Value,
    words: &str,
    limit: &Value,
) -> Diagnostic {
    diagnostic(
        codes::SCHEMA,
        format!("{path} is {}, but must be {words} {limit}", shown(&plain(instance))),
        format!("expected {words} {limit}"),
        format!("write a number that is {words} {limit}"),
    )
}

fn absolute(subject: &Subject<'_>, pointer: &str) -> String {
    format!("{}{pointer}", subject.base)
}

fn child(pointer: &str, name: &str) -> String {
    let mut pointer = pointer.to_owned();
    push_token(&mut pointer, name);
    pointer
}

fn last_token(pointer: &str) -> String {
    unescape_token(pointer.rsplit('/').next().unwrap_or_default()).into_owned()
}
