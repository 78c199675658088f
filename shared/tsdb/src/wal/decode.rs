//! Bytes to scrapes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, TimestampMs};
use storage::{Coverage, Scrape, ScrapeExemplar, ScrapeHistogram, ScrapeOutcome, ScrapeSample, SourceId};
use xxhash_rust::xxh3::xxh3_64;

use super::Corrupt;
use super::bits::BitReader;
use super::chunk::{Members, Models, Part, Shape, States, code_part};
use super::cursor::Cursor;
use super::front::{BaseRef, From, Front, Head, LayoutRef};
use super::layout::{Layout, LayoutId};
use super::pushed::composed_id;

/// Most places for samples, absent ones included, of one segment.
const PLACES_MAX: usize = 1 << 27;

/// Why a segment cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// A byte is changed or missing.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A layout that it refers to was not given.
    #[error("layout {0} is missing")]
    MissingLayout(LayoutId),
    /// A segment, or the part of it, that it is coded against was not given.
    #[error("segment {0}, which it is coded against, is missing")]
    MissingBase(crate::keys::SegmentKey),
}

/// One scrape as a segment holds it: samples in the order of the layout, columnar.
#[derive(Clone, Debug)]
pub struct DecodedScrape {
    /// What was scraped or evaluated.
    pub source: SourceId,
    /// The instant of all samples without one of their own, ms.
    pub timestamp: TimestampMs,
    /// How it went.
    pub outcome: ScrapeOutcome,
    /// The series that samples refer to, and what the source last said of its metric families.
    pub layout: Arc<Layout>,
    /// Names the layout.
    pub layout_id: LayoutId,
    /// How many samples it has, whether or not their chunks were decoded.
    pub samples: usize,
    /// What the absence of a series means.
    pub coverage: Coverage,
    /// Per float, the index of its series in the layout; strictly increasing, each within the layout.
    pub present: Vec<u32>,
    /// Per float, its value.
    pub values: Vec<f64>,
    /// Floats with an instant of their own: (index into `present`, ms), strictly increasing by index.
    pub explicit: Vec<(u32, TimestampMs)>,
    /// The native histograms, strictly increasing by series; none of these has a float.
    pub histograms: Vec<DecodedHistogram>,
    /// Exemplars by index of their series in the layout, in its order.
    pub exemplars: Vec<(u32, Exemplar)>,
}

/// One native histogram of a [`DecodedScrape`].
#[derive(Clone, Debug)]
pub struct DecodedHistogram {
    /// Index of the series in the layout.
    pub series: u32,
    /// The histogram.
    pub value: Arc<FloatHistogram>,
    /// The instant that the exposition gave, ms, where it gave one.
    pub timestamp: Option<TimestampMs>,
}

/// One float of a [`DecodedScrape`].
#[derive(Clone, Copy, Debug)]
pub struct DecodedSample<'a> {
    /// Index of the series in the layout.
    pub series: u32,
    /// The series.
    pub labels: &'a Labels,
    /// The value.
    pub value: f64,
    /// The instant that the exposition gave, ms, where it gave one.
    pub timestamp: Option<TimestampMs>,
}

impl DecodedScrape {
    /// The floats in order of the layout.
    pub fn samples(&self) -> impl Iterator<Item = DecodedSample<'_>> {
        let mut explicit = self.explicit.iter().peekable();
        self.present.iter().zip(&self.values).enumerate().filter_map(move |(index, (series, value))| {
            let timestamp =
                explicit.next_if(|(at, _)| *at as usize == index).map(|(_, timestamp)| *timestamp);
            let labels = self.layout.series.get(*series as usize)?;
            Some(DecodedSample { series: *series, labels, value: *value, timestamp })
        })
    }

    /// As it was before it was encoded, but for the order of what it holds; of metadata, all that is still held to be so.
    #[must_use]
    pub fn to_scrape(&self) -> Scrape {
        let labels = |series: u32| self.layout.series.get(series as usize).cloned();
        let samples = self.samples().map(|sample| ScrapeSample {
            labels: sample.labels.clone(),
            value: sample.value,
            timestamp: sample.timestamp,
        });
        let histograms = self.histograms.iter().filter_map(|histogram| {
            Some(ScrapeHistogram {
                labels: labels(histogram.series)?,
                value: Arc::clone(&histogram.value),
                timestamp: histogram.timestamp,
            })
        });
        let exemplars = self.exemplars.iter().filter_map(|(series, exemplar)| {
            Some(ScrapeExemplar { series: labels(*series)?, exemplar: exemplar.clone() })
        });
        Scrape {
            source: self.source,
            timestamp: self.timestamp,
            outcome: self.outcome.clone(),
            samples: samples.collect(),
            histograms: histograms.collect(),
            exemplars: exemplars.collect(),
            metadata: Arc::clone(&self.layout.metadata),
            coverage: self.coverage,
        }
    }
}

