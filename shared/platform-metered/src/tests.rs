//! What a meter is told.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use platform::{ByteRange, RowKey, RowRange};
use platform_sim::World;

use super::*;

/// Service, operation, units, bytes sent and received.
type Told = (&'static str, &'static str, f64, u64, u64);

#[derive(Default)]
struct Seen(Mutex<Vec<Told>>);

impl Meter for Seen {
    fn count(&self, billed: Billed) {
        let Billed { service, operation, units, sent, received } = billed;
        self.0.lock().unwrap().push((service, operation, units, sent, received));
    }
}

#[test]
fn every_port_tells_what_aws_would_bill() {
    let world = World::new(1);
    world.write_file("targets.json", b"[]".to_vec());
    let seen = Arc::new(Seen::default());
    let meter: Arc<dyn Meter> = Arc::<Seen>::clone(&seen);
    let ports = metered(&world.platform(), &meter);
    world
        .run(async {
            ports.objects.create("a/b", Bytes::from(vec![0; 100_000])).await.unwrap();
            ports.objects.read("a/b", None, ByteRange::At { start: 0, len: 10 }).await.unwrap();
            ports.objects.list("a/", None, 10).await.unwrap();
            ports.objects.delete("a/b").await.unwrap();
            let key = RowKey::new("wal", "0001");
            ports.rows.create(&key, Bytes::from(vec![0; 2_048]), None).await.unwrap();
            ports.rows.get(&key).await.unwrap();
            ports.rows.get(&RowKey::new("wal", "none")).await.unwrap();
            let range = RowRange { partition: "wal".to_owned(), from: "0".to_owned(), until: None };
            for n in 2..12 {
                let key = RowKey::new("wal", format!("{n:04}"));
                ports.rows.create(&key, Bytes::from(vec![0; 200_000]), None).await.unwrap();
            }
            ports.rows.query(&range, 100).await.unwrap();
            ports.scrape_queue.send(Bytes::from(vec![0; 70_000]), Duration::ZERO).await.unwrap();
            ports.files.read("targets.json", 100).await.unwrap();
        })
        .done();
    let seen = seen.0.lock().unwrap();
    let told: Vec<_> = seen.iter().filter(|told| told.1 != "PutItem" || told.2 < 10.0).copied().collect();
    let item = 2_048 + 3 + 4 + 18;
    let queried = item + 10 * (200_000 + 3 + 4 + 18);
    assert_eq!(
        told,
        [
            ("s3", "PutObject", 1.0, 100_000, 0),
            ("s3", "GetObject", 1.0, 0, 10),
            ("s3", "ListObjectsV2", 1.0, 0, 0),
            ("s3", "DeleteObject", 1.0, 0, 0),
            ("dynamodb", "PutItem", 3.0, item, 0),
            ("dynamodb", "GetItem", 1.0, 0, item),
            ("dynamodb", "GetItem", 1.0, 0, 0),
            ("dynamodb", "Query", 256.0, 0, 1 << 20),
            ("dynamodb", "Query", 233.0, 0, queried - (1 << 20)),
            ("sqs", "SendMessage", 2.0, 70_000, 0),
            ("s3", "GetObject", 1.0, 0, 2),
        ]
    );
}
