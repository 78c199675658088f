//! Why a request failed, in the words of Go's `net/http`.

use std::error::Error;
use std::io;

use http::Extensions;
use hyper_util::client::legacy;
use platform::FetchError;
use url::Url;

use super::connect::{ConnectError, Connection};
use super::tls;
use crate::system_words;

/// The connection that a request failed on, if it had one.
pub(super) fn connection_of(error: &legacy::Error) -> Option<Connection> {
    let mut extensions = Extensions::new();
    error.connect_info()?.get_extras(&mut extensions);
    extensions.get::<Connection>().cloned()
}

/// Whether the server closed the connection before it answered anything.
pub(super) fn is_closed(error: &legacy::Error) -> bool {
    let closed =
        |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    find::<hyper::Error>(error).is_some_and(closed) || find_io(error).is_some_and(is_broken)
}

/// Why there is no answer.
pub(super) fn of_request(error: &legacy::Error, connection: Option<&Connection>, url: &Url) -> FetchError {
    match find::<ConnectError>(error) {
        Some(ConnectError::Denied(address)) => return FetchError::Denied(address.to_string()),
        Some(ConnectError::Resolve(words)) => return FetchError::Resolve(words.clone()),
        Some(ConnectError::Connect(words)) => return FetchError::Connect(words.clone()),
        None => {}
    }
    if let Some(failed) = find_tls(error) {
        return FetchError::Protocol(tls::words(failed, url.host_str().unwrap_or_default()));
    }
    if let Some(failed) = find_io(error) {
        return of_io(failed, connection, "EOF");
    }
    match find::<hyper::Error>(error) {
        Some(failed) if failed.is_parse() => {
            let words =
                format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response: {failed}");
            FetchError::Protocol(words)
        }
        Some(failed) if failed.is_incomplete_message() || failed.is_canceled() || failed.is_closed() => {
            FetchError::Connect("EOF".to_owned())
        }
        _ => FetchError::Protocol(innermost(error)),
    }
}

/// Why there is no whole body.
pub(super) fn of_body(error: &hyper::Error, connection: Option<&Connection>) -> FetchError {
    if error.is_incomplete_message() {
        return FetchError::Connect("unexpected EOF".to_owned());
    }
    match find_io(error) {
        Some(failed) => of_io(failed, connection, "unexpected EOF"),
        None => FetchError::Protocol(innermost(error)),
    }
}

fn of_io(error: &io::Error, connection: Option<&Connection>, at_end: &str) -> FetchError {
    let ends = connection.map(Connection::ends).unwrap_or_default();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => FetchError::Connect(at_end.to_owned()),
        io::ErrorKind::BrokenPipe => FetchError::Connect(format!("write tcp {ends}: write: broken pipe")),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            FetchError::Protocol(format!("malformed chunked encoding: {error}"))
        }
        _ => FetchError::Connect(format!("read tcp {ends}: read: {}", system_words(error))),
    }
}

fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
    )
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| inner(*error))
}

fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // An I/O error that wraps another one gives that one's source as its own, and so hides it.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    find(error)
}

fn find_io<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    find(error)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}