/// A decoded segment as those that are coded against it need it.
#[derive(Debug)]
pub struct Tips {
    reference: BaseRef,
    boundaries: Vec<String>,
    models: BTreeMap<usize, Models>,
    scrapes: Vec<Tip>,
}

#[derive(Debug)]
struct Tip {
    source: SourceId,
    layout_id: LayoutId,
    layout: Arc<Layout>,
    members: Arc<Members>,
    /// Per chunk; of the last complete scrape of each source.
    states: BTreeMap<usize, States>,
}

impl Tips {
    /// The segment that this is of.
    #[must_use]
    pub fn reference(&self) -> &BaseRef {
        &self.reference
    }

    /// About how much memory it takes, without the layouts.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        const MODELS_BYTES: usize = 40 << 10;
        let states = self.scrapes.iter().flat_map(|tip| tip.states.values()).map(States::size_bytes);
        self.models.len() * MODELS_BYTES + self.scrapes.len() * 128 + states.sum::<usize>()
    }
}

/// What a segment holds.
#[derive(Debug)]
pub struct Decoded {
    /// The scrapes in the order in which they were given to [`super::encode()`], with the samples of the decoded chunks.
    pub scrapes: Vec<DecodedScrape>,
    /// For what is coded against it.
    pub tips: Tips,
}

/// Decodes some chunks of a segment: `chunks` are their numbers, ascending, and their bytes. `bases` are those of the
/// index, in its order, decoded in the same chunks.
///
/// # Errors
/// [`WalError::Corrupt`] where a byte is changed or missing, or a base is not the one that is meant;
/// [`WalError::MissingLayout`] and [`WalError::MissingBase`] where one is not given.
pub fn decode(
    key: &crate::keys::SegmentKey,
    front: &Front,
    chunks: &[(usize, &[u8])],
    bases: &[Arc<Tips>],
    layouts: &dyn Fn(LayoutId) -> Option<Arc<Layout>>,
) -> Result<Decoded, WalError> {
    for (at, wanted) in front.index.bases.iter().enumerate() {
        let given = bases.get(at).ok_or_else(|| WalError::MissingBase(wanted.key.clone()))?;
        if given.reference != *wanted {
            return Err(Corrupt::new("a base is not the one that was meant").into());
        }
    }
    // What is given beyond them is of no meaning.
    let bases = bases.get(..front.index.bases.len()).unwrap_or_default();
    let layouts = resolve_layouts(&front.heads.layouts, layouts)?;
    let boundaries = front.index.boundaries();
    let mut decoder = Decoder { front, bases, layouts, boundaries, tips: Vec::new(), scrapes: Vec::new() };
    for head in &front.heads.scrapes {
        decoder.begin(head)?;
    }
    let mut models = BTreeMap::new();
    let mut parts: Vec<Vec<(usize, Part)>> = front.heads.scrapes.iter().map(|_| Vec::new()).collect();
    for (chunk, bytes) in chunks {
        models.insert(*chunk, decoder.chunk(*chunk, bytes, &mut parts)?);
    }
    let complete = chunks.len() == front.index.chunks.len();
    for (at, parts) in parts.into_iter().enumerate() {
        decoder.assemble(at, parts, complete)?;
    }
    let reference = BaseRef { key: key.clone(), checksum: front.checksum };
    let tips = Tips { reference, boundaries: decoder.boundaries, models, scrapes: decoder.tips };
    Ok(Decoded { scrapes: decoder.scrapes, tips })
}

/// A payload's chunks, all of them.
///
/// # Errors
/// [`Corrupt`] where it is shorter or longer than its index says.
pub fn all_chunks<'a>(front: &Front, payload: &'a [u8]) -> Result<Vec<(usize, &'a [u8])>, Corrupt> {
    let mut rest = payload.get(front.len..).unwrap_or_default();
    let mut chunks = Vec::with_capacity(front.index.chunks.len());
    for (at, chunk) in front.index.chunks.iter().enumerate() {
        let len = usize::try_from(chunk.len).unwrap_or(usize::MAX);
        let (bytes, more) = rest.split_at_checked(len).ok_or(Corrupt::new("it ends too early"))?;
        chunks.push((at, bytes));
        rest = more;
    }
    if rest.is_empty() { Ok(chunks) } else { Err(Corrupt::new("it does not end where it should")) }
}

