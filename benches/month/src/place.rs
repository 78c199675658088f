//! Where it runs: in virtual time, or on AWS.

use std::future::Future;
use std::sync::Arc;

use platform::{Meter, Platform};
use platform_sim::Handle;

/// What the functions are on.
pub(crate) enum Place {
    /// A simulated platform.
    Virtual(Handle),
    /// AWS, or what says that it is.
    #[cfg(feature = "aws")]
    Aws(crate::aws::Aws),
}

impl Place {
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        match self {
            Self::Virtual(world) => world.now_ms(),
            #[cfg(feature = "aws")]
            Self::Aws(_) => platform_system::now_ms(),
        }
    }

    /// The ports of a new process, whose requests are told to `meter`.
    pub(crate) async fn metered(&self, meter: &Arc<dyn Meter>) -> Platform {
        match self {
            Self::Virtual(world) => platform_metered::metered(&world.platform(), meter),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.platform(Arc::clone(meter)).await,
        }
    }

    /// The ports as nobody is billed for them.
    pub(crate) async fn unmetered(&self) -> Platform {
        match self {
            Self::Virtual(world) => world.platform(),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.platform(Arc::new(platform::NoMeter)).await,
        }
    }

    /// Starts work that goes on by itself.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Virtual(world) => {
                world.spawn("work", work);
            }
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.spawn(work),
        }
    }
}
