//! Disks that are full or read-only: a clear refusal, never wrong samples, never a panic; and on it goes once they are not.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use e2e::{Foxfire, Pusher, SmallDisk, build, eventually, free_port, serve_arguments};
use tempfile::TempDir;

const FLAGS: &[&str] = &["--web.enable-remote-write-receiver", "--storage.tsdb.min-block-duration=5s"];
const ITSELF: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n\
                      scrape_configs: [{job_name: foxfire, static_configs: [{targets: ['{address}']}]}]\n";

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn seconds(timestamp: i64) -> f64 {
    timestamp as f64 / 1000.0
}

fn assert_no_panic(foxfire: &mut Foxfire) {
    assert!(foxfire.process().is_running(), "{}", foxfire.process().log());
    let log = foxfire.process().log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Pushes until a push is acknowledged.
fn push_until_acknowledged(foxfire: &Foxfire, pusher: &mut Pusher) {
    eventually("a push is acknowledged", Duration::from_secs(60), || {
        match pusher.push(&foxfire.address, now_ms()) {
            Ok((204, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Pushes until one is refused, and tells with what.
fn push_until_full(foxfire: &Foxfire, pusher: &mut Pusher) -> (u16, String) {
    pusher.ballast = 400_000;
    eventually("the disk is full", Duration::from_secs(60), || {
        match pusher.push(&foxfire.address, now_ms()).unwrap() {
            (204, _) => Err("there is still room".to_owned()),
            refusal => Ok(refusal),
        }
    })
}

/// Starts foxfire where it may fail: whether it still runs after some seconds, and what it has printed.
fn start_for_a_while(by: &[String], folder: &Path) -> (bool, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let log = folder.join("for-a-while");
    let out = std::fs::File::create(&log).unwrap();
    let mut command = Command::new(&by[0]);
    command.args(&by[1..]).arg(build()).args(serve_arguments(folder, &address, FLAGS));
    let mut started = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let ended = started.try_wait().unwrap();
    let _ = started.kill();
    let _ = started.wait();
    assert!(!ended.is_some_and(|status| status.success()), "it ended as if all were well");
    (ended.is_none(), std::fs::read_to_string(&log).unwrap())
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let disk = SmallDisk::mount(&data, 24 << 20);
    let ballast = ["ballast-1", "ballast-2"].map(|name| disk.path().join(name));
    for file in &ballast {
        std::fs::write(file, vec![1; 6 << 20]).unwrap();
    }
    let mut foxfire = Foxfire::start_in(folder, &disk.by(), ITSELF, &[], FLAGS);
    let mut pusher = Pusher::default();
    for _ in 0..20 {
        push_until_acknowledged(&foxfire, &mut pusher);
    }
    let before = now_ms();
    pusher.check(&foxfire, seconds(before));
    let up = foxfire.query("up[1m]", Some(seconds(before)));
    let check = |foxfire: &mut Foxfire, pusher: &Pusher| {
        pusher.check(foxfire, seconds(now_ms()));
        assert_eq!(foxfire.query("up[1m]", Some(seconds(before))), up);
        assert_no_panic(foxfire);
    };

    let (status, body) = push_until_full(&foxfire, &mut pusher);
    assert!(status >= 500 && body.to_lowercase().contains("no space left on device"), "{status} {body}");
    // It stays full for a while: scrapes and compactions fail, too, and nothing that was there changes.
    for _ in 0..30 {
        let _ = pusher.push(&foxfire.address, now_ms()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    check(&mut foxfire, &pusher);

    // With room again, on it goes by itself.
    std::fs::remove_file(&ballast[0]).unwrap();
    pusher.ballast = 0;
    push_until_acknowledged(&foxfire, &mut pusher);
    check(&mut foxfire, &pusher);

    // A start on a full disk works or is refused with the reason.
    push_until_full(&foxfire, &mut pusher);
    foxfire.process().kill();
    let (runs, said) = start_for_a_while(&disk.by(), foxfire.folder.path());
    assert!(runs || said.to_lowercase().contains("no space left on device"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    std::fs::remove_file(&ballast[1]).unwrap();
    foxfire.restart();
    check(&mut foxfire, &pusher);
    pusher.ballast = 0;
    push_until_acknowledged(&foxfire, &mut pusher);
    check(&mut foxfire, &pusher);
    println!(
        "{} pushes acknowledged, {} refused; a start on the full disk: {}",
        pusher.acknowledged.len(),
        pusher.others.len(),
        if runs { "runs" } else { "refused" }
    );
}

/// The command that starts another one as somebody whom permissions bind: root may write anywhere, unless it gives that up.
fn bound_by_permissions() -> Vec<String> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return Vec::new();
    }
    let give_up = "-dac_override,-dac_read_search,-fowner";
    ["setpriv", &format!("--bounding-set={give_up}"), &format!("--inh-caps={give_up}"), "--"]
        .map(str::to_owned)
        .to_vec()
}

fn chmod(path: &Path, mode: &str) {
    let changed = Command::new("chmod").args(["-R", mode]).arg(path).status().unwrap();
    assert!(changed.success());
}

#[test]
fn a_read_only_directory_is_refused_at_the_start_by_name() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("prometheus.yml"), "scrape_configs: []\n").unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let disk = SmallDisk::mount(&data, 1 << 20);
    let mut command = Command::new(&disk.by()[0]);
    let remounted = command.args(&disk.by()[1..]).args(["mount", "-o", "remount,ro"]).arg(&data).status();
    assert!(remounted.unwrap().success());
    let mut command = Command::new(&disk.by()[0]);
    command.args(&disk.by()[1..]).arg(build());
    let output = command.args(serve_arguments(folder.path(), "127.0.0.1:0", FLAGS)).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.to_lowercase().contains("read-only file system"), "{said}");
    assert!(said.contains(&data.display().to_string()), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// While it runs, the directory loses its write permission: what needs a new file fails, with the file's name in the log;
/// what is there can be queried; afterwards it goes on.
#[test]
fn a_directory_that_becomes_read_only_costs_what_needs_new_files_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let by = bound_by_permissions();
    let mut foxfire = Foxfire::start_in(folder, &by, ITSELF, &[], FLAGS);
    let mut pusher = Pusher::default();
    for _ in 0..20 {
        push_until_acknowledged(&foxfire, &mut pusher);
    }
    let before = now_ms();
    let up = foxfire.query("up[1m]", Some(seconds(before)));
    chmod(&data, "a-w");
    // Each of these has a layout that nobody has stored yet.
    pusher.ballast = 50_000;
    let mut refused = String::new();
    for _ in 0..10 {
        if let (500.., body) = pusher.push(&foxfire.address, now_ms()).unwrap() {
            refused = body;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(refused.to_lowercase().contains("permission denied"), "{refused}");
    pusher.check(&foxfire, seconds(now_ms()));
    assert_eq!(foxfire.query("up[1m]", Some(seconds(before))), up);
    assert_no_panic(&mut foxfire);

    chmod(&data, "u+w");
    push_until_acknowledged(&foxfire, &mut pusher);
    pusher.check(&foxfire, seconds(now_ms()));
    assert_no_panic(&mut foxfire);
    println!("{} pushes acknowledged, {} refused", pusher.acknowledged.len(), pusher.others.len());
}
