//! Stopping an evaluation from outside.

use crate::query::QueryError;

/// Asked now and then during an evaluation: has the deadline passed or the client gone?
pub trait Interrupt: Sync {
    /// Whether to go on.
    ///
    /// # Errors
    /// [`QueryError::Timeout`] or [`QueryError::Canceled`]; the evaluation then ends with it.
    fn check(&self) -> Result<(), QueryError>;
}

/// Lets every evaluation run to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<(), QueryError> {
        Ok(())
    }
}
