//! `cargo run -p localstack [PORT]`: a LocalStack to play with, on port 4566 (0: any free one), until Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a harness fails by panicking")]

use std::io::{Read, Write};

use localstack::{LocalStack, Options};

fn main() {
    let port: u16 = std::env::args().nth(1).map_or(4566, |port| port.parse().unwrap());
    let port = (port > 0).then_some(port);
    let running = LocalStack::start(&Options { name: "play".into(), port, ..Options::default() });
    let mut text = format!("# LocalStack runs; its log: {}\n", running.log().display());
    for (name, value) in running.env() {
        text += &format!("export {name}={value}\n");
    }
    text += "# Ctrl-C, or the end of standard input, stops it.\n";
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
