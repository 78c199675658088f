//! The contract of [`Files`].

use platform::{FileError, Files};

/// The files that the suite expects below its directory, by path, with what is in them.
pub const FILES: [(&str, &str); 6] = [
    ("targets/a.json", "[]"),
    ("targets/b.json", "[{}]"),
    ("targets/b.yml", "- {}"),
    ("targets/deeper/c.json", "[]"),
    ("password", "secret\n"),
    ("empty", ""),
];

/// Checks an adapter that has [`FILES`] below `directory`.
///
/// # Panics
/// Where the adapter breaks the contract.
pub async fn files(files: &dyn Files, directory: &str) {
    for (name, body) in FILES {
        let path = format!("{directory}/{name}");
        let len = body.len() as u64;
        assert_eq!(
            files.read(&path, len).await,
            Ok(body.as_bytes().to_vec()),
            "{name} is as large as allowed"
        );
        if let Some(bytes_max) = len.checked_sub(1) {
            let too_large = FileError::TooLarge { path: path.clone(), bytes_max };
            assert_eq!(files.read(&path, bytes_max).await, Err(too_large));
        }
        assert_eq!(files.glob(&path).await, Ok(vec![path.clone()]), "a plain path gives itself");
    }
    let missing = format!("{directory}/missing");
    let error = files.read(&missing, 10).await.expect_err("there is no such file");
    assert_eq!(error.to_string(), format!("open {missing}: no such file or directory"));

    for (pattern, expected) in [
        ("targets/*.json", &["targets/a.json", "targets/b.json"][..]),
        ("targets/b*", &["targets/b.json", "targets/b.yml"]),
        ("targets/?.yml", &["targets/b.yml"]),
        ("targets/[^b].json", &["targets/a.json"]),
        ("targets/*/*.json", &["targets/deeper/c.json"]),
        ("targets/x*.json", &[]),
        ("missing", &[]),
        ("missing/*.json", &[]),
    ] {
        let expected: Vec<String> = expected.iter().map(|name| format!("{directory}/{name}")).collect();
        assert_eq!(files.glob(&format!("{directory}/{pattern}")).await, Ok(expected), "{pattern}");
    }
    let malformed = files.glob(&format!("{directory}/[")).await;
    assert!(matches!(malformed, Err(FileError::Other { .. })), "{malformed:?}");
}
