//! Files of the machine.

use std::fs::{self, File};
use std::io::{self, Read};

use platform::{FileError, Files, Glob, GlobSegment, PlatformError, PlatformFuture};
use platform_system::system_words;

use crate::blocking;

/// How many paths one pattern may give.
const GLOB_PATHS_MAX: usize = 100_000;

/// Reads the machine's files. Relative paths start at the process's directory. Patterns may stand in any segment, as in
/// Go's `filepath.Glob`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

impl Files for LocalFiles {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        let owned = path.to_owned();
        Box::pin(in_background(path, move || read(&owned, bytes_max)))
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        let owned = pattern.to_owned();
        Box::pin(in_background(pattern, move || glob(&owned)))
    }
}

async fn in_background<T, C>(path: &str, call: C) -> Result<T, FileError>
where
    T: Send + 'static,
    C: FnOnce() -> Result<T, FileError> + Send + 'static,
{
    let lost = |error: PlatformError| FileError::Other { path: path.to_owned(), reason: error.to_string() };
    blocking::run("read".to_owned(), move || Ok(call())).await.map_err(lost)?
}

fn read(path: &str, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let failed = |error: io::Error| failure(path, &error);
    let other = |reason: &str| FileError::Other { path: path.to_owned(), reason: reason.to_owned() };
    // Before it is opened, for opening a pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(other("is a directory"));
    }
    if !metadata.is_file() {
        return Err(other("not a regular file"));
    }
    let mut body = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(failed)?;
    if body.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(body)
}

fn failure(path: &str, error: &io::Error) -> FileError {
    let path = path.to_owned();
    if error.kind() == io::ErrorKind::NotFound {
        FileError::NotFound { path }
    } else {
        FileError::Other { path, reason: system_words(error) }
    }
}

fn glob(pattern: &str) -> Result<Vec<String>, FileError> {
    let other = |reason: &str| FileError::Other { path: pattern.to_owned(), reason: reason.to_owned() };
    let parsed = Glob::parse(pattern).ok_or_else(|| other("syntax error in pattern"))?;
    // What the segments so far have given: each ends in a slash, or is empty.
    let mut bases = vec![String::new()];
    let mut paths = Vec::new();
    for (index, segment) in parsed.segments().iter().enumerate() {
        let last = index + 1 == parsed.segments().len();
        paths = expand(&bases, segment, last);
        if paths.len() > GLOB_PATHS_MAX {
            return Err(other("the pattern matches too many paths"));
        }
        bases = paths.iter().map(|path| format!("{path}/")).collect();
    }
    paths.retain(|path| !path.is_empty() && fs::symlink_metadata(path).is_ok());
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// The paths of one more segment. Directories that cannot be read have none, as in Go.
fn expand(bases: &[String], segment: &GlobSegment, last: bool) -> Vec<String> {
    match segment {
        GlobSegment::Name(name) => bases.iter().map(|base| format!("{base}{name}")).collect(),
        GlobSegment::Pattern(pattern) => {
            let mut paths = Vec::new();
            for base in bases {
                let directory = if base.is_empty() { "." } else { base.as_str() };
                for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                    let name = entry.file_name();
                    let Some(name) = name.to_str().filter(|name| pattern.matches(name)) else { continue };
                    let path = format!("{base}{name}");
                    if last || fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                        paths.push(path);
                    }
                    if paths.len() > GLOB_PATHS_MAX {
                        return paths;
                    }
                }
            }
            paths
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_in_any_segment_and_give_sorted_paths() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        for name in ["b.yml", "a.yml", "a.json", "x/1.yml", "y/2.yml", "y/z/3.yml"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let paths = glob(&format!("{root}/{pattern}")).unwrap();
            paths.iter().map(|path| path.strip_prefix(&format!("{root}/")).unwrap().to_owned()).collect()
        };
        assert_eq!(found("*.yml"), ["a.yml", "b.yml"]);
        assert_eq!(found("[a-b].?ml"), ["a.yml", "b.yml"]);
        assert_eq!(found("*/*.yml"), ["x/1.yml", "y/2.yml"]);
        assert_eq!(found("a.yml"), ["a.yml"]);
        assert_eq!(found("none.yml"), Vec::<String>::new());
        assert_eq!(found("none/*"), Vec::<String>::new());
        assert_eq!(found("a.yml/*"), Vec::<String>::new());
        assert_eq!(
            glob("[").unwrap_err().to_string(),
            "open [: syntax error in pattern",
            "a malformed pattern is an error, not an empty list"
        );
    }

    #[test]
    fn what_is_no_readable_file_says_so_as_go_does() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        assert_eq!(read(root, 10).unwrap_err().to_string(), format!("open {root}: is a directory"));
        assert_eq!(read("/dev/zero", 10).unwrap_err().to_string(), "open /dev/zero: not a regular file");
        let missing = format!("{root}/missing");
        assert_eq!(
            read(&missing, 10).unwrap_err().to_string(),
            format!("open {missing}: no such file or directory")
        );
    }
}
