//! What an invocation's requests are billed as.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use platform::{Billed, Meter};

/// Requests of one operation together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BilledTotal {
    /// How many.
    pub requests: u64,
    /// What they are billed as, in the service's own units; see [`Billed::units`].
    pub units: f64,
    /// Bytes sent in bodies.
    pub sent: u64,
    /// Bytes received in bodies.
    pub received: u64,
}

/// Adds up requests by service and operation until they are taken.
#[derive(Debug, Default)]
pub struct Bill {
    totals: Mutex<BTreeMap<(&'static str, &'static str), BilledTotal>>,
}

impl Bill {
    /// What was counted since the last time, by service and operation.
    #[must_use]
    pub fn take(&self) -> BTreeMap<(&'static str, &'static str), BilledTotal> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, &'static str), BilledTotal>> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for Bill {
    fn count(&self, billed: Billed) {
        let mut totals = self.lock();
        let total = totals.entry((billed.service, billed.operation)).or_default();
        total.requests += 1;
        total.units += billed.units;
        total.sent += billed.sent;
        total.received += billed.received;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_added_up_by_operation_and_taken_once() {
        let bill = Bill::default();
        for units in [1.0, 2.5] {
            let operation = "Query";
            bill.count(Billed { service: "dynamodb", operation, units, sent: 10, received: 20 });
        }
        bill.count(Billed { service: "s3", operation: "GetObject", units: 1.0, sent: 0, received: 5 });
        let taken = bill.take();
        let query = BilledTotal { requests: 2, units: 3.5, sent: 20, received: 40 };
        assert_eq!(taken[&("dynamodb", "Query")], query);
        assert_eq!(taken.len(), 2);
        assert!(bill.take().is_empty());
    }
}
