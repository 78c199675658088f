//! From usage to money.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::prices::{Prices, price_of};
use crate::usage::{FunctionUsage, Trigger, Usage};
use crate::{GB, MONTH_SECONDS};

/// Long polls of one queue by the pollers of an event source mapping where nothing comes: five, of 20 s each. A month has
/// 657,000. Source: the minimum that AWS documents for standard queues.
const EMPTY_POLLS_A_SECOND: f64 = 5.0 / 20.0;

/// What a function's name is for what belongs to none.
const SHARED: &str = "(shared)";

/// One line of a bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The service.
    pub service: &'static str,
    /// The function that used it, or `(shared)`.
    pub function: String,
    /// What is counted.
    pub item: String,
    /// How much of it.
    pub quantity: f64,
    /// Dollars for one.
    pub unit_price: f64,
    /// Dollars.
    pub amount: f64,
}

/// What a month's usage comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bill {
    /// Where the prices hold, and since when they were read.
    pub prices: String,
    /// Its lines, by service and function.
    pub lines: Vec<Line>,
    /// The sum of their amounts.
    pub total: f64,
}

impl Bill {
    /// The bill of what is used in a month.
    #[must_use]
    pub fn of(month: &Usage, prices: &Prices) -> Self {
        let mut lines = Lines::default();
        for (name, usage) in &month.functions {
            lines.function(name, usage, prices);
        }
        lines.shared(month, prices);
        let total = lines.lines.iter().map(|line| line.amount).sum();
        Self {
            prices: format!("{}, list prices of {}, no free tier", prices.region, prices.as_of),
            lines: lines.lines,
            total,
        }
    }

    /// Dollars by service, dearest first.
    #[must_use]
    pub fn by_service(&self) -> Vec<(String, f64)> {
        self.sums(|line| line.service.to_owned())
    }

    /// Dollars by function, dearest first.
    #[must_use]
    pub fn by_function(&self) -> Vec<(String, f64)> {
        self.sums(|line| line.function.clone())
    }

    fn sums(&self, key: impl Fn(&Line) -> String) -> Vec<(String, f64)> {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for line in &self.lines {
            *sums.entry(key(line)).or_default() += line.amount;
        }
        let mut sums: Vec<(String, f64)> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sums
    }
}

/// As a table: one row a line, then the sums.
impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<[String; 6]> =
            vec![["service", "function", "item", "a month", "$ a unit", "$ a month"].map(str::to_owned)];
        for line in self.lines.iter().filter(|line| line.amount >= 0.000_05) {
            rows.push([
                line.service.to_owned(),
                line.function.clone(),
                line.item.clone(),
                quantity(line.quantity),
                unit_price(line.unit_price),
                format!("{:.4}", line.amount),
            ]);
        }
        let total = format!("{:.2}", self.total);
        rows.push(["total".to_owned(), String::new(), String::new(), String::new(), String::new(), total]);
        table(f, &rows, 3)?;
        for (title, sums) in [("by service", self.by_service()), ("by function", self.by_function())] {
            write!(f, "\n{title}:")?;
            for (name, amount) in sums.iter().filter(|(_, amount)| *amount >= 0.005) {
                write!(f, " {name} ${amount:.2};")?;
            }
        }
        writeln!(f, "\n{}; a month has 730 hours", self.prices)
    }
}

/// Writes rows with aligned columns, those from `numbers` on to the right.
fn table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]], numbers: usize) -> fmt::Result {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut text = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            if at < numbers {
                write!(text, "{cell:<width$}  ")?;
            } else {
                write!(text, "{cell:>width$}  ")?;
            }
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}

fn quantity(quantity: f64) -> String {
    match quantity {
        q if q >= 1e6 => format!("{:.3} M", q / 1e6),
        q if q >= 1e3 => format!("{:.1} k", q / 1e3),
        q => format!("{q:.3}"),
    }
}

fn unit_price(price: f64) -> String {
    if price < 0.001 { format!("{:.4}/M", price * 1e6) } else { format!("{price:.3}") }
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
}

impl Lines {
    fn add(&mut self, service: &'static str, function: &str, item: &str, quantity: f64, unit_price: f64) {
        if quantity <= 0.0 {
            return;
        }
        let same = |line: &&mut Line| {
            (line.service, line.function.as_str(), line.item.as_str()) == (service, function, item)
        };
        if let Some(line) = self.lines.iter_mut().find(same) {
            line.quantity += quantity;
            line.amount = line.quantity * line.unit_price;
            return;
        }
        let amount = quantity * unit_price;
        let (function, item) = (function.to_owned(), item.to_owned());
        self.lines.push(Line { service, function, item, quantity, unit_price, amount });
    }

    fn function(&mut self, name: &str, usage: &FunctionUsage, prices: &Prices) {
        self.add("lambda", name, "invocations", usage.invoked(), prices.lambda_request);
        let (arm, x86) = (usage.gb_seconds_arm64, usage.gb_seconds_x86_64);
        self.add("lambda", name, "GB-seconds, arm64", arm, prices.lambda_gb_second_arm64);
        self.add("lambda", name, "GB-seconds, x86-64", x86, prices.lambda_gb_second_x86_64);
        let invoked = |trigger| usage.invocations.get(&trigger).copied().unwrap_or_default();
        // A receive that brings messages, and the delete of what was handled.
        self.add("sqs", name, "receives and deletes", 2.0 * invoked(Trigger::Queue), prices.sqs_request);
        self.add("scheduler", name, "invocations", invoked(Trigger::Schedule), prices.scheduler_invocation);
        self.add("http api", name, "requests", invoked(Trigger::Http), prices.http_api_request);
        for (action, requests) in &usage.requests {
            if let (Some((price, item)), Some(service)) = (price_of(prices, action), service_of(action)) {
                let item = if service == "sqs" { "sends" } else { item };
                self.add(service, name, item, requests.units, price);
            }
        }
        self.add("logs", name, "GB taken in", usage.log_bytes / GB, prices.logs_gb);
    }

