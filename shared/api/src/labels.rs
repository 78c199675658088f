//! `/series`, `/labels`, `/label/<name>/values`.

use storage::LabelQuery;

use crate::params::Params;
use crate::query::label_range;
use crate::route::Answer;
use crate::{Api, ApiError, json};

const TRUNCATED: &str = "results truncated due to limit";

impl Api {
    /// The label sets of the series that match.
    pub(crate) async fn series(&self, params: &Params) -> Result<Answer, ApiError> {
        params.check_form()?;
        if params.all("match[]").next().is_none() {
            return Err(ApiError::bad_data("no match[] parameter provided"));
        }
        let limit = params.limit()?;
        let (min_time, max_time) = label_range(params)?;
        let matcher_sets =
            params.matcher_sets().map_err(|error| ApiError::invalid_parameter("match[]", error))?;
        let query = LabelQuery { matcher_sets, min_time, max_time, limit: one_more(limit) };
        let series = self.queryable.series(&query).await?;
        Ok(list(series, limit, json::labels))
    }

    /// The label names of the series that match.
    pub(crate) async fn label_names(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = params.limit()?;
        let query = label_query(params, limit)?;
        let names = self.queryable.label_names(&query).await?;
        Ok(list(names, limit, |out, name| json::string(out, name)))
    }

    /// The values of one label on the series that match.
    pub(crate) async fn label_values(&self, name: &str, params: &Params) -> Result<Answer, ApiError> {
        let name = unescape_name(name);
        if name.is_empty() {
            return Err(ApiError::bad_data(format!("invalid label name: {}", model::labels::quote(&name))));
        }
        let limit = params.limit()?;
        let query = label_query(params, limit)?;
        let values = self.queryable.label_values(&name, &query).await?;
        Ok(list(values, limit, |out, value| json::string(out, value)))
    }
}

fn label_query(params: &Params, limit: usize) -> Result<LabelQuery, ApiError> {
    let (min_time, max_time) = label_range(params)?;
    let matcher_sets = params.matcher_sets().map_err(ApiError::bad_data)?;
    Ok(LabelQuery { matcher_sets, min_time, max_time, limit: one_more(limit) })
}

/// One more than asked for, so that a truncated answer can be told from a complete one.
fn one_more(limit: usize) -> usize {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}

fn list<T>(mut items: Vec<T>, limit: usize, item: impl FnMut(&mut String, &T)) -> Answer {
    let truncated = limit > 0 && items.len() > limit;
    if truncated {
        items.truncate(limit);
    }
    let mut data = String::new();
    json::array(&mut data, &items, item);
    let mut answer = Answer::raw(data);
    if truncated {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    answer
}

/// Undoes the escaping of UTF-8 names in URLs: `U__my_2e_label` is `my.label`. Anything else is itself.
fn unescape_name(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let Some((code, after)) = rest.split_once('_') else { return name.to_owned() };
        let Some(c) = u32::from_str_radix(code, 16).ok().and_then(char::from_u32) else {
            return name.to_owned();
        };
        out.push(c);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::unescape_name;

    #[test]
    fn escaped_utf8_names_are_unescaped() {
        assert_eq!(unescape_name("U__http_2e_status__code"), "http.status_code");
        assert_eq!(unescape_name("job"), "job");
        assert_eq!(unescape_name("U__bad_zz_"), "U__bad_zz_");
    }
}
