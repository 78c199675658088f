//! What a file says of the metric family that it is at.

use model::Metadata;
use textparse::{Event, unescape_value};
use tsdb::{Backfill, BackfillFamily};

/// The family of the last `# HELP`, `# TYPE` or `# UNIT`.
#[derive(Debug, Default)]
pub(super) struct Families {
    current: Metadata,
    /// Its name in the import, where that has been told.
    known: Option<BackfillFamily>,
}

impl Families {
    /// Takes note of a line of metadata.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        let (Event::Help { metric, .. } | Event::Type { metric, .. } | Event::Unit { metric, .. }) = event
        else {
            return;
        };
        let Ok(metric) = std::str::from_utf8(metric) else { return };
        let metric = unescape_value(metric);
        if self.current.metric_family != metric {
            self.current = Metadata { metric_family: metric.into_owned(), ..Metadata::default() };
        }
        match event {
            Event::Help { text, .. } => self.current.help = unescape_value(text).into_owned(),
            Event::Type { kind, .. } => self.current.kind = *kind,
            Event::Unit { unit, .. } => self.current.unit = String::from_utf8_lossy(unit).into_owned(),
            Event::Series(_) | Event::Created(_) | Event::Exemplar(_) | Event::Comment(_) => {}
        }
        self.known = None;
    }

    /// The family of a series, if it is the current one.
    pub(super) fn of(
        &mut self,
        metric: &str,
        backfill: &mut Backfill<'_>,
    ) -> Result<Option<BackfillFamily>, String> {
        let family = &self.current.metric_family;
        let is_member = !family.is_empty()
            && metric
                .strip_prefix(family.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
        if !is_member {
            return Ok(None);
        }
        if self.known.is_none() {
            let told = backfill.family(self.current.clone()).map_err(|error| error.to_string())?;
            self.known = Some(told);
        }
        Ok(self.known)
    }

    /// The import has forgotten all families.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}
