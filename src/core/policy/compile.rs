//! The policies of an estate, with their expressions parsed and checked once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::values;
use crate::desired::code_of;
use crate::diagnostics::{Code, Diagnostic, Origin, SourceFiles, codes};
use crate::expression::{Compiler, Expression, ExpressionError, Template, quoted};
use crate::model::document::{Document, Enforcement, PolicyRule, PolicySpec, Subject};
use crate::model::names::Name;
use crate::model::value::{Map, Value};
use crate::plan::Place;

/// Every rule of every policy, in order of file and place.
#[derive(Default)]
pub struct Policies<'e> {
    pub rules: Vec<CompiledRule<'e>>,
}

/// One rule of one policy.
pub struct CompiledRule<'e> {
    pub policy: &'e Document<PolicySpec>,
    pub rule: &'e PolicyRule,
    /// Where its id is.
    pub place: Place,
    pub(super) when: Option<Arc<Expression>>,
    pub(super) expression: Arc<Expression>,
    /// `None` if the message has no expression.
    pub(super) message: Option<Template>,
    /// The variable `values`.
    pub values: Value,
}

impl<'e> Policies<'e> {
    /// Parses the rules of all policies. What is wrong goes to `diagnostics`; such a rule is left out.
    pub fn compile(
        documents: &'e [Document<PolicySpec>],
        files: &SourceFiles,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut rules = Vec::new();
        for policy in documents {
            let mut ids = BTreeSet::new();
            for (index, rule) in policy.spec.rules.iter().enumerate() {
                let mut compiling = Compiling { policy, rule, index, files, diagnostics };
                if !ids.insert(&rule.id) {
                    compiling.report(
                        "/id",
                        codes::SCHEMA,
                        format!("the policy has the rule `{}` twice", rule.id),
                        "give one of them another id",
                    );
                }
                rules.extend(compiling.rule());
            }
            check_tests(policy, &ids, diagnostics);
        }
        Self { rules }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule compares tenants with what they were when they were last applied.
    pub fn look_back(&self) -> bool {
        let texts = |rule: &PolicyRule| [Some(rule.expression.clone()), rule.when.clone(), Some(rule.message.clone())];
        let looks_back = |text: &str| text.contains("oldTenant") || text.contains("oldTier");
        self.rules.iter().flat_map(|rule| texts(rule.rule)).flatten().any(|text| looks_back(&text))
    }

    /// Whether a rule is evaluated for this.
    pub fn has(&self, each: Subject) -> bool {
        self.rules.iter().any(|rule| rule.rule.each == each)
    }
}

/// Tests name rules of their policy, and variables that exist.
fn check_tests(policy: &Document<PolicySpec>, ids: &BTreeSet<&Name>, diagnostics: &mut Vec<Diagnostic>) {
    const GIVEN: [&str; 10] =
        ["tenant", "oldTenant", "tier", "oldTier", "change", "resource", "plan", "tenants", "estate", "now"];
    for (index, test) in policy.spec.tests.iter().enumerate() {
        let mut report = |pointer: &str, message: String, help: String| {
            let origin = policy.positions.origin(&format!("/spec/tests/{index}{pointer}"));
            diagnostics.push(Diagnostic::error(codes::SCHEMA, message).at(origin, "of this test").help(help));
        };
        if let Some(rule) = test.rule.as_ref().filter(|rule| !ids.contains(rule)) {
            let known = ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
            report("/rule", format!("the policy has no rule `{rule}`"), format!("rules are {known}"));
        }
        for name in test.given.keys().filter(|name| !GIVEN.contains(&&***name)) {
            let pointer = format!("/given/{name}");
            report(&pointer, format!("`{name}` is not a variable"), format!("variables are {}", GIVEN.join(", ")));
        }
    }
}

/// The rule that is compiled at the moment.
struct Compiling<'e, 'd> {
    policy: &'e Document<PolicySpec>,
    rule: &'e PolicyRule,
    index: usize,
    files: &'d SourceFiles,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'e> Compiling<'e, '_> {
    fn rule(&mut self) -> Option<CompiledRule<'e>> {
        let (policy, rule) = (self.policy, self.rule);
        self.check_narrowing();
        let mut compiler = Compiler::of(values::variables(rule.each));
        let when = rule.when.as_ref().map(|when| self.condition("/when", when, &mut compiler));
        let expression = self.condition("/expression", &rule.expression, &mut compiler);
        let message = match Template::compile(&rule.message, None, &mut compiler) {
            Ok(template) => {
                let expressions: Vec<_> = template.iter().flat_map(Template::expressions).cloned().collect();
                let is_good = expressions.iter().map(|one| self.check_fields("/message", one)).collect::<Vec<_>>();
                is_good.iter().all(|good| *good).then_some(template)
            }
            Err((source, error)) => {
                self.failed("/message", &source, error);
                None
            }
        };
        let (line, _) = self.files.line_column(self.origin("/id"));
        let file = self.files.get(policy.positions.file).path.clone();
        let values: Map = policy.spec.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(CompiledRule {
            policy,
            rule,
            place: Place { file, line },
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
            expression: expression?,
            message: message?,
            values: values.into(),
        })
    }

