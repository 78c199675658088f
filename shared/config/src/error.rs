//! Why a configuration or a rule file is refused, in Prometheus's words.

/// Why a configuration or a rule file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `prometheus.yml`.
    #[error("parsing YAML file {file}: {message}")]
    Config {
        /// Its name as the operator gave it.
        file: String,
        /// What is wrong, with line numbers where there are any.
        message: String,
    },
    /// One fault of a rule file.
    #[error("{file}: {message}")]
    Rules {
        /// Its name as the operator gave it.
        file: String,
        /// What is wrong, with `line:column:` where it has one.
        message: String,
    },
    /// A file of target groups.
    #[error("{message}")]
    Targets {
        /// What is wrong.
        message: String,
    },
}
