//! Planted bugs: adapters around the ports that break one rule of the protocol each.

use platform::Platform;
use platform_sim::Handle;
use tsdb::Settings;

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// P3: messages are acknowledged before they are handled.
    AcknowledgeFirst,
    /// P3: messages are acknowledged though handling them failed.
    AcknowledgeFailures,
}

/// Where a mutant is planted.
#[derive(Debug)]
pub struct Hooks {
    mutant: Option<Mutant>,
    _world: Handle,
}

impl Hooks {
    /// The hooks of a world.
    #[must_use]
    pub fn new(mutant: Option<Mutant>, world: Handle) -> Self {
        Self { mutant, _world: world }
    }

    /// The settings, perhaps broken.
    #[must_use]
    pub fn settings(&self, settings: Settings) -> Settings {
        let _ = self.mutant;
        settings
    }

    /// The platform, perhaps broken.
    #[must_use]
    pub fn platform(&self, platform: Platform) -> Platform {
        platform
    }
}
