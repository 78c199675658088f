//! What one request may make us hold.

/// As how many samples a histogram counts.
const HISTOGRAM_SAMPLES: usize = 8;

/// Bounds on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression. Default: 32 MiB, as in Prometheus.
    pub decoded_bytes_max: usize,
    /// Series. Default: 500,000.
    pub series_max: usize,
    /// Samples and exemplars together; a histogram counts as 8, for the memory that it takes. Default: 2 million.
    pub samples_max: usize,
    /// Labels of one series. Default: 512.
    pub labels_max: usize,
    /// Bytes of all label sets, help texts and units once they are written out: one symbol of version 2.0 may stand for
    /// many. Default: 128 MiB.
    pub text_bytes_max: usize,
    /// Buckets and spans over all histograms. Default: 8 million.
    pub buckets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decoded_bytes_max: 32 << 20,
            series_max: 500_000,
            samples_max: 2_000_000,
            labels_max: 512,
            text_bytes_max: 128 << 20,
            buckets_max: 8_000_000,
        }
    }
}

/// What is left of the [`Limits`] while a request is read.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    series: usize,
    samples: usize,
    text_bytes: usize,
    buckets: usize,
}

/// A request that asks for more than the limits allow; what there is too much of, and how much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded(pub(crate) &'static str, pub(crate) usize);

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, series: 0, samples: 0, text_bytes: 0, buckets: 0 }
    }

    pub(crate) fn labels_max(&self) -> usize {
        self.limits.labels_max
    }

    pub(crate) fn series(&mut self) -> Result<(), Exceeded> {
        spend(&mut self.series, 1, self.limits.series_max, "series")
    }

    pub(crate) fn sample(&mut self) -> Result<(), Exceeded> {
        spend(&mut self.samples, 1, self.limits.samples_max, "samples")
    }

    pub(crate) fn histogram(&mut self) -> Result<(), Exceeded> {
        spend(&mut self.samples, HISTOGRAM_SAMPLES, self.limits.samples_max, "samples")
    }

    pub(crate) fn text(&mut self, bytes: usize) -> Result<(), Exceeded> {
        spend(&mut self.text_bytes, bytes, self.limits.text_bytes_max, "bytes of text")
    }

    pub(crate) fn bucket(&mut self) -> Result<(), Exceeded> {
        spend(&mut self.buckets, 1, self.limits.buckets_max, "histogram buckets")
    }
}

fn spend(used: &mut usize, amount: usize, max: usize, what: &'static str) -> Result<(), Exceeded> {
    *used = used.saturating_add(amount);
    if *used > max { Err(Exceeded(what, max)) } else { Ok(()) }
}
