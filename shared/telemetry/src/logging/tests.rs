use std::sync::{Arc, Mutex};

use tracing::{debug, error, info, warn};

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `say` logs, less time and line number.
fn lines(level: Level, format: Format, say: impl FnOnce()) -> Vec<String> {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing::subscriber::with_default(subscriber(level, format, move || writer.clone()), say);
    let bytes = captured.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

/// What follows the source's line number.
fn rest(line: &str) -> &str {
    let (_, rest) = line.split_once("tests.rs:").unwrap();
    rest.trim_start_matches(|c: char| c.is_ascii_digit())
}

#[test]
fn a_line_is_logfmt_in_the_order_of_prometheus() {
    let lines = lines(Level::Info, Format::Logfmt, || {
        warn!(target = "http://a:1/m", num_dropped = 3, err = %"bad \"x\"\nline", ok = true, "Error on ingesting");
    });
    let (time, after) = lines[0].split_once(' ').unwrap();
    assert_eq!(
        (time.len(), &time[..7], time.ends_with('Z')),
        ("time=2026-01-31T11:01:54.123Z".len(), "time=20", true)
    );
    assert!(after.starts_with("level=WARN source=tests.rs:"), "{after}");
    let expected =
        r#" msg="Error on ingesting" target=http://a:1/m num_dropped=3 err="bad \"x\"\nline" ok=true"#;
    assert_eq!(rest(&lines[0]), expected);
}

#[test]
fn json_lines_have_the_same_members() {
    let lines = lines(Level::Info, Format::Json, || {
        error!(count = 2, ratio = f64::NAN, text = "a\u{1}", "Failed");
    });
    assert!(lines[0].starts_with("{\"time\":\"20"), "{}", lines[0]);
    assert!(lines[0].contains("Z\",\"level\":\"ERROR\",\"source\":\"tests.rs:"), "{}", lines[0]);
    assert_eq!(rest(&lines[0]), r#"","msg":"Failed","count":2,"ratio":"NaN","text":"a\u0001"}"#);
}

#[test]
fn nothing_below_the_level_and_no_chatter_of_libraries_is_written() {
    let say = || {
        debug!("d");
        info!("i");
        info!(target: "hyper::client", "connecting");
        warn!(target: "hyper::client", "broken");
        error!("e");
    };
    let messages = |level| -> Vec<String> {
        lines(level, Format::Logfmt, say)
            .iter()
            .map(|line| line.rsplit_once("msg=").unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(messages(Level::Debug), ["d", "i", "broken", "e"]);
    assert_eq!(messages(Level::Info), ["i", "broken", "e"]);
    assert_eq!(messages(Level::Error), ["e"]);
}
