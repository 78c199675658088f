//! How much an evaluation may hold, and when it has to stop.
//!
//! Samples are counted as Prometheus counts them (`engine/max_query_samples.json`): what has been computed and is still
//! needed, and, while functions of ranges run, the samples of one window.

use crate::interrupt::Interrupt;
use crate::query::QueryError;

/// Units of work (samples looked at) between two questions to the interrupt.
const WORK_BETWEEN_CHECKS: u64 = 1 << 17;

/// A column takes room for all steps between its first and its last value. So many times the samples allowed may be
/// taken by one vector.
const SLOTS_PER_SAMPLE_MAX: u64 = 4;

/// Room that is always granted, in slots.
const SLOTS_MIN: u64 = 1 << 20;

/// The limits and how far they are used up.
pub(crate) struct Limits<'a> {
    held: u64,
    samples_max: u64,
    work: u64,
    interrupt: &'a dyn Interrupt,
}

impl<'a> Limits<'a> {
    pub(crate) fn new(samples_max: u64, interrupt: &'a dyn Interrupt) -> Self {
        Self { held: 0, samples_max, work: 0, interrupt }
    }

    /// Samples held now.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Holds more samples.
    pub(crate) fn hold(&mut self, samples: usize) -> Result<(), QueryError> {
        self.check_room(samples)?;
        self.held += samples as u64;
        Ok(())
    }

    /// Whether so many more could be held for a moment.
    pub(crate) fn check_room(&self, samples: usize) -> Result<(), QueryError> {
        if self.held.saturating_add(samples as u64) > self.samples_max {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }

    /// Whether the columns of a vector may take so much room, values or not.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<(), QueryError> {
        if slots > self.slots_max() { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// How much room the columns of a vector may take.
    pub(crate) fn slots_max(&self) -> usize {
        let slots = self.samples_max.saturating_mul(SLOTS_PER_SAMPLE_MAX).max(SLOTS_MIN);
        usize::try_from(slots).unwrap_or(usize::MAX)
    }

    /// Ends an operation that began when `before` were held: its operands go, its result stays. While it ran, one
    /// step of each of `inputs` series was held beside both.
    pub(crate) fn settle(&mut self, before: u64, inputs: usize, result: usize) -> Result<(), QueryError> {
        self.check_room(inputs.saturating_add(result))?;
        self.held = before.saturating_add(result as u64);
        self.work(result)
    }

    /// Goes back to what was held before.
    pub(crate) fn release_to(&mut self, held: u64) {
        self.held = held;
    }

    /// Counts work done; asks now and then whether to go on.
    pub(crate) fn work(&mut self, amount: usize) -> Result<(), QueryError> {
        self.work = self.work.saturating_add(amount as u64 + 1);
        if self.work < WORK_BETWEEN_CHECKS {
            return Ok(());
        }
        self.work = 0;
        self.interrupt.check()
    }
}
