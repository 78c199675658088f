//! The bounded exhaustive explorer: every schedule of a few invocations with at most so many preemptions and so many
//! faults.
//!
//! ```text
//! scenario (a stored state, invocations) ─► run ─► at every effect: who goes on? what becomes of it?
//!    ▲                                                 │ choices, replayed from the beginning, last one varied
//!    └───────────────── next schedule ◄────────────────┘ ends where a state comes that has been explored
//! ```
//!
//! A *preemption* is that an invocation which could go on does not do its next effect; which one follows where one has
//! ended is free. A *fault* is a fate other than success of one effect. What is late is there to land at any later
//! moment, at the price of a preemption while somebody could go on.
//!
//! # Pruning
//! The world's state hash (see `platform_sim::Driver`) covers everything that can follow but for the budgets. Where a state
//! with the same invocation under way was explored with no smaller budgets, everything that can follow has been
//! explored, and the schedule ends there. Crashes are tried before every effect and not after: an invocation that crashed
//! after its effect, and one that crashes before its next without having done anything since, leave the same world. What an
//! oracle is lenient about (a segment that may be late, a commit of unknown outcome) is part of the state, so that no
//! schedule hides behind another that was judged more mildly.
//!
//! # What stands in
//! Nothing: the handlers, segments, layouts, manifests and blocks are production's. Scenarios are small instead: one or two
//! targets, a window of a minute, the hours in which segments can be listed few. A reader takes part in all of them but
//! `Write`, whose two compactors and collector together with a reader are too many; `WriteSmall` has the reader with one
//! compactor, `Expire` with a compactor and a collector.

pub mod hunt;
pub mod scenario;
pub mod search;
