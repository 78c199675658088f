//! Thrift's compact protocol, as far as Parquet's metadata needs it: a bounded reader into a tree, and a few writers.
//!
//! Our own, because what is read here comes from outside: the tree is never larger than a small multiple of its bytes,
//! its depth is bounded, and nothing panics.

/// Depth of the deepest tree that is accepted; Parquet's own metadata stays below 8.
const DEPTH_MAX: usize = 16;

/// A value of a Thrift structure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Binary(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Struct<'a>),
}

/// The fields of a structure by their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Struct<'a> {
    fields: Vec<(i16, Value<'a>)>,
}

impl<'a> Struct<'a> {
    pub(super) fn get(&self, id: i16) -> Option<&Value<'a>> {
        self.fields.iter().find(|(field, _)| *field == id).map(|(_, value)| value)
    }

    pub(super) fn int(&self, id: i16) -> Option<i64> {
        if let Some(Value::Int(value)) = self.get(id) { Some(*value) } else { None }
    }

    /// An integer that must not be negative.
    pub(super) fn size(&self, id: i16) -> Option<usize> {
        self.int(id).and_then(|value| usize::try_from(value).ok())
    }

    pub(super) fn binary(&self, id: i16) -> Option<&'a [u8]> {
        if let Some(Value::Binary(value)) = self.get(id) { Some(value) } else { None }
    }

    pub(super) fn structure(&self, id: i16) -> Option<&Struct<'a>> {
        if let Some(Value::Struct(value)) = self.get(id) { Some(value) } else { None }
    }

    /// The structures of a list; `None` where the field is no list, or a list of something else.
    pub(super) fn structures(&self, id: i16) -> Option<Vec<&Struct<'a>>> {
        let Some(Value::List(values)) = self.get(id) else { return None };
        values.iter().map(|value| if let Value::Struct(value) = value { Some(value) } else { None }).collect()
    }
}

/// Reads the structure at the front of `bytes`; gives it and how many bytes it took. `None` where it is malformed.
pub(super) fn read(bytes: &[u8]) -> Option<(Struct<'_>, usize)> {
    let mut reader = Reader { rest: bytes };
    let structure = reader.structure(0)?;
    Some((structure, bytes.len() - reader.rest.len()))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Option<Struct<'a>> {
        let mut fields = Vec::new();
        let mut id = 0i16;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(Struct { fields });
            }
            id = match header >> 4 {
                0 => i16::try_from(self.zigzag()?).ok()?,
                delta => id.checked_add(i16::from(delta))?,
            };
            let value = match header & 0x0f {
                1 => Value::Bool(true),
                2 => Value::Bool(false),
                kind => self.value(kind, depth)?,
            };
            fields.push((id, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Value<'a>> {
        if depth >= DEPTH_MAX {
            return None;
        }
        Some(match kind {
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()? as i8)),
            4..=6 => Value::Int(self.zigzag()?),
            7 => Value::Double(f64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            8 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Binary(self.take(len)?)
            }
            9 | 10 => Value::List(self.list(depth)?),
            12 => Value::Struct(self.structure(depth + 1)?),
            _ => return None,
        })
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Value<'a>>> {
        let header = self.byte()?;
        let len = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            short => usize::from(short),
        };
        // Every element takes at least a byte.
        if len > self.rest.len() {
            return None;
        }
        let mut values = Vec::with_capacity(len);
        for _ in 0..len {
            values.push(self.value(header & 0x0f, depth + 1)?);
        }
        Some(values)
    }
}

/// Appends an unsigned varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a 32-bit integer field whose id is `delta` (1 to 15) more than the one before.
pub(super) fn put_i32_field(out: &mut Vec<u8>, delta: u8, value: i32) {
    out.push(delta << 4 | 5);
    put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a length and the bytes.
pub(super) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_by_id() {
        let mut bytes = Vec::new();
        put_i32_field(&mut bytes, 1, -3);
        put_i32_field(&mut bytes, 3, 70_000);
        bytes.extend_from_slice(&[0x18, 2, b'h', b'i', 0x1c, 0x11, 0, 0x19, 0x25, 2, 4, 0, 99]);
        let (found, len) = read(&bytes).unwrap();
        assert_eq!((found.int(1), found.int(4), found.binary(5)), (Some(-3), Some(70_000), Some(&b"hi"[..])));
        assert_eq!(found.structure(6).and_then(|inner| inner.get(1)), Some(&Value::Bool(true)));
        assert_eq!(found.get(7), Some(&Value::List(vec![Value::Int(1), Value::Int(2)])));
        assert_eq!(len, bytes.len() - 1);
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(read(&[0x1c; 10_000]), None);
        assert_eq!(read(&[0x19; 10_000]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
