//! The client against real sockets that answer by script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const LOCAL: AddressRules = AddressRules { loopback: true, unspecified: false, link_local: false };

/// What a scripted server does with one request.
enum Answer {
    /// Writes these bytes and keeps the connection.
    Keep(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Closes the connection with a reset.
    Reset,
    /// Keeps the connection and says nothing.
    Silence,
}

/// A server that gives the n-th request the n-th answer, over however many connections, and passes on the requests.
fn serve(answers: Vec<Answer>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter();
        while let Ok((mut stream, _)) = listener.accept() {
            while let Some(request) = read_head(&mut stream) {
                let Some(answer) = answers.next() else { return };
                sender.send(request).unwrap();
                match answer {
                    Answer::Keep(bytes) => stream.write_all(&bytes).unwrap(),
                    Answer::Close(bytes) => {
                        let _ = stream.write_all(&bytes);
                        break;
                    }
                    Answer::Reset => {
                        // Closing with unread bytes resets.
                        break;
                    }
                    Answer::Silence => {}
                }
            }
        }
    });
    (address, requests)
}

/// A request's head; of a body nothing is read.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into()
}

fn redirect(location: &str) -> Answer {
    Answer::Keep(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into())
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzip_answer(body: &[u8]) -> Answer {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    Answer::Keep(bytes)
}

fn get(url: String) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url,
        headers: vec![("User-Agent".to_owned(), "foxfire".to_owned())],
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        body_bytes_max: 1 << 20,
        follow_redirects: true,
        insecure_skip_verify: false,
    }
}

async fn fetch(request: HttpRequest) -> Result<HttpResponse, FetchError> {
    SystemFetcher::new(LOCAL).unwrap().fetch(request).await
}

async fn answer_of(answer: Answer) -> Result<HttpResponse, FetchError> {
    let (address, _requests) = serve(vec![answer]);
    fetch(get(format!("http://{address}/metrics"))).await
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let response = answer_of(Answer::Close(
        b"HTTP/1.1 503 Sorry, not now\r\nContent-Type: text/html\r\n\r\nwait".to_vec(),
    ));
    let response = response.await.unwrap();
    assert_eq!(
        (response.status, response.status_line.as_str(), response.content_type.as_str(), &response.body[..]),
        (503, "503 Sorry, not now", "text/html", &b"wait"[..])
    );
    let response = answer_of(Answer::Keep(ok("up 1\n"))).await.unwrap();
    assert_eq!((response.status_line.as_str(), &response.body[..]), ("200 OK", &b"up 1\n"[..]));
}

#[tokio::test]
async fn connections_are_kept_and_a_stale_one_is_replaced() {
    let answers = ["one", "two", "three"];
    let mut script: Vec<Answer> = answers.iter().map(|body| Answer::Keep(ok(body))).collect();
    // After the second answer the server closes what it says it would keep.
    script[1] = Answer::Close(ok("two"));
    let (address, requests) = serve(script);
    let fetcher = SystemFetcher::new(LOCAL).unwrap();
    for body in answers {
        let response = fetcher.fetch(get(format!("http://{address}/"))).await.unwrap();
        assert_eq!(response.body, body);
    }
    let first = requests.recv().unwrap();
    assert!(first.contains("accept-encoding: gzip") && first.contains("user-agent: foxfire"), "{first}");
    assert_eq!(requests.try_iter().count(), 2, "each was asked once");
}

#[tokio::test]
async fn a_request_that_an_idle_connection_swallowed_is_sent_again() {
    let (address, requests) = serve(vec![
        Answer::Keep(ok("one")),
        Answer::Close(Vec::new()),
        Answer::Keep(ok("two")),
        Answer::Close(Vec::new()),
    ]);
    let fetcher = SystemFetcher::new(LOCAL).unwrap();
    for body in ["one", "two"] {
        assert_eq!(fetcher.fetch(get(format!("http://{address}/"))).await.unwrap().body, body);
    }
    assert_eq!(requests.try_iter().count(), 3);
    let post = HttpRequest { method: HttpMethod::Post, ..get(format!("http://{address}/")) };
    assert_eq!(fetcher.fetch(post).await.unwrap_err().to_string(), "EOF", "a POST is never sent twice");
}

#[tokio::test]
async fn errors_read_as_in_go() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fetch(get(format!("http://{free}/metrics"))).await.unwrap_err();
    assert_eq!(refused, FetchError::Connect(format!("dial tcp {free}: connect: connection refused")));

    let unknown = fetch(get("http://nohost.invalid/metrics".to_owned())).await.unwrap_err();
    assert!(matches!(unknown, FetchError::Resolve(_)), "{unknown:?}");
    assert!(unknown.to_string().starts_with("dial tcp: lookup nohost.invalid: "), "{unknown}");

    assert_eq!(answer_of(Answer::Close(Vec::new())).await.unwrap_err().to_string(), "EOF");
    let cut = answer_of(Answer::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec())).await;
    assert_eq!(cut.unwrap_err().to_string(), "unexpected EOF");
    let cut =
        answer_of(Answer::Close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf".to_vec()));
    assert_eq!(cut.await.unwrap_err().to_string(), "unexpected EOF");

    let garbage = answer_of(Answer::Close(b"SSH-2.0-OpenSSH\r\n".to_vec())).await.unwrap_err();
    assert!(
        garbage
            .to_string()
            .starts_with("net/http: HTTP/1.x transport connection broken: malformed HTTP response"),
        "{garbage}"
    );

    for (url, words) in [
        ("ftp://a/", "unsupported protocol scheme \"ftp\""),
        ("/metrics", "unsupported protocol scheme \"\""),
        ("http://", "http: no Host in request URL"),
    ] {
        assert_eq!(fetch(get(url.to_owned())).await, Err(FetchError::Protocol(words.to_owned())), "{url}");
    }
    let header = ("a b".to_owned(), "secret".to_owned());
    let bad = HttpRequest { headers: vec![header], ..get("http://127.0.0.1/".to_owned()) };
    assert_eq!(fetch(bad).await.unwrap_err().to_string(), "net/http: invalid header field name \"a b\"");
}

