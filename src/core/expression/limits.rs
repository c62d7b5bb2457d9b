//! How much an expression may ask for: its size when it is parsed, its steps and memory when it is evaluated.
//!
//! An estate is read in CI from a branch that anybody may have pushed, so an expression must not be able to take the
//! machine down. Sizes are bounded before the parser sees the text, because the parser and everything after it recurse.
//! Steps and bytes are counted by the evaluator itself: each node of the tree is a step, each value that is made is
//! charged before it is made. The figures leave a factor of a hundred above what blueprints do in practice.

use std::cell::Cell;

use super::{ExpressionError, Failure};

/// The longest expression, in bytes.
pub const SOURCE_BYTES: usize = 16 * 1024;

/// The most tokens of one expression.
pub const TOKENS: usize = 2_000;

/// The deepest nesting of one expression. Evaluation recurses that deeply, on threads with a stack of 2 MiB.
pub const DEPTH: usize = 100;

/// The most steps of one evaluation: some 50 ms.
pub const STEPS: u64 = 1_000_000;

/// The most bytes that one evaluation may make, and the largest result.
pub const BYTES: u64 = 8 * 1024 * 1024;

/// The most steps of all expressions of one owner together.
pub const OWNER_STEPS: u64 = 20_000_000;

/// The most bytes that the expressions of one owner may make together.
pub const OWNER_BYTES: u64 = 256 * 1024 * 1024;

/// The most resources of one `forEach`.
pub const ITEMS: usize = 10_000;

/// The most resources of one owner.
pub const RESOURCES: usize = 50_000;

/// Steps and bytes that one owner's expressions have taken so far.
#[derive(Debug, Default)]
pub struct Spent {
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Spent {
    /// Charges text that is put together outside of an evaluation.
    ///
    /// # Errors
    /// If it is too much for one value or for one owner.
    pub fn text(&self, bytes: usize) -> Result<(), ExpressionError> {
        let mut budget = Budget::new(self);
        budget.bytes(bytes as u64)
    }

    /// The steps that were taken so far.
    #[cfg(test)]
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }
}

/// What one evaluation has taken so far.
pub struct Budget<'a> {
    owner: &'a Spent,
    steps: u64,
    bytes: u64,
}

impl<'a> Budget<'a> {
    pub fn new(owner: &'a Spent) -> Self {
        Self { owner, steps: 0, bytes: 0 }
    }

    /// # Errors
    /// If the evaluation, or the owner's evaluations together, take more steps than the limit.
    pub fn steps(&mut self, steps: u64) -> Result<(), ExpressionError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS {
            return Err(exceeded(format!("it takes more than {STEPS} steps"))
                .help("a macro within a macro multiplies their lengths; compute less, or write the result as values"));
        }
        let all = self.owner.steps.get() + steps;
        self.owner.steps.set(all);
        if all > OWNER_STEPS {
            return Err(exceeded(format!("the expressions of one owner take more than {OWNER_STEPS} steps together"))
                .help("compute less, or write the results as values"));
        }
        Ok(())
    }

    /// Asks whether so many bytes could be made, without making them.
    ///
    /// # Errors
    /// If the evaluation would make more bytes than the limit.
    pub fn room_for(&self, bytes: u64) -> Result<(), ExpressionError> {
        if self.bytes.saturating_add(bytes) > BYTES {
            return Err(exceeded(format!("its values take more than {BYTES} bytes")).help("use a shorter text or list"));
        }
        Ok(())
    }

    /// # Errors
    /// If the evaluation, or the owner's evaluations together, make more bytes than the limit.
    pub fn bytes(&mut self, bytes: u64) -> Result<(), ExpressionError> {
        self.room_for(bytes)?;
        self.bytes += bytes;
        // Copying takes time too.
        self.steps(bytes / 64)?;
        let all = self.owner.bytes.get() + bytes;
        self.owner.bytes.set(all);
        if all > OWNER_BYTES {
            return Err(exceeded(format!(
                "the values of the expressions of one owner take more than {OWNER_BYTES} bytes together"
            ))
            .help("use shorter texts or lists"));
        }
        Ok(())
    }
}

/// An error that no `||` and no macro absorbs.
pub fn exceeded(message: impl Into<String>) -> ExpressionError {
    ExpressionError::new(Failure::Bound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_evaluation_and_all_of_an_owner_are_bounded() {
        let spent = Spent::default();
        assert!(Budget::new(&spent).steps(STEPS).is_ok());
        assert!(Budget::new(&spent).steps(STEPS + 1).is_err());
        assert!(Budget::new(&spent).bytes(BYTES + 1).is_err());
        let evaluations = OWNER_STEPS / STEPS - 1;
        assert!((0..evaluations).all(|_| Budget::new(&spent).steps(STEPS).is_ok()));
        let error = Budget::new(&spent).steps(1).expect_err("a limit");
        assert_eq!(error.message, "the expressions of one owner take more than 20000000 steps together");
        let spent = Spent::default();
        assert!((0..OWNER_BYTES / BYTES).all(|_| spent.text(8 * 1024 * 1024).is_ok()));
        assert_eq!(
            spent.text(1).map_err(|error| error.message),
            Err("the values of the expressions of one owner take more than 268435456 bytes together".to_owned())
        );
    }
}
