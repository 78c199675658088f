//! `create-blocks-from openmetrics`: what comes in, and what is refused.

use std::io::Write;
use std::process::Stdio;

use crate::run::Folder;

const SMALL: &str = "# HELP http_requests The total number of HTTP requests.\n\
    # TYPE http_requests counter\n\
    http_requests_total{code=\"200\"} 1021 1565133713.989 # {trace_id=\"x\"} 0.5 1565133713\n\
    http_requests_total{code=\"200\"} 1022 1565144513.989\n\
    http_requests_total{code=\"400\"} 2 1565155313.989\n\
    http_requests_total{code=\"400\"} 1 1565166113.989\n\
    # EOF\n";

const SMALL_DUMPED: &str = "{__name__=\"http_requests_total\", code=\"200\"} 1021 1565133713989\n\
    {__name__=\"http_requests_total\", code=\"200\"} 1022 1565144513989\n\
    {__name__=\"http_requests_total\", code=\"400\"} 2 1565155313989\n\
    {__name__=\"http_requests_total\", code=\"400\"} 1 1565166113989\n";

fn import(folder: &Folder, text: &str) -> String {
    folder.write("in.om", text);
    folder.run(&["create-blocks-from", "openmetrics", "in.om", "data"]).ok()
}

#[test]
fn a_file_becomes_blocks_of_two_hours_that_are_listed_and_dumped() {
    let folder = Folder::new();
    let made = import(&folder, SMALL);
    let lines: Vec<&str> = made.lines().collect();
    assert_eq!(lines.len(), 5, "{made}");
    assert!(
        lines[0].starts_with("BLOCK ULID                  MIN TIME       MAX TIME       DURATION"),
        "{made}"
    );
    assert!(lines[1].contains("1565133713000  1565133713990  990ms"), "{made}");
    assert_eq!(folder.run(&["list", "data"]).ok(), made);
    assert_eq!(folder.run(&["dump", "data"]).ok(), SMALL_DUMPED);
    let listed = folder.run(&["list", "-r", "data"]).ok();
    assert!(listed.contains("2019-08-06 23:21:53 +0000 UTC"), "{listed}");
    let verified = folder.run(&["verify", "data"]).ok();
    assert!(verified.contains("verified 4 blocks (4 samples of 4 series, 1 exemplars"), "{verified}");
}

#[test]
fn importing_twice_doubles_nothing() {
    let folder = Folder::new();
    import(&folder, SMALL);
    assert_eq!(import(&folder, SMALL), "", "the same blocks again");
    let arguments = ["create-blocks-from", "openmetrics", "--max-block-duration=1d", "in.om", "data"];
    folder.run(&arguments).ok();
    assert_eq!(folder.run(&["dump", "data"]).ok(), SMALL_DUMPED);
    assert_eq!(import(&folder, SMALL).lines().count(), 4, "blocks that add nothing to those of a day");
    assert_eq!(folder.run(&["dump", "data"]).ok(), SMALL_DUMPED);
    folder.run(&["verify", "-q", "data"]).ok();
}

#[test]
fn labels_are_attached_and_nothing_is_said_when_asked() {
    let folder = Folder::new();
    folder.write("in.om", "a{b=\"c\"} 1 1\n# EOF\n");
    let arguments =
        ["create-blocks-from", "-q", "openmetrics", "--label=b=d", "--label=e=f=g", "in.om", "data"];
    let ran = folder.run(&arguments);
    assert_eq!((ran.success, ran.stdout.as_str()), (true, ""));
    assert_eq!(folder.run(&["dump", "data"]).ok(), "{__name__=\"a\", b=\"d\", e=\"f=g\"} 1 1000\n");
}

#[test]
fn samples_in_no_order_with_repetitions_come_in_once() {
    let folder = Folder::new();
    folder.write("in.om", "a 3 9000\nb 1 1\na 1 1\na 2 5000\na 1 1\na 7 9000\n# EOF\n");
    let ran = folder.run(&["create-blocks-from", "openmetrics", "in.om", "data"]);
    assert!(
        ran.stderr.contains("warning: 1 samples had the series and timestamp of an earlier one"),
        "{ran:?}"
    );
    let dumped = folder.run(&["dump", "data"]).ok();
    let series = |name: &str, samples: &[(i64, i64)]| -> String {
        samples.iter().map(|(value, at)| format!("{{__name__=\"{name}\"}} {value} {at}\n")).collect()
    };
    let a = series("a", &[(1, 1000), (2, 5_000_000), (3, 9_000_000)]);
    assert_eq!(dumped, a + &series("b", &[(1, 1000)]));
}

#[test]
fn faulty_input_is_refused_with_its_line_and_nothing_comes_in() {
    let folder = Folder::new();
    for (text, error) in [
        ("", "line 1: data does not end with # EOF"),
        ("a 1 1\n", "line 2: data does not end with # EOF"),
        (
            "a 1 1\nb x 1\n# EOF\n",
            "line 2: strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"b x\"",
        ),
        ("a 1 1\n# EOF\nb 1 1\n", "line 2: unexpected data after # EOF"),
        (
            "a 1 1\n\na 2 2\n# EOF\n",
            "line 2: expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\"",
        ),
        (
            "# TYPE a gauge\na{b=\"c\"} 1\n# EOF\n",
            "line 2: expected timestamp for series {__name__=\"a\", b=\"c\"}, got none",
        ),
        ("a{b=\"1\",b=\"2\"} 1 1\n# EOF\n", "line 1: label name \"b\" is not unique: invalid sample"),
        ("a 1 1e300\n# EOF\n", "line 1: invalid timestamp -9223372036854775808"),
    ] {
        folder.write("in.om", text);
        let failed = folder.run(&["create-blocks-from", "openmetrics", "in.om", "data"]).failed();
        assert_eq!(failed, format!("in.om: {error}; nothing was imported\n"), "{text:?}");
        assert_eq!(folder.run(&["dump", "data"]).ok(), "", "{text:?}");
    }
}

