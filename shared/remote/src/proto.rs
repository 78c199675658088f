//! The protobuf wire format: fields of a message, borrowed. Depth is that of the code which reads: nothing recurses.

/// Bytes that are no protobuf message, or not the one that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends within a field.
    #[error("unexpected EOF")]
    Eof,
    /// A varint of more than ten bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field number of 0, or one beyond what protobuf allows.
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    /// Groups, which neither version uses, or a wire type that does not exist.
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    /// A field of another type than its message declares.
    #[error("proto: wrong wireType for field {field} of {message}")]
    FieldType {
        /// The field's number.
        field: u32,
        /// The message.
        message: &'static str,
    },
}

/// A field's value as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    value: Value<'a>,
    message: &'static str,
}

/// The fields of a message in order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`; `message` is what errors call it.
    pub(crate) fn of(bytes: &'a [u8], message: &'static str) -> Self {
        Self { rest: bytes, message }
    }

    /// The next field; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed::Tag(tag))?;
        let value = match (tag & 7) as u8 {
            0 => Value::Varint(take_varint(&mut self.rest)?),
            1 => Value::Fixed64(take_fixed64(&mut self.rest)?),
            2 => {
                let length = usize::try_from(take_varint(&mut self.rest)?).map_err(|_| Malformed::Eof)?;
                Value::Bytes(take(&mut self.rest, length)?)
            }
            5 => {
                take(&mut self.rest, 4)?;
                Value::Fixed32
            }
            other => return Err(Malformed::WireType(other)),
        };
        Ok(Some(Field { number, value, message: self.message }))
    }
}

impl<'a> Field<'a> {
    /// A message, a string or bytes.
    pub(crate) fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type()),
        }
    }

    /// `uint64`, or another type that is written like it.
    pub(crate) fn varint(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    /// `int64`.
    pub(crate) fn int64(&self) -> Result<i64, Malformed> {
        Ok(self.varint()?.cast_signed())
    }

    /// `uint32`, cut off as Go does.
    pub(crate) fn uint32(&self) -> Result<u32, Malformed> {
        Ok(self.varint()? as u32)
    }

    /// `sint32`.
    pub(crate) fn sint32(&self) -> Result<i32, Malformed> {
        Ok(zigzag(u64::from(self.uint32()?)) as i32)
    }

    /// `double`.
    pub(crate) fn double(&self) -> Result<f64, Malformed> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type()),
        }
    }

    /// The items of `repeated` varints, whether packed or not.
    pub(crate) fn varints(&self) -> Result<Varints<'a>, Malformed> {
        match self.value {
            Value::Varint(value) => Ok(Varints { first: Some(value), rest: &[] }),
            Value::Bytes(rest) => Ok(Varints { first: None, rest }),
            _ => Err(self.wrong_type()),
        }
    }

    /// The items of `repeated double`, whether packed or not.
    pub(crate) fn doubles(&self) -> Result<Doubles<'a>, Malformed> {
        match self.value {
            Value::Fixed64(bits) => Ok(Doubles { first: Some(bits), rest: &[] }),
            Value::Bytes(rest) => Ok(Doubles { first: None, rest }),
            _ => Err(self.wrong_type()),
        }
    }

    fn wrong_type(&self) -> Malformed {
        Malformed::FieldType { field: self.number, message: self.message }
    }
}

/// Varints one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Varints<'a> {
    first: Option<u64>,
    rest: &'a [u8],
}

impl Iterator for Varints<'_> {
    type Item = Result<u64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.rest.is_empty() {
            return None;
        }
        let value = take_varint(&mut self.rest);
        if value.is_err() {
            self.rest = &[];
        }
        Some(value)
    }
}

/// Doubles one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Doubles<'a> {
    first: Option<u64>,
    rest: &'a [u8],
}

impl Iterator for Doubles<'_> {
    type Item = Result<f64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(f64::from_bits(first)));
        }
        if self.rest.is_empty() {
            return None;
        }
        let bits = take_fixed64(&mut self.rest);
        if bits.is_err() {
            self.rest = &[];
        }
        Some(bits.map(f64::from_bits))
    }
}

/// The signed number that protobuf's `sint` types write as `value`.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Malformed::Eof)?;
    *rest = left;
    Ok(taken)
}

fn take_fixed64(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let (bytes, left) = rest.split_first_chunk::<8>().ok_or(Malformed::Eof)?;
    *rest = left;
    Ok(u64::from_le_bytes(*bytes))
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first().ok_or(Malformed::Eof)?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::Overflow)
}
