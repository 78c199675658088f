//! Errors as the API reports them.

use http::StatusCode;
use promql::QueryError;
use storage::StorageError;

/// The `errorType` of an answer. Source: `web/api/v1/api.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// A parameter is malformed.
    BadData,
    /// The query failed.
    Execution,
    /// The query took too long.
    Timeout,
    /// The client went away.
    Canceled,
    /// The fault is ours.
    Internal,
    /// Not ready, or switched off.
    Unavailable,
    /// There is no such endpoint.
    NotFound,
}

impl ErrorType {
    /// As it is written in an answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::NotFound => "not_found",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Internal | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Its kind.
    pub kind: ErrorType,
    /// What a person reads.
    pub message: String,
}

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A malformed request.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// A malformed parameter.
    pub(crate) fn invalid_parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Parse(_) | QueryError::Invalid(_) => Self::invalid_parameter("query", message),
            QueryError::Execution(_) | QueryError::TooManySamples => Self::new(ErrorType::Execution, message),
            QueryError::Timeout(_) => Self::new(ErrorType::Timeout, message),
            QueryError::Canceled(_) => Self::new(ErrorType::Canceled, message),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let kind = match error {
            StorageError::TooManySamples => ErrorType::Execution,
            StorageError::Timeout(_) => ErrorType::Timeout,
            StorageError::Corrupt { .. } | StorageError::Unavailable(_) => ErrorType::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
