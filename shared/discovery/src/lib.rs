//! NOTE FROM THE LEAD (2026-11-22 16:52): I am writing this crate myself on main, right now, to unblock wiring.
//! Do not write it. Finish config/model, report, and then review main's `shared/discovery` against target.go if time remains.
