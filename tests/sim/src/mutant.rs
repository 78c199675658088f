//! Planted bugs: each breaks one rule of the protocol, by an adapter around the ports, a setting, or what stands around
//! the functions. A harness that does not find them all does not see.

mod ports;

use std::sync::{Arc, Mutex};

use platform::Platform;
use platform_sim::Handle;
use tsdb::Settings;

use ports::{MutantClock, MutantEntropy, MutantObjects, MutantRows, Shared};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// P1: a segment's key has the attempt in it.
    AttemptInKey,
    /// P2: a segment that is there is overwritten.
    Overwrite,
    /// P3: messages are acknowledged before they are handled.
    AcknowledgeFirst,
    /// P3: messages are acknowledged though handling them failed.
    AcknowledgeFailures,
    /// P4: the head is set whatever its version.
    BlindHead,
    /// P5: inputs are deleted before the commit.
    DeleteBeforeCommit,
    /// P6: after a commit of unknown outcome its block is cleaned up.
    TidyUnknown,
    /// P6: a creation of unknown outcome is taken for done.
    UnknownIsDone,
    /// P6: a creation that was refused is taken for one that found the key taken, as when 409 is taken for 412.
    RefusedIsExists,
    /// P7: the collector does not fence.
    NoFence,
    /// P8: an attempt on the same head names its blocks as the attempt before did.
    RepeatedNames,
    /// P8: bulky payloads are named by cause, not by attempt.
    PayloadByCause,
    /// P9: the watermark is not moved by a commit.
    ForgetWatermark,
    /// P9: the manifest does not name the segments that stale markers are derived from.
    ForgetContext,
    /// P17: manifests do not name what has been deleted.
    ForgetTombstones,
    /// P18: a segment that somebody else wrote is taken for one's own, and coded against.
    ExistsIsCreated,
    /// P10: a reader reads the head before it lists segments.
    HeadBeforeList,
    /// P12: a writer does not notice that it is late.
    NeverLate,
    /// P12: the compactor does not wait for writers that are in time.
    NoGrace,
    /// P13: segments are listed in reverse.
    ReverseList,
    /// P15: the state of a rule group is set whatever its version.
    BlindGroupState,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::AttemptInKey,
        Self::Overwrite,
        Self::AcknowledgeFirst,
        Self::AcknowledgeFailures,
        Self::BlindHead,
        Self::DeleteBeforeCommit,
        Self::TidyUnknown,
        Self::UnknownIsDone,
        Self::RefusedIsExists,
        Self::NoFence,
        Self::RepeatedNames,
        Self::PayloadByCause,
        Self::ForgetWatermark,
        Self::ForgetContext,
        Self::ForgetTombstones,
        Self::ExistsIsCreated,
        Self::HeadBeforeList,
        Self::NeverLate,
        Self::NoGrace,
        Self::ReverseList,
        Self::BlindGroupState,
    ];

    /// The rule that it breaks.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::AttemptInKey => "P1",
            Self::Overwrite => "P2",
            Self::AcknowledgeFirst | Self::AcknowledgeFailures => "P3",
            Self::BlindHead => "P4",
            Self::DeleteBeforeCommit => "P5",
            Self::TidyUnknown | Self::UnknownIsDone | Self::RefusedIsExists => "P6",
            Self::NoFence => "P7",
            Self::RepeatedNames | Self::PayloadByCause => "P8",
            Self::ForgetWatermark | Self::ForgetContext => "P9",
            Self::ForgetTombstones => "P17",
            Self::ExistsIsCreated => "P18",
            Self::HeadBeforeList => "P10",
            Self::NeverLate | Self::NoGrace => "P12",
            Self::ReverseList => "P13",
            Self::BlindGroupState => "P15",
        }
    }

    /// The mutant of a name, as it is printed.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name)
    }
}

/// Where a mutant is planted.
#[derive(Debug)]
pub struct Hooks {
    mutant: Option<Mutant>,
    world: Handle,
}

impl Hooks {
    /// The hooks of a world.
    #[must_use]
    pub fn new(mutant: Option<Mutant>, world: Handle) -> Self {
        Self { mutant, world }
    }

    /// The settings, perhaps broken.
    #[must_use]
    pub fn settings(&self, settings: Settings) -> Settings {
        match self.mutant {
            Some(Mutant::NoGrace) => Settings { grace_ms: 0, window_ms: 1_000, ..settings },
            _ => settings,
        }
    }

    /// The platform of a process, perhaps broken.
    #[must_use]
    pub fn platform(&self, platform: Platform) -> Platform {
        let Some(mutant) = self.mutant else { return platform };
        let shared = Arc::new(Mutex::new(Shared::default()));
        let world = self.world.clone();
        let objects = Arc::new(MutantObjects {
            mutant,
            inner: Arc::clone(&platform.objects),
            shared: Arc::clone(&shared),
        });
        Platform {
            objects,
            clock: Arc::new(MutantClock {
                mutant,
                inner: Arc::clone(&platform.clock),
                shared: Arc::clone(&shared),
                world: world.clone(),
            }),
            rows: Arc::new(MutantRows {
                mutant,
                inner: Arc::clone(&platform.rows),
                objects: Arc::clone(&platform.objects),
                entropy: Arc::clone(&platform.entropy),
                shared: Arc::clone(&shared),
                world,
            }),
            entropy: Arc::new(MutantEntropy { mutant, inner: Arc::clone(&platform.entropy), shared }),
            ..platform
        }
    }
}