fn resolve_layouts(
    references: &[LayoutRef],
    layouts: &dyn Fn(LayoutId) -> Option<Arc<Layout>>,
) -> Result<Vec<(LayoutId, Arc<Layout>)>, WalError> {
    let resolve = |reference: &LayoutRef| {
        let stored = match reference.stored {
            Some(id) => Some(layouts(id).ok_or(WalError::MissingLayout(id))?),
            None => None,
        };
        let id = composed_id(reference.stored, reference.tail.as_deref());
        let tail = match &reference.tail {
            Some(tail) => {
                let mut cursor = Cursor::new(tail);
                let tail = Layout::decode_body(&mut cursor)?;
                cursor.end()?;
                Some(tail)
            }
            None => None,
        };
        let layout = match (stored, tail) {
            (Some(stored), Some(tail)) => Arc::new(stored.with_tail(&tail)),
            (Some(stored), None) => stored,
            (None, tail) => Arc::new(tail.unwrap_or_default()),
        };
        Ok((id, layout))
    };
    references.iter().map(resolve).collect()
}

struct Decoder<'a> {
    front: &'a Front,
    bases: &'a [Arc<Tips>],
    layouts: Vec<(LayoutId, Arc<Layout>)>,
    boundaries: Vec<String>,
    tips: Vec<Tip>,
    scrapes: Vec<DecodedScrape>,
}

