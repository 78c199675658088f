//! Native histograms as text: `FloatHistogram.String` of Prometheus.

mod bounds;

use model::number::format_g;
use model::{FloatHistogram, Span};

/// `{count:2, sum:3, [-0.001,0.001]:1, (1,2]:1}`: buckets that have observations, from the least on.
pub(super) fn text(histogram: &FloatHistogram) -> String {
    let mut parts =
        vec![format!("{{count:{}", format_g(histogram.count)), format!("sum:{}", format_g(histogram.sum))];
    let bound = |index: i64| bound(histogram, index);
    let mut negative: Vec<String> = buckets(&histogram.negative_spans, &histogram.negative_buckets)
        .map(|(index, count)| bucket('[', -bound(index), -bound(index - 1), ')', count))
        .collect();
    negative.reverse();
    parts.extend(negative);
    if histogram.zero_count != 0.0 {
        let threshold = histogram.zero_threshold;
        parts.push(bucket('[', -threshold, threshold, ']', histogram.zero_count));
    }
    let custom = histogram.uses_custom_buckets();
    parts.extend(buckets(&histogram.positive_spans, &histogram.positive_buckets).map(|(index, count)| {
        let open = if custom && index == 0 { '[' } else { '(' };
        bucket(open, bound(index - 1), bound(index), ']', count)
    }));
    format!("{}}}", parts.join(", "))
}

fn bucket(open: char, lower: f64, upper: f64, close: char, count: f64) -> String {
    format!("{open}{},{}{close}:{}", format_g(lower), format_g(upper), format_g(count))
}

/// Index and count of each bucket with observations.
fn buckets<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0i64;
    let indexes = spans.iter().flat_map(move |span| {
        let from = next + i64::from(span.offset);
        next = from + i64::from(span.length);
        from..next
    });
    indexes.zip(counts.iter().copied()).filter(|(_, count)| *count != 0.0)
}

/// The upper bound of a bucket.
fn bound(histogram: &FloatHistogram, index: i64) -> f64 {
    if histogram.uses_custom_buckets() {
        return match usize::try_from(index) {
            Ok(index) => histogram.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    // Of the schema; a histogram that is not sound may have any.
    let schema = histogram.schema.clamp(-16, 8);
    let (fraction, exponent) = if schema < 0 {
        (0, index << -schema)
    } else {
        ((index & ((1 << schema) - 1)) << (8 - schema), index >> schema)
    };
    if fraction == 0 && exponent == 1024 {
        // The bucket below that of the infinities ends at the greatest number.
        return f64::MAX;
    }
    let exponent = i32::try_from(exponent).unwrap_or(if exponent < 0 { -2000 } else { 2000 });
    let fraction =
        usize::try_from(fraction).ok().and_then(|at| bounds::FRACTIONS.get(at)).copied().unwrap_or(0.5);
    // In two steps, for the whole power may be beyond what a double holds while the product is not.
    fraction * 2f64.powi(exponent / 2 + 1) * 2f64.powi(exponent - exponent / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_written_as_prometheus_writes_them() {
        let path = "histogram/json/float_histogram/TestFloatHistogramString_cases.json";
        let Some(cases) = fixtures::json(path) else { return };
        for case in cases.as_array().unwrap() {
            let fields = &case["fh"];
            let float = |name: &str| fields[name].as_f64().unwrap();
            let floats = |name: &str| -> Vec<f64> {
                fields[name].as_array().into_iter().flatten().map(|value| value.as_f64().unwrap()).collect()
            };
            let spans = |name: &str| -> Vec<Span> {
                let spans = fields[name].as_array().into_iter().flatten();
                spans
                    .map(|span| Span {
                        offset: i32::try_from(span["Offset"].as_i64().unwrap()).unwrap(),
                        length: u32::try_from(span["Length"].as_u64().unwrap()).unwrap(),
                    })
                    .collect()
            };
            let histogram = FloatHistogram {
                schema: i32::try_from(fields["Schema"].as_i64().unwrap()).unwrap(),
                zero_threshold: float("ZeroThreshold"),
                zero_count: float("ZeroCount"),
                count: float("Count"),
                sum: float("Sum"),
                positive_spans: spans("PositiveSpans"),
                negative_spans: spans("NegativeSpans"),
                positive_buckets: floats("PositiveBuckets"),
                negative_buckets: floats("NegativeBuckets"),
                custom_values: floats("CustomValues"),
                ..FloatHistogram::default()
            };
            assert_eq!(text(&histogram), case["expected"].as_str().unwrap());
        }
    }

    #[test]
    fn the_outermost_bounds_are_those_of_prometheus() {
        let of = |schema, index| bound(&FloatHistogram { schema, ..FloatHistogram::default() }, index);
        assert_eq!(of(0, 1024), f64::MAX);
        assert_eq!(of(0, 1025), f64::INFINITY);
        assert_eq!(of(8, 1024 * 256), f64::MAX);
        assert_eq!(of(-4, 64), f64::MAX);
        assert_eq!((of(0, 0), of(0, -1074), of(-4, 1)), (1.0, 5e-324, 65536.0));
    }
}