    fn origin(&self, pointer: &str) -> Origin {
        self.policy.positions.origin(&format!("/spec/rules/{}{pointer}", self.index))
    }

    fn report(&mut self, pointer: &str, code: Code, message: String, help: impl Into<String>) {
        let label = format!("of rule `{}`", self.rule.id);
        self.diagnostics.push(Diagnostic::error(code, message).at(self.origin(pointer), label).help(help));
    }

    /// Narrowing by what the subject does not have would leave nothing, or everything.
    fn check_narrowing(&mut self) {
        let (only, each) = (&self.rule.only, self.rule.each);
        let is_resource = matches!(each, Subject::Change | Subject::Resource);
        let of = |what: &str, needed: &str| {
            (
                format!(
                    "`{what}` of rule `{}` has no effect, because the rule has `each: {}`",
                    self.rule.id,
                    each.as_str()
                ),
                format!("remove it, or write `each: {needed}`"),
            )
        };
        let mut wrong = Vec::new();
        if !only.kinds.is_empty() && !is_resource {
            wrong.push(("/only/kinds", of("only.kinds", "resource")));
        }
        if !only.actions.is_empty() && each != Subject::Change {
            wrong.push(("/only/actions", of("only.actions", "change")));
        }
        if !only.tiers.is_empty() && each == Subject::Plan {
            wrong.push(("/only/tiers", of("only.tiers", "tenant")));
        }
        if !only.phases.is_empty() && each == Subject::Plan {
            wrong.push(("/only/phases", of("only.phases", "tenant")));
        }
        if !self.rule.approvers.is_empty() && self.rule.enforcement != Enforcement::Approval {
            let message = format!(
                "`approvers` of rule `{}` has no effect with `enforcement: {}`",
                self.rule.id,
                self.rule.enforcement.as_str()
            );
            wrong.push(("/approvers", (message, "remove it, or write `enforcement: approval`".to_owned())));
        }
        for (pointer, (message, help)) in wrong {
            self.report(pointer, codes::SCHEMA, message, help);
        }
    }

    /// An expression that yields true or false.
    fn condition(&mut self, pointer: &str, source: &str, compiler: &mut Compiler) -> Option<Arc<Expression>> {
        let source = source.trim();
        if source.starts_with("${") {
            let message = format!("{} is an expression already, and has `${{`", pointer.trim_start_matches('/'));
            self.report(pointer, codes::EXPRESSION_SYNTAX, message, "write the expression without `${` and `}`");
            return None;
        }
        let expression = match compiler.expression(source, None) {
            Ok(expression) => expression,
            Err(error) => {
                self.failed(pointer, source, error);
                return None;
            }
        };
        let of_path = || values::type_of(&expression.path()?, &self.policy.spec.values);
        if let Some(other) = expression.known_type().or_else(of_path).filter(|known| *known != "boolean") {
            let message = format!("`{}` yields a {other}, not true or false", quoted(source));
            self.report(pointer, codes::EXPRESSION_TYPE, message, "write a condition that is true where all is well");
            return None;
        }
        self.check_fields(pointer, &expression).then_some(expression)
    }

    /// Reports fields that a variable never has. Returns whether there are none.
    fn check_fields(&mut self, pointer: &str, expression: &Expression) -> bool {
        let unknown = |path: &Vec<Arc<str>>| values::unknown_field(path, &self.policy.spec.values);
        let wrong: Vec<_> = expression.references().paths.iter().filter_map(unknown).collect();
        for (message, help) in &wrong {
            let label = format!("of rule `{}`", self.rule.id);
            let at = self.files.within(self.origin(pointer), &expression.source);
            self.diagnostics
                .push(Diagnostic::error(codes::EXPRESSION_FAILED, message.clone()).at(at, label).help(help.clone()));
        }
        wrong.is_empty()
    }

    fn failed(&mut self, pointer: &str, source: &str, error: ExpressionError) {
        let ExpressionError { failure, message, help } = error;
        let at = self.files.within(self.origin(pointer), source);
        let message = format!("`{}`: {message}", quoted(source));
        let mut diagnostic = Diagnostic::error(code_of(failure), message).at(at, format!("of rule `{}`", self.rule.id));
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }
}
