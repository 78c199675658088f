//! `cargo run -p aws`: LocalStack on port 4566 with the stack deployed to it, to play with, until Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a harness fails by panicking")]

use std::io::{Read, Write};

use aws::Stack;

fn main() {
    let stack = Stack::to_play_with(4566);
    let mut text = String::from("\n# In another shell:\n");
    for (name, value) in stack.env() {
        text += &format!("export {name}={value}\n");
    }
    let push = stack.output("ConfigPushCommand").replacen("foxfire", "cargo run -p foxfire --", 1);
    text += &format!("{push}\n");
    text += &format!("curl -s '{}/api/v1/query?query=up'\n", stack.api_url());
    text += "# Schedules tick in real time: the first scrapes come after one to two minutes.\n";
    text += "# Ctrl-C, or the end of standard input, ends it all.\n";
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