impl Decoder<'_> {
    /// Finds out a scrape's source, layout and chunks' members.
    fn begin(&mut self, head: &Head) -> Result<(), WalError> {
        let before = match head.from {
            From::Nothing => None,
            From::Earlier(earlier) => self.tips.get(earlier),
            From::Base { base, scrape } => {
                let base = self.bases.get(base).filter(|base| base.boundaries == self.boundaries);
                base.and_then(|base| base.scrapes.get(scrape))
            }
        };
        if before.is_none() && head.from != From::Nothing {
            return Err(Corrupt::new("a scrape refers to an earlier one that is not there").into());
        }
        let source = head.source.or(before.map(|tip| tip.source));
        let source = source.ok_or(Corrupt::new("a scrape has no source"))?;
        let layout = match head.layout {
            Some(at) => self.layouts.get(at).map(|(id, layout)| (*id, Arc::clone(layout))),
            None => before.map(|tip| (tip.layout_id, Arc::clone(&tip.layout))),
        };
        let (layout_id, layout) = layout.ok_or(Corrupt::new("a layout is out of bounds"))?;
        let known = before.filter(|tip| tip.layout_id == layout_id).map(|tip| &tip.members);
        let known = known
            .or_else(|| self.tips.iter().rfind(|tip| tip.layout_id == layout_id).map(|tip| &tip.members));
        let members = match known {
            Some(members) => Arc::clone(members),
            None => Arc::new(Members::of(&layout, &self.boundaries)),
        };
        if head.samples > layout.series.len() {
            return Err(Corrupt::new("a count is out of bounds").into());
        }
        self.scrapes.push(DecodedScrape {
            source,
            timestamp: head.timestamp,
            outcome: head.outcome.clone(),
            layout: Arc::clone(&layout),
            layout_id,
            samples: head.samples,
            coverage: if head.partial { Coverage::Partial } else { Coverage::Complete },
            present: Vec::new(),
            values: Vec::new(),
            explicit: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
        });
        self.tips.push(Tip { source, layout_id, layout, members, states: BTreeMap::new() });
        Ok(())
    }

    /// Decodes one chunk of all scrapes.
    fn chunk(
        &mut self,
        chunk: usize,
        bytes: &[u8],
        parts: &mut [Vec<(usize, Part)>],
    ) -> Result<Models, WalError> {
        let known = self.front.index.chunks.get(chunk).ok_or(Corrupt::new("there is no such chunk"))?;
        if bytes.len() as u64 != known.len
            || self.front.index.chunks.len() > 1 && xxh3_64(bytes) != known.checksum
        {
            return Err(Corrupt::new("the checksum of a chunk is wrong").into());
        }
        let missing = |base: &Arc<Tips>| WalError::MissingBase(base.reference.key.clone());
        let mut models = match self.bases.first() {
            Some(base) => base.models.get(&chunk).ok_or_else(|| missing(base))?.aged(),
            None => Models::default(),
        };
        let mut coder = BitReader::new(bytes);
        let mut running: BTreeMap<usize, States> = BTreeMap::new();
        let mut places = 0usize;
        for (at, (head, part)) in self.front.heads.scrapes.iter().zip(parts).enumerate() {
            let mut states = match head.from {
                From::Nothing => States::default(),
                From::Earlier(earlier) => {
                    running.remove(&earlier).ok_or(Corrupt::new("two scrapes follow the same one"))?
                }
                From::Base { base, scrape } => {
                    let base = self.bases.get(base).ok_or(Corrupt::new("a base is out of bounds"))?;
                    let states = base.scrapes.get(scrape).and_then(|tip| tip.states.get(&chunk));
                    states.ok_or_else(|| missing(base))?.clone()
                }
            };
            let series = self.tips.get(at).map_or(0, |tip| tip.members.len(chunk));
            places = places.saturating_add(if head.sparse { head.samples } else { series });
            if places > PLACES_MAX {
                return Err(Corrupt::new("there are too many samples").into());
            }
            let shape = Shape {
                series,
                sparse: head.sparse,
                timed: head.timed,
                exemplars: head.exemplars,
                timestamp: head.timestamp,
            };
            part.push((chunk, code_part(&mut coder, &mut models, &mut states, shape, &Part::default())));
            coder.check()?;
            running.insert(at, states);
        }
        coder.end()?;
        for (at, states) in running {
            if let Some(tip) = self.tips.get_mut(at)
                && self.front.heads.scrapes.get(at).is_some_and(|head| !head.partial)
            {
                tip.states.insert(chunk, states);
            }
        }
        Ok(models)
    }

    /// Puts a scrape's parts together.
    fn assemble(&mut self, at: usize, parts: Vec<(usize, Part)>, complete: bool) -> Result<(), WalError> {
        let (Some(scrape), Some(tip)) = (self.scrapes.get_mut(at), self.tips.get(at)) else { return Ok(()) };
        let samples: usize = parts.iter().map(|(_, part)| part.ranks.len()).sum();
        if samples > scrape.samples || complete && samples != scrape.samples {
            return Err(Corrupt::new("a scrape has another number of samples").into());
        }
        let single = self.boundaries.is_empty();
        for (chunk, part) in parts {
            let members = tip.members.chunks.get(chunk).map_or(&[][..], Vec::as_slice);
            // Ranks are below the number of members.
            let series = |rank: u32| members.get(rank as usize).copied().unwrap_or(rank);
            scrape
                .exemplars
                .extend(part.exemplars.into_iter().map(|(rank, exemplar)| (series(rank), exemplar)));
            if single && part.histograms.is_empty() {
                (scrape.present, scrape.values, scrape.explicit) = (part.ranks, part.values, part.times);
                continue;
            }
            let mut histograms = part.histograms.into_iter().peekable();
            let mut times = part.times.into_iter().peekable();
            for (index, (rank, value)) in (0u32..).zip(part.ranks.into_iter().zip(part.values)) {
                let timestamp = times.next_if(|(at, _)| *at == index).map(|(_, timestamp)| timestamp);
                if let Some((_, value)) = histograms.next_if(|(at, _)| *at == index) {
                    scrape.histograms.push(DecodedHistogram { series: series(rank), value, timestamp });
                    continue;
                }
                scrape.explicit.extend(timestamp.map(|timestamp| (scrape.present.len() as u32, timestamp)));
                scrape.present.push(series(rank));
                scrape.values.push(value);
            }
        }
        if !single {
            sort(scrape);
        }
        Ok(())
    }
}

/// Brings the parts of several chunks into the order of the layout: where it is not sorted by name, they are not.
fn sort(scrape: &mut DecodedScrape) {
    scrape.histograms.sort_by_key(|histogram| histogram.series);
    scrape.exemplars.sort_by_key(|(series, _)| *series);
    if scrape.present.is_sorted() {
        return;
    }
    let explicit: BTreeMap<u32, TimestampMs> = scrape.explicit.drain(..).collect();
    let columns = std::mem::take(&mut scrape.present).into_iter().zip(std::mem::take(&mut scrape.values));
    let mut rows: Vec<(u32, f64, Option<TimestampMs>)> = (0u32..)
        .zip(columns)
        .map(|(index, (series, value))| (series, value, explicit.get(&index).copied()))
        .collect();
    rows.sort_by_key(|(series, _, _)| *series);
    for (index, (series, value, timestamp)) in (0u32..).zip(rows) {
        scrape.explicit.extend(timestamp.map(|timestamp| (index, timestamp)));
        scrape.present.push(series);
        scrape.values.push(value);
    }
}