#[test]
fn a_file_without_samples_makes_no_block() {
    let folder = Folder::new();
    assert_eq!(import(&folder, "# EOF"), "");
    assert_eq!(folder.run(&["dump-openmetrics", "data"]).ok(), "# EOF\n");
}

#[test]
fn what_cannot_be_opened_is_told_before_anything_is_made() {
    let folder = Folder::new();
    let failed = folder.run(&["create-blocks-from", "openmetrics", "none.om", "data"]).failed();
    assert_eq!(failed, "open none.om: no such file or directory\n");
    assert!(!folder.path("data").exists());
    folder.write("in.om", SMALL);
    let failed = folder.run(&["create-blocks-from", "openmetrics", "in.om", "in.om"]).failed();
    assert!(failed.contains("file exists"), "{failed}");
    for wrong in
        [&["create-blocks-from"][..], &["create-blocks-from", "openmetrics"], &["list", "--no-such-flag"]]
    {
        let failed = folder.run(wrong).failed();
        assert!(failed.contains("Usage:"), "{failed}");
    }
    let failed = folder.run(&["create-blocks-from", "openmetrics", "--label=x", "in.om", "data"]).failed();
    assert!(failed.contains("expected NAME=VALUE"), "{failed}");
}

#[test]
fn standard_input_and_packed_files_are_read() {
    let folder = Folder::new();
    folder.run_with(&["create-blocks-from", "openmetrics", "-", "data"], SMALL.as_bytes()).ok();
    assert_eq!(folder.run(&["dump", "data"]).ok(), SMALL_DUMPED);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(SMALL.as_bytes()).unwrap();
    folder.write("in.om.gz", gzip.finish().unwrap());
    folder.write("in.om.zst", zstd::encode_all(SMALL.as_bytes(), 1).unwrap());
    for file in ["in.om.gz", "in.om.zst"] {
        folder.run(&["create-blocks-from", "openmetrics", file, file.replace('.', "_").as_str()]).ok();
        assert_eq!(folder.run(&["dump", &file.replace('.', "_")]).ok(), SMALL_DUMPED);
    }
    let failed = folder.run_with(&["create-blocks-from", "openmetrics", "-", "data"], b"a 1 1\n").failed();
    assert_eq!(failed, "standard input: line 2: data does not end with # EOF; nothing was imported\n");
}

#[test]
fn an_import_that_is_killed_leaves_nothing_and_can_be_repeated() {
    let folder = Folder::new();
    let mut command = folder.command(&["create-blocks-from", "openmetrics", "-", "data"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than one piece, so that it is known to be at work; then no end.
    for second in 0..60_000 {
        writeln!(input, "a{{b=\"some longer text to fill the piece\"}} {second} {second}").unwrap();
    }
    input.flush().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.run(&["dump", "data"]).ok(), "");
    folder.run(&["verify", "data"]).ok();
    import(&folder, SMALL);
    assert_eq!(folder.run(&["dump", "data"]).ok(), SMALL_DUMPED);
}

/// Series that share windows and instants, with values of every kind.
fn many_series() -> String {
    let mut text = String::new();
    for series in 0..50 {
        text.push_str(&format!("# TYPE m{series} gauge\n"));
        for step in 0..200i64 {
            let value = [f64::NAN, f64::INFINITY, -0.0, 1e300, 0.1, 7.0, 1e-9][(series + step as usize) % 7];
            let value = model::number::format_g(value * (step + 1) as f64);
            let at = 1_700_000_000_000 + step * 60_000 + series as i64;
            let label = ["", "\\\\", "\\n", "\\\"", "é☃"][series % 5];
            text.push_str(&format!("m{series}{{l=\"x{label}\"}} {value} {}.{:03}\n", at / 1000, at % 1000));
        }
    }
    text + "# EOF\n"
}

#[test]
fn what_is_dumped_and_imported_again_is_the_same() {
    let folder = Folder::new();
    import(&folder, &many_series());
    let dumped = folder.run(&["dump-openmetrics", "data"]).ok();
    assert_eq!(dumped.lines().count(), 50 * 200 + 1);
    folder.write("out.om", &dumped);
    folder.run(&["create-blocks-from", "openmetrics", "out.om", "again"]).ok();
    assert_eq!(folder.run(&["dump-openmetrics", "again"]).ok(), dumped);
    assert_eq!(folder.run(&["dump", "again"]).ok(), folder.run(&["dump", "data"]).ok());
}

#[test]
fn a_dump_of_promtool_comes_back_as_it_was() {
    let Some(fixtures) = fixtures::folder() else { return };
    let file = fixtures.join("promtool/cmd/promtool/testdata/dump-openmetrics-roundtrip-test.prom");
    let folder = Folder::new();
    folder.run(&["create-blocks-from", "openmetrics", &file.display().to_string(), "data"]).ok();
    assert_eq!(folder.run(&["dump-openmetrics", "data"]).ok(), std::fs::read_to_string(file).unwrap());
}
