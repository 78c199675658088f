//! `list`, `analyze`, `verify` and the dumps.

use crate::run::{Folder, copy};

/// Three metrics over five hours, imported.
fn filled() -> Folder {
    let folder = Folder::new();
    let mut text = String::new();
    for metric in ["a_total", "b", "c"] {
        for (job, step) in [("x", 1), ("y", 2)] {
            for at in (0..300).step_by(step) {
                text.push_str(&format!("{metric}{{job=\"{job}\"}} {at} {}\n", 1_700_006_400 + at * 60));
            }
        }
    }
    folder.write("in.om", text + "# EOF\n");
    folder.run(&["create-blocks-from", "openmetrics", "in.om", "data"]).ok();
    folder
}

#[test]
fn dumps_take_a_range_and_selectors() {
    let folder = filled();
    let dump = |arguments: &[&str]| folder.run(&[&["dump"], arguments, &["data"]].concat()).ok();
    assert_eq!(dump(&[]).lines().count(), 3 * 450);
    assert_eq!(dump(&["--match={__name__=~'(?s:.*)'}"]).lines().count(), 3 * 450);
    assert_eq!(dump(&["--match=b"]).lines().count(), 450);
    let two = dump(&["--match=b{job='x'}", "--match={job='y',__name__!='c'}"]);
    assert_eq!(two.lines().count(), 300 + 2 * 150);
    assert!(two.lines().is_sorted_by_key(|line| line.split('}').next().map(str::to_owned)), "{two}");
    let ranged = dump(&["--match=c{job='y'}", "--min-time=1700006460000", "--max-time=1700006640000"]);
    assert_eq!(
        ranged,
        "{__name__=\"c\", job=\"y\"} 2 1700006520000\n{__name__=\"c\", job=\"y\"} 4 1700006640000\n"
    );
    let series = dump(&["--format=seriesjson", "--match=a_total"]);
    assert_eq!(
        series,
        "{\"__name__\":\"a_total\",\"job\":\"x\"}\n{\"__name__\":\"a_total\",\"job\":\"y\"}\n"
    );
    let failed = folder.run(&["dump", "--match={", "data"]).failed();
    assert!(failed.contains("parse error"), "{failed}");
    assert_eq!(dump(&["--min-time=-5", "--max-time=5"]), "");
}

#[test]
fn analysis_counts_what_promtool_counts() {
    let folder = filled();
    let text = folder.run(&["analyze", "--limit=2", "--extended", "data"]).ok();
    for part in [
        "Total Series: 6\n",
        "Label names: 2\nPostings (unique label pairs): 5\nPostings entries (total label pairs): 12\n",
        "Most common label pairs:\n3 job=x\n3 job=y\n\n",
        "Label names with highest cumulative label value length:\n9 __name__\n2 job\n",
        "Highest cardinality labels:\n3 __name__\n2 job\n",
        "Highest cardinality metric names:\n2 a_total\n2 b\n\n",
        "Bytes per sample by column:\n",
        "float samples per series (min/avg/max): ",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let matched = folder.run(&["analyze", "--match={job='x'}", "data"]).ok();
    assert!(matched.contains("Matcher: {job='x'}\nLabel names: 2\nMatched series: 3\n"), "{matched}");
    assert_eq!(
        folder.run(&["analyze", "data", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).failed(),
        "block 01ARZ3NDEKTSV4RRFFQ69G5FAV not found\n"
    );
}

#[test]
fn every_flipped_byte_of_a_block_is_found() {
    let folder = filled();
    folder.run(&["verify", "-q", "data"]).ok();
    let files = folder.files("data/objects/block");
    assert!(files.len() >= 6, "{files:?}");
    // A few places of each file; each alone, in a copy.
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let _ = std::fs::remove_dir_all(folder.path("copy"));
            copy(&folder.path("data"), &folder.path("copy"));
            let target = folder.path("copy").join(file.strip_prefix(folder.path("data")).unwrap());
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&target, &flipped).unwrap();
            let ran = folder.run(&["verify", "copy"]);
            let name = file.file_name().unwrap().to_string_lossy();
            let failed = ran.failed();
            assert!(failed.contains(&*name) && failed.contains("its checksum is wrong"), "{at}: {failed}");
            assert!(failed.ends_with("1 problem found\n"), "{failed}");
        }
    }
}

#[test]
fn cut_and_missing_files_are_all_named() {
    let folder = filled();
    let files = folder.files("data/objects/block");
    let (first, last) = (files.first().unwrap(), files.last().unwrap());
    let cut = std::fs::read(first).unwrap();
    std::fs::write(first, &cut[..cut.len() - 1]).unwrap();
    std::fs::remove_file(last).unwrap();
    let failed = folder.run(&["verify", "data"]).failed();
    assert!(failed.contains(&format!("{} bytes instead of {}", cut.len() - 1, cut.len())), "{failed}");
    assert!(failed.contains("it is missing"), "{failed}");
    assert!(failed.ends_with("2 problems found\n"), "{failed}");
    assert!(!folder.run(&["dump", "data"]).success);
}

#[test]
fn a_damaged_manifest_is_a_problem() {
    let folder = filled();
    let manifest = folder.files("data/objects/manifest").pop().unwrap();
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    let failed = folder.run(&["verify", "data"]).failed();
    assert!(failed.contains("its checksum is not the one in its name"), "{failed}");
    assert!(folder.run(&["list", "data"]).failed().contains("its checksum is not the one in its name"));
}

#[test]
fn only_data_directories_are_looked_into() {
    let folder = Folder::new();
    for command in ["list", "verify", "dump", "dump-openmetrics", "analyze"] {
        assert_eq!(folder.run(&[command, "none"]).failed(), "open none: no such file or directory\n");
        assert!(!folder.path("none").exists());
        std::fs::create_dir_all(folder.path("empty")).unwrap();
        let failed = folder.run(&[command, "empty"]).failed();
        assert!(failed.contains("it is not a data directory of foxfire"), "{failed}");
    }
    let filled = filled();
    assert!(filled.run(&["list", "in.om"]).failed().contains("not a directory"));
}

#[test]
fn a_directory_in_use_is_refused() {
    let folder = filled();
    let lock = std::fs::File::options().write(true).open(folder.path("data/lock")).unwrap();
    lock.lock().unwrap();
    for arguments in [&["list", "data"][..], &["create-blocks-from", "openmetrics", "in.om", "data"]] {
        let failed = folder.run(arguments).failed();
        assert!(failed.contains("is in use by another foxfire process"), "{failed}");
    }
    lock.unlock().unwrap();
    folder.run(&["list", "data"]).ok();
}
