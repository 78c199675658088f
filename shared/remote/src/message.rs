//! Which protobuf message a request carries. Source: `ParseProtoMsg` of Prometheus's client library, `exp/api/remote`.

const PROTOBUF: &str = "application/x-protobuf";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// `prometheus.WriteRequest` of remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request` of remote write 2.0.
    V2,
}

/// A `Content-Type` that is neither. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedMessage {
    /// Not protobuf.
    #[error("expected application/x-protobuf as the first (media) part, got {0} content-type")]
    Media(String),
    /// A parameter that is not `name=value`.
    #[error(
        "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {parameter} in {content_type} content-type"
    )]
    Parameter {
        /// The parameter.
        parameter: String,
        /// All of it.
        content_type: String,
    },
    /// Another protobuf message.
    #[error(
        "got {content_type} content type; unknown type for remote write protobuf message {name}, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
    )]
    Name {
        /// The message's name.
        name: String,
        /// All of it.
        content_type: String,
    },
}

impl Message {
    /// The message that a `Content-Type` names; version 1.0 where there is none, or where it names no message.
    ///
    /// # Errors
    /// [`UnsupportedMessage`].
    pub fn of(content_type: &str) -> Result<Self, UnsupportedMessage> {
        let content_type = content_type.trim();
        let mut parts = if content_type.is_empty() { PROTOBUF } else { content_type }.split(';');
        if parts.next() != Some(PROTOBUF) {
            return Err(UnsupportedMessage::Media(content_type.to_owned()));
        }
        for parameter in parts {
            let content_type = || content_type.to_owned();
            let pair = parameter.split_once('=').filter(|(_, value)| !value.contains('='));
            let Some((name, value)) = pair else {
                let parameter = parameter.to_owned();
                return Err(UnsupportedMessage::Parameter { parameter, content_type: content_type() });
            };
            // Spaces around parameters are allowed by the RFC.
            if name.trim() == "proto" {
                return match value.trim() {
                    "prometheus.WriteRequest" => Ok(Self::V1),
                    "io.prometheus.write.v2.Request" => Ok(Self::V2),
                    name => {
                        Err(UnsupportedMessage::Name { name: name.to_owned(), content_type: content_type() })
                    }
                };
            }
        }
        Ok(Self::V1)
    }
}