#[tokio::test]
async fn a_reset_names_both_ends() {
    let (address, _requests) = serve(vec![Answer::Reset]);
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let post = HttpRequest { method: HttpMethod::Post, body, ..get(format!("http://{address}/")) };
    let reset = fetch(post).await.unwrap_err().to_string();
    let ends = format!("->{address}: ");
    assert!(reset.contains(&ends) && reset.contains(" tcp 127.0.0.1:"), "{reset}");
    assert!(reset.ends_with("connection reset by peer") || reset.ends_with("broken pipe"), "{reset}");
}

#[tokio::test]
async fn the_timeout_covers_a_silent_server_and_a_slow_body() {
    let silent = Answer::Silence;
    let slow = Answer::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec());
    for answer in [silent, slow] {
        let (address, _requests) = serve(vec![answer]);
        let request =
            HttpRequest { timeout: Duration::from_millis(200), ..get(format!("http://{address}/")) };
        let late = fetch(request).await.unwrap_err();
        assert_eq!((late.to_string().as_str(), late), ("context deadline exceeded", FetchError::Timeout));
    }
}

#[tokio::test]
async fn bodies_are_bounded_as_received_and_again_decompressed() {
    let limited = |answer: Answer| async move {
        let (address, _requests) = serve(vec![answer]);
        fetch(HttpRequest { body_bytes_max: 1_000, ..get(format!("http://{address}/")) }).await
    };
    let too_large = Err(FetchError::BodyTooLarge);
    assert_eq!(limited(Answer::Keep(ok(&"x".repeat(1_000)))).await.unwrap().body.len(), 1_000);
    assert_eq!(limited(Answer::Keep(ok(&"x".repeat(1_001)))).await, too_large);
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1_001]].concat();
    assert_eq!(limited(Answer::Close(endless)).await, too_large);
    assert_eq!(limited(gzip_answer(&gzipped(&[b'x'; 1_000]))).await.unwrap().body.len(), 1_000);
    assert_eq!(limited(gzip_answer(&gzipped(&[b'x'; 1_001]))).await, too_large);
    let bomb = gzipped(&vec![0; 900_000]);
    assert!(bomb.len() < 1_000);
    assert_eq!(limited(gzip_answer(&bomb)).await, too_large);
}

#[tokio::test]
async fn gzip_is_decoded_whole_or_not_at_all() {
    let members = [gzipped(b"one "), gzipped(b"two")].concat();
    assert_eq!(answer_of(gzip_answer(&members)).await.unwrap().body, "one two");
    assert_eq!(answer_of(gzip_answer(b"")).await.unwrap().body, "");
    let whole = gzipped(&b"0123456789".repeat(100));
    let error = |error: Result<HttpResponse, FetchError>| error.unwrap_err().to_string();
    assert_eq!(error(answer_of(gzip_answer(b"plain text, not gzip")).await), "gzip: invalid header");
    for cut in [5, 12, whole.len() / 2] {
        assert_eq!(error(answer_of(gzip_answer(&whole[..cut])).await), "unexpected EOF", "cut at {cut}");
    }
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for trailer in [&flipped[..], &whole[..whole.len() - 1]] {
        assert_eq!(error(answer_of(gzip_answer(trailer)).await), "gzip: invalid checksum");
    }
    let answer =
        Answer::Keep(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx".to_vec());
    assert_eq!(error(answer_of(answer).await), "unsupported content encoding \"br\"");
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_tenth_request() {
    let script = |redirects: usize| {
        (0..redirects).map(|_| redirect("/next")).chain([Answer::Keep(ok("end"))]).collect::<Vec<_>>()
    };
    let (address, requests) = serve(script(9));
    assert_eq!(fetch(get(format!("http://{address}/"))).await.unwrap().body, "end");
    assert_eq!(requests.try_iter().count(), 10);
    let (address, _requests) = serve(script(10));
    let stopped = fetch(get(format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 10 redirects");
    let (address, _requests) = serve(script(1));
    let request = HttpRequest { follow_redirects: false, ..get(format!("http://{address}/")) };
    assert_eq!(fetch(request).await.unwrap().status, 302);
}

#[tokio::test]
async fn addresses_are_checked_when_connecting_and_after_redirects() {
    let strict = SystemFetcher::new(AddressRules::default()).unwrap();
    for url in ["http://127.0.0.1:1/", "http://0x7f.1:1/", "http://[::ffff:127.0.0.1]:1/", "http://[::1]:1/"]
    {
        let denied = strict.fetch(get(url.to_owned())).await.unwrap_err();
        assert!(matches!(denied, FetchError::Denied(_)), "{url}: {denied:?}");
    }
    let denied = strict.fetch(get("http://localhost:1/".to_owned())).await.unwrap_err();
    assert!(matches!(denied, FetchError::Denied(_)), "a name that resolves to loopback: {denied:?}");

    let (address, _requests) = serve(vec![redirect("http://169.254.169.254/latest/meta-data/")]);
    let denied = fetch(get(format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(denied.to_string(), "address 169.254.169.254 is not allowed");
}

#[tokio::test]
async fn a_plain_server_is_no_tls_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read(&mut hello);
    });
    let request = HttpRequest { insecure_skip_verify: true, ..get(format!("https://{address}/")) };
    let error = fetch(request).await.unwrap_err().to_string();
    assert_eq!(error, "http: server gave HTTP response to HTTPS client");
}
