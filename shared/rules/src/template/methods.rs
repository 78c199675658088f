//! Methods of Go's `time.Time` and `time.Duration`.

use super::functions::{Signature, Type};
use super::gotime;
use super::value::{IntKind, Value};

const NONE: &[Type] = &[];

/// What the method `name` of `receiver` takes; `None` where it has no such method.
pub(super) fn signature(receiver: &Value, name: &str) -> Option<Signature> {
    let fixed: &'static [Type] = match receiver.as_concrete() {
        Value::Time { .. } => match name {
            "Format" => &[Type::Text],
            "Add" | "Round" | "Truncate" => &[Type::Duration],
            "AddDate" => &[Type::Int, Type::Int, Type::Int],
            "After" | "Before" | "Compare" | "Equal" | "Sub" => &[Type::Time],
            "Day" | "Hour" | "IsZero" | "Minute" | "Month" | "Nanosecond" | "Second" | "String" | "UTC"
            | "Unix" | "UnixMicro" | "UnixMilli" | "UnixNano" | "Weekday" | "Year" | "YearDay" => NONE,
            _ => return None,
        },
        Value::Duration { .. } => match name {
            "Round" | "Truncate" => &[Type::Duration],
            "Abs" | "Hours" | "Microseconds" | "Milliseconds" | "Minutes" | "Nanoseconds" | "Seconds"
            | "String" => NONE,
            _ => return None,
        },
        Value::Int(_, IntKind::Month | IntKind::Weekday) if name == "String" => NONE,
        _ => return None,
    };
    Some(Signature { fixed, variadic: None })
}

/// Calls the method, whose arguments have been checked against its signature.
pub(super) fn call(receiver: &Value, name: &str, args: &[Value]) -> Value {
    match receiver.as_concrete() {
        Value::Time { ns, .. } => time_method(*ns, name, args),
        Value::Duration { ns, .. } => duration_method(*ns, name, args),
        value => value.stringer().map_or(Value::Invalid, Value::string),
    }
}

fn int(value: i64) -> Value {
    Value::int(value)
}

fn int64(value: i128) -> Value {
    Value::Int(value as i64, IntKind::Int64)
}

/// The number in an argument, in ns where it is a time or a duration.
fn number(args: &[Value], at: usize) -> i128 {
    match args.get(at).map(Value::as_concrete) {
        Some(Value::Duration { ns, .. }) => i128::from(*ns),
        Some(Value::Time { ns, .. }) => *ns,
        Some(Value::Int(value, _)) => i128::from(*value),
        _ => 0,
    }
}

/// Year 1 to the epoch: `Round` and `Truncate` count from there.
const ZERO_TIME_NS: i128 = -62_135_596_800_000_000_000;

fn time_method(ns: i128, name: &str, args: &[Value]) -> Value {
    let civil = gotime::civil(ns);
    let time = |ns: i128| Value::Time { ns, pointer: false };
    let other = number(args, 0);
    match name {
        "Format" => {
            let layout = match args.first().map(Value::as_concrete) {
                Some(Value::String(layout)) => layout,
                _ => "",
            };
            Value::string(gotime::format(ns, layout))
        }
        "String" => Value::string(gotime::time_string(ns)),
        "Add" => time(clamp(ns + other)),
        "Truncate" => time(if other > 0 { ns - (ns - ZERO_TIME_NS).rem_euclid(other) } else { ns }),
        "Round" => time(round(ns - ZERO_TIME_NS, other) + ZERO_TIME_NS),
        "AddDate" => {
            let bounded = |at: usize| number(args, at).clamp(-1_000_000, 1_000_000) as i64;
            let days = gotime::days_from_civil(
                civil.year + bounded(0),
                civil.month + bounded(1),
                civil.day + bounded(2),
            );
            let in_day = ns.rem_euclid(86_400_000_000_000);
            time(clamp(i128::from(days) * 86_400_000_000_000 + in_day))
        }
        "Sub" => Value::Duration {
            ns: (ns - other).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
            pointer: false,
        },
        "Before" => Value::Bool(ns < other),
        "After" => Value::Bool(ns > other),
        "Equal" => Value::Bool(ns == other),
        "Compare" => int(ns.cmp(&other) as i64),
        "IsZero" => Value::Bool(ns == ZERO_TIME_NS),
        "UTC" => time(ns),
        "Unix" => int64(ns.div_euclid(1_000_000_000)),
        "UnixMilli" => int64(ns.div_euclid(1_000_000)),
        "UnixMicro" => int64(ns.div_euclid(1_000)),
        "UnixNano" => int64(ns),
        "Year" => int(civil.year),
        "Month" => Value::Int(civil.month, IntKind::Month),
        "Day" => int(civil.day),
        "Hour" => int(civil.hour),
        "Minute" => int(civil.minute),
        "Second" => int(civil.second),
        "Nanosecond" => int(civil.nanosecond),
        "Weekday" => Value::Int(civil.weekday, IntKind::Weekday),
        "YearDay" => int(civil.year_day),
        _ => Value::Invalid,
    }
}

/// Keeps a time within some 290,000 years of the epoch, where its arithmetic cannot overflow.
fn clamp(ns: i128) -> i128 {
    const LIMIT: i128 = 9_000_000_000_000 * 1_000_000_000;
    ns.clamp(-LIMIT, LIMIT)
}

/// To the nearest multiple of `unit`, halves away from zero.
fn round(ns: i128, unit: i128) -> i128 {
    if unit <= 0 {
        return ns;
    }
    let rest = ns.abs() % unit;
    let magnitude = if rest * 2 < unit { ns.abs() - rest } else { ns.abs() + unit - rest };
    if ns < 0 { -magnitude } else { magnitude }
}

fn duration_method(ns: i64, name: &str, args: &[Value]) -> Value {
    let wide = i128::from(ns);
    let unit = number(args, 0);
    let duration = |ns: i128| Value::Duration {
        ns: ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
        pointer: false,
    };
    // As Go computes them: whole units and the rest apart.
    let in_units = |unit: i64| Value::Float((ns / unit) as f64 + (ns % unit) as f64 / unit as f64);
    match name {
        "String" => Value::string(gotime::duration_string(ns)),
        "Abs" => duration(wide.abs()),
        "Truncate" => duration(if unit > 0 { wide - wide % unit } else { wide }),
        "Round" => duration(round(wide, unit)),
        "Nanoseconds" => int64(wide),
        "Microseconds" => int64(wide / 1_000),
        "Milliseconds" => int64(wide / 1_000_000),
        "Seconds" => in_units(1_000_000_000),
        "Minutes" => in_units(60_000_000_000),
        "Hours" => in_units(3_600_000_000_000),
        _ => Value::Invalid,
    }
}
