//! Columns of texts as their dictionary and a number a value: what many rows share is decoded, kept and compared once.

use super::encoding::hybrid;
use super::page::{DICTIONARY_PAGE, Levels, PLAIN, PLAIN_DICTIONARY, Page, RLE_DICTIONARY, take_levels};

/// Texts in one allocation, named by their numbers.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
    /// Where each text ends.
    ends: Vec<u32>,
}

impl Texts {
    /// The text number `id`.
    pub(super) fn get(&self, id: u32) -> Option<&str> {
        let at = id as usize;
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.all.get(start as usize..*self.ends.get(at)? as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|id| self.get(id as u32))
    }

    /// Whether any text is `wanted`.
    pub(super) fn contains(&self, wanted: &str) -> bool {
        let mut start = 0usize;
        self.ends.iter().any(|end| {
            let range = std::mem::replace(&mut start, *end as usize)..*end as usize;
            range.len() == wanted.len() && self.all.get(range) == Some(wanted)
        })
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.all.capacity() + 4 * self.ends.capacity()
    }

    /// Adds the `count` texts that fill `bytes`, each behind its length.
    fn extend_plain(&mut self, bytes: &[u8], count: usize) -> Option<()> {
        let mut rest = bytes;
        self.ends.reserve(count.min(bytes.len() / 4));
        self.all.reserve(bytes.len().saturating_sub(count.saturating_mul(4)));
        for _ in 0..count {
            let (len, after) = rest.split_first_chunk::<4>()?;
            let (text, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            self.all.push_str(std::str::from_utf8(text).ok()?);
            self.ends.push(u32::try_from(self.all.len()).ok()?);
            rest = after;
        }
        rest.is_empty().then_some(())
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut all = Self::default();
        for text in texts {
            all.all.push_str(text);
            all.ends.push(all.all.len() as u32);
        }
        all
    }
}

/// Numbers below a bound that is often small: half the memory where it is.
#[derive(Debug)]
pub(super) enum Numbers {
    Small(Vec<u16>),
    Large(Vec<u32>),
}

impl Numbers {
    /// All of which must be below `bound`; else the last bits are lost.
    pub(super) fn new(numbers: Vec<u32>, bound: usize) -> Self {
        if bound <= 1 << 16 {
            Self::Small(numbers.into_iter().map(|number| number as u16).collect())
        } else {
            Self::Large(numbers)
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<u32> {
        match self {
            Self::Small(numbers) => numbers.get(at).map(|number| u32::from(*number)),
            Self::Large(numbers) => numbers.get(at).copied(),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Small(numbers) => 2 * numbers.capacity(),
            Self::Large(numbers) => 4 * numbers.capacity(),
        }
    }
}

/// A column chunk of texts, or of lists of them.
#[derive(Debug)]
pub(super) struct TextColumn {
    /// The dictionary. Not necessarily without repetition.
    pub(super) texts: Texts,
    /// Which text each value is.
    pub(super) ids: Vec<u32>,
    /// Where each row's values begin in `ids`, and the end.
    pub(super) starts: Vec<u32>,
}

/// All rows of a column chunk of `rows` rows; `levels` are those of a required text or of a list that is not null.
pub(super) fn read_texts(mut bytes: &[u8], levels: Levels, rows: usize) -> Result<TextColumn, &'static str> {
    let mut column = TextColumn { texts: Texts::default(), ids: Vec::new(), starts: vec![0] };
    let mut dictionary_len = None;
    while !bytes.is_empty() {
        let (page, len) = Page::read(bytes)?;
        bytes = bytes.get(len..).unwrap_or_default();
        if page.kind == DICTIONARY_PAGE {
            if dictionary_len.is_some() || column.texts.len() > 0 {
                return Err("a dictionary is not where it should be");
            }
            if !matches!(page.encoding, PLAIN | PLAIN_DICTIONARY) {
                return Err("the encoding of a dictionary is not known");
            }
            column.texts.extend_plain(&page.body, page.count).ok_or("a dictionary is malformed")?;
            dictionary_len = Some(page.count);
        } else {
            column.append(&page, levels, dictionary_len, rows)?;
        }
    }
    if column.starts.len() == rows + 1 { Ok(column) } else { Err("a column has another number of rows") }
}

impl TextColumn {
    fn append(
        &mut self,
        page: &Page,
        levels: Levels,
        dictionary_len: Option<usize>,
        rows_max: usize,
    ) -> Result<(), &'static str> {
        let mut body = page.body.as_slice();
        let present = self.append_levels(&mut body, page.count, levels, rows_max)?;
        let malformed = "the values of a page are malformed";
        match page.encoding {
            // Written where a dictionary would have become too large.
            PLAIN => {
                let first = u32::try_from(self.texts.len()).map_err(|_| malformed)?;
                self.texts.extend_plain(body, present).ok_or(malformed)?;
                self.ids.extend((first..).take(present));
            }
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let len = dictionary_len.ok_or("a dictionary is missing")?;
                let Some((width, indexes)) = body.split_first() else {
                    return if present == 0 { Ok(()) } else { Err(malformed) };
                };
                let ids = hybrid(indexes, *width, present).ok_or(malformed)?;
                if ids.iter().any(|id| *id as usize >= len) {
                    return Err(malformed);
                }
                self.ids.extend(ids);
            }
            _ => return Err("the encoding of a page is not known"),
        }
        Ok(())
    }

    /// Adds the rows of a page; gives how many values they have.
    fn append_levels(
        &mut self,
        body: &mut &[u8],
        count: usize,
        levels: Levels,
        rows_max: usize,
    ) -> Result<usize, &'static str> {
        const MALFORMED: &str = "the levels of a page are malformed";
        let repetitions = take_levels(body, levels.repetition, count).ok_or(MALFORMED)?;
        let definitions = take_levels(body, levels.definition, count).ok_or(MALFORMED)?;
        let first = self.ids.len();
        let mut present = 0usize;
        for index in 0..count {
            let starts_row = repetitions.as_ref().is_none_or(|levels| levels.get(index) == Some(&0));
            let is_present = definitions.as_ref().is_none_or(|found| {
                found.get(index).is_some_and(|level| *level == u32::from(levels.definition))
            });
            if starts_row {
                if self.starts.len() > rows_max {
                    return Err("a page has too many rows");
                }
                self.starts.push(0);
            } else if index == 0 {
                return Err("a page begins within a row");
            }
            present += usize::from(is_present);
            let end = u32::try_from(first + present).map_err(|_| MALFORMED)?;
            if let Some(last) = self.starts.last_mut() {
                *last = end;
            }
        }
        Ok(present)
    }
}
