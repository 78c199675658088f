//! Long runs of the simulation: see the crate's documentation for the commands.

use std::process::ExitCode;

use sim::command::Ended;

/// Histories are made of small allocations; nothing of what they show depends on who serves them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match sim::command::run(&arguments, &mut std::io::stdout()) {
        Ended::Sound => ExitCode::SUCCESS,
        Ended::Unsound => ExitCode::FAILURE,
        Ended::Usage => ExitCode::from(2),
    }
}
