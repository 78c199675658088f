//! Paths as text, after Go's `path/filepath` on Unix.

/// A path of the configuration made absolute: joined to the configuration's directory unless it is empty or absolute.
pub(crate) fn join(directory: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('/') {
        return path.to_owned();
    }
    if directory.is_empty() { clean(path) } else { clean(&format!("{directory}/{path}")) }
}

/// Go's `filepath.Clean`: no `.`, no `//`, and no `..` that can be resolved.
#[must_use]
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Whether `path` has at most one `*`, and that in its last segment: `^[^*]*(\*[^/]*)?$`.
pub(crate) fn is_rule_pattern(path: &str) -> bool {
    path.split_once('*').is_none_or(|(_, rest)| !rest.contains('/'))
}

/// Whether `path` is a pattern of target files: `^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`.
pub(crate) fn is_target_file_pattern(path: &str) -> bool {
    let extensions = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    extensions.iter().filter_map(|extension| path.strip_suffix(extension)).any(is_rule_pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_cleaned_as_go_does() {
        assert_eq!(join("/etc/prometheus", "rules/*.yml"), "/etc/prometheus/rules/*.yml");
        assert_eq!(join("/etc/prometheus", "../x//./y"), "/etc/x/y");
        assert_eq!(join("/etc", "/abs"), "/abs");
        assert_eq!(join("/etc", ""), "");
        assert_eq!(join(".", "rules.yml"), "rules.yml");
        assert_eq!(join("", "../a"), "../a");
        assert_eq!(clean("/.."), "/");
        assert_eq!(clean("a/.."), ".");
    }

    #[test]
    fn patterns_have_one_star_in_their_last_segment() {
        assert!(is_rule_pattern("/etc/*.yml") && is_rule_pattern("a/b*c*") && is_rule_pattern(""));
        assert!(!is_rule_pattern("a/*/b"));
        assert!(is_target_file_pattern("a/*.json") && is_target_file_pattern("x.YAML"));
        assert!(!is_target_file_pattern("a.txt") && !is_target_file_pattern("*/a.json"));
    }
}
