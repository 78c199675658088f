//! The functions of PromQL and what they take. Source: `promql/parser/functions.go`.

use super::ast::ValueType;
use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// A function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, which is case-sensitive.
    pub name: &'static str,
    /// The types of its arguments, those that may be left out included.
    pub arg_types: &'static [ValueType],
    /// How far the number of arguments may differ.
    pub variadic: Variadic,
    /// What it gives.
    pub return_type: ValueType,
    /// Whether it needs `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    /// As many as it has argument types.
    No,
    /// One less than it has argument types, and up to so many more; the last type repeats.
    UpTo(usize),
    /// One less than it has argument types, or more; the last type repeats.
    Any,
}

/// The function of a name.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().and_then(|at| FUNCTIONS.get(at))
}

/// All functions, by name.
#[must_use]
pub fn all() -> &'static [Function] {
    FUNCTIONS
}

const fn stable(name: &'static str, arg_types: &'static [ValueType], return_type: ValueType) -> Function {
    Function { name, arg_types, variadic: Variadic::No, return_type, experimental: false }
}

const fn experimental(
    name: &'static str,
    arg_types: &'static [ValueType],
    return_type: ValueType,
) -> Function {
    Function { name, arg_types, variadic: Variadic::No, return_type, experimental: true }
}

impl Function {
    const fn up_to(mut self, more: usize) -> Self {
        self.variadic = Variadic::UpTo(more);
        self
    }

    const fn any(mut self) -> Self {
        self.variadic = Variadic::Any;
        self
    }
}

static FUNCTIONS: &[Function] = &[
    stable("abs", &[V], V),
    stable("absent", &[V], V),
    stable("absent_over_time", &[M], V),
    stable("acos", &[V], V),
    stable("acosh", &[V], V),
    stable("asin", &[V], V),
    stable("asinh", &[V], V),
    stable("atan", &[V], V),
    stable("atanh", &[V], V),
    stable("avg_over_time", &[M], V),
    stable("ceil", &[V], V),
    stable("changes", &[M], V),
    stable("clamp", &[V, S, S], V),
    stable("clamp_max", &[V, S], V),
    stable("clamp_min", &[V, S], V),
    stable("cos", &[V], V),
    stable("cosh", &[V], V),
    stable("count_over_time", &[M], V),
    stable("day_of_month", &[V], V).up_to(1),
    stable("day_of_week", &[V], V).up_to(1),
    stable("day_of_year", &[V], V).up_to(1),
    stable("days_in_month", &[V], V).up_to(1),
    stable("deg", &[V], V),
    stable("delta", &[M], V),
    stable("deriv", &[M], V),
    experimental("double_exponential_smoothing", &[M, S, S], V),
    experimental("end", &[], S),
    stable("exp", &[V], V),
    stable("first_over_time", &[M], V),
    stable("floor", &[V], V),
    stable("histogram_avg", &[V], V),
    stable("histogram_count", &[V], V),
    stable("histogram_fraction", &[S, S, V], V),
    stable("histogram_quantile", &[S, V], V),
    experimental("histogram_quantiles", &[V, T, S, S], V).up_to(9),
    stable("histogram_stddev", &[V], V),
    stable("histogram_stdvar", &[V], V),
    stable("histogram_sum", &[V], V),
    stable("hour", &[V], V).up_to(1),
    stable("idelta", &[M], V),
    stable("increase", &[M], V),
    experimental("info", &[V, V], V).up_to(1),
    stable("irate", &[M], V),
    stable("label_join", &[V, T, T, T], V).any(),
    stable("label_replace", &[V, T, T, T, T], V),
    stable("last_over_time", &[M], V),
    stable("ln", &[V], V),
    stable("log10", &[V], V),
    stable("log2", &[V], V),
    experimental("mad_over_time", &[M], V),
    experimental("max_of", &[S, S], S),
    stable("max_over_time", &[M], V),
    experimental("min_of", &[S, S], S),
    stable("min_over_time", &[M], V),
    stable("minute", &[V], V).up_to(1),
    stable("month", &[V], V).up_to(1),
    stable("pi", &[], S),
    stable("predict_linear", &[M, S], V),
    stable("present_over_time", &[M], V),
    stable("quantile_over_time", &[S, M], V),
    stable("rad", &[V], V),
    experimental("range", &[], S),
    stable("rate", &[M], V),
    stable("resets", &[M], V),
    stable("round", &[V, S], V).up_to(1),
    stable("scalar", &[V], S),
    stable("sgn", &[V], V),
    stable("sin", &[V], V),
    stable("sinh", &[V], V),
    stable("sort", &[V], V),
    experimental("sort_by_label", &[V, T], V).any(),
    experimental("sort_by_label_desc", &[V, T], V).any(),
    stable("sort_desc", &[V], V),
    stable("sqrt", &[V], V),
    experimental("start", &[], S),
    experimental("start_timestamp", &[V], V),
    stable("stddev_over_time", &[M], V),
    stable("stdvar_over_time", &[M], V),
    experimental("step", &[], S),
    stable("sum_over_time", &[M], V),
    stable("tan", &[V], V),
    stable("tanh", &[V], V),
    stable("time", &[], S),
    stable("timestamp", &[V], V),
    experimental("ts_of_first_over_time", &[M], V),
    experimental("ts_of_last_over_time", &[M], V),
    experimental("ts_of_max_over_time", &[M], V),
    experimental("ts_of_min_over_time", &[M], V),
    stable("vector", &[S], V),
    stable("year", &[V], V).up_to(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_functions_are_found_by_name() {
        assert_eq!(all().len(), 90);
        assert_eq!(all().iter().filter(|function| function.experimental).count(), 17);
        for function in all() {
            assert_eq!(lookup(function.name), Some(function));
        }
        assert_eq!(lookup("Rate"), None);
        assert_eq!(lookup("label_join").map(|function| function.variadic), Some(Variadic::Any));
    }
}