    fn shared(&mut self, month: &Usage, prices: &Prices) {
        let polls = month.polled_queues * EMPTY_POLLS_A_SECOND * MONTH_SECONDS;
        self.add("sqs", SHARED, "empty receives", polls, prices.sqs_request);
        self.add("s3", SHARED, "GB stored", month.object_gb, prices.s3_gb_month);
        self.add("dynamodb", SHARED, "GB stored", month.item_gb, prices.dynamodb_gb_month);
        if month.point_in_time_recovery {
            let price = prices.dynamodb_pitr_gb_month;
            self.add("dynamodb", SHARED, "GB of point in time recovery", month.item_gb, price);
        }
        self.add("cloudwatch", SHARED, "custom metrics", month.custom_metrics, prices.custom_metric_month);
        self.add("cloudwatch", SHARED, "alarms", month.alarms, prices.alarm_month);
        self.add("cloudwatch", SHARED, "dashboards", month.dashboards, prices.dashboard_month);
    }
}

fn service_of(action: &str) -> Option<&'static str> {
    let (service, _) = action.split_once(':')?;
    ["s3", "dynamodb", "sqs", "sns"].into_iter().find(|known| *known == service)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Architecture, Requests, US_EAST_1};

    fn month() -> Usage {
        let mut usage = Usage { polled_queues: 2.0, object_gb: 10.0, item_gb: 1.0, ..Usage::default() };
        let scraper = usage.function("scraper");
        for _ in 0..1_000 {
            scraper.invoke(Trigger::Queue, 0.5, 512, Architecture::Arm64);
        }
        let units = |units: f64| Requests { count: units, units, ..Requests::default() };
        scraper.count("dynamodb", "PutItem", units(2_000.0));
        scraper.count("s3", "PutObject", units(1_000_000.0));
        scraper.count("s3", "DeleteObject", units(1_000_000.0));
        usage.function("query").invoke(Trigger::Http, 1.0, 1_024, Architecture::X86_64);
        usage
    }

    fn amount(bill: &Bill, function: &str, item: &str) -> f64 {
        bill.lines
            .iter()
            .filter(|line| line.function == function && line.item == item)
            .map(|line| line.amount)
            .sum()
    }

    #[test]
    fn a_bill_is_quantity_times_price_line_by_line() {
        let bill = Bill::of(&month(), &US_EAST_1);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(amount(&bill, "scraper", "PUT, LIST"), 5.0);
        near(amount(&bill, "scraper", "write units"), 0.001_25);
        near(amount(&bill, "scraper", "GB-seconds, arm64"), 250.0 * 0.000_013_333_4);
        near(amount(&bill, "scraper", "receives and deletes"), 2_000.0 * 0.4e-6);
        near(amount(&bill, "query", "GB-seconds, x86-64"), 0.000_016_666_7);
        near(amount(&bill, "query", "requests"), 1e-6);
        near(amount(&bill, SHARED, "empty receives"), 2.0 * 657_000.0 * 0.4e-6);
        near(amount(&bill, SHARED, "GB stored"), 0.23 + 0.25);
        near(bill.total, bill.lines.iter().map(|line| line.amount).sum());
    }

    #[test]
    fn a_table_shows_the_lines_and_the_sums() {
        let text = Bill::of(&month(), &US_EAST_1).to_string();
        assert!(text.contains("s3        scraper   PUT, LIST"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("total") && line.ends_with("6.01")), "{text}");
        assert!(text.contains("by service: s3 $5.23; sqs $0.53; dynamodb $0.25;"), "{text}");
        assert!(text.contains("us-east-1, list prices of 2026-10-07"), "{text}");
    }

    proptest! {
        #[test]
        fn twice_the_usage_is_twice_the_money(seconds in 1.0..1e6f64, factor in 0.1..100.0f64) {
            let usage = month();
            let once = Bill::of(&Usage { functions: usage.functions.clone(), ..Usage::default() }, &US_EAST_1);
            let more = usage.extrapolated(seconds, seconds * factor);
            let more = Bill::of(&Usage { functions: more.functions, ..Usage::default() }, &US_EAST_1);
            prop_assert!((more.total / once.total / factor - 1.0).abs() < 1e-9);
        }

        #[test]
        fn sums_by_service_and_by_function_are_the_total(queues in 0.0..5.0f64, gb in 0.0..1e4f64) {
            let usage = Usage { polled_queues: queues, object_gb: gb, ..month() };
            let bill = Bill::of(&usage, &US_EAST_1);
            for sums in [bill.by_service(), bill.by_function()] {
                let sum: f64 = sums.iter().map(|(_, amount)| amount).sum();
                prop_assert!((sum - bill.total).abs() < 1e-9 * bill.total.max(1.0));
            }
        }
    }
}
