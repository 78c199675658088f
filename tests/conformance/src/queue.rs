//! The contract of [`Queue`].

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join;
use platform::{Clock, MESSAGE_BYTES_MAX, MESSAGE_DELAY_MAX, Message, PlatformError, Queue};

/// How the suite measures an adapter's queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueTiming {
    /// The suite's unit of delays and visibilities: long enough for a few calls.
    pub unit: Duration,
    /// How often the queue delivers a message before it gives it up.
    pub receives_max: u32,
}

/// Checks an adapter's empty queue that nobody else uses.
///
/// # Panics
/// Where the adapter breaks the contract.
pub async fn queue(queue: &dyn Queue, clock: &dyn Clock, timing: QueueTiming) {
    let suite = Suite { queue, clock, timing };
    suite.an_empty_queue_gives_nothing().await;
    suite.a_deleted_message_is_delivered_no_more().await;
    suite.delays_are_kept().await;
    suite.a_waiting_receiver_is_woken().await;
    suite.a_message_that_is_not_deleted_comes_again().await;
    suite.batches_are_bounded_and_nothing_is_left_out().await;
    suite.a_message_that_nobody_can_handle_is_given_up().await;
    suite.bodies_and_delays_are_bounded().await;
}

struct Suite<'a> {
    queue: &'a dyn Queue,
    clock: &'a dyn Clock,
    timing: QueueTiming,
}

impl Suite<'_> {
    fn units(&self, count: u32) -> Duration {
        self.timing.unit * count
    }

    async fn send(&self, body: &'static str, delay: Duration) {
        self.queue.send(Bytes::from_static(body.as_bytes()), delay).await.expect("send");
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Vec<Message> {
        let messages = self.queue.receive(max, visibility, wait).await.expect("receive");
        assert!(messages.len() <= max);
        messages
    }

    /// The one message that is due within so many units, hidden for so many.
    async fn receive_one(&self, visibility: u32, wait: u32) -> Message {
        let mut messages = self.receive(10, self.units(visibility), self.units(wait)).await;
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    async fn assert_none_for(&self, units: u32) {
        assert_eq!(self.receive(10, self.units(1), self.units(units)).await, []);
    }

    async fn an_empty_queue_gives_nothing(&self) {
        self.assert_none_for(0).await;
        let start_ns = self.clock.monotonic_ns();
        self.assert_none_for(2).await;
        let waited = Duration::from_nanos(self.clock.monotonic_ns() - start_ns);
        assert!(waited < self.units(20), "{waited:?} is more than was asked for");
    }

    async fn a_deleted_message_is_delivered_no_more(&self) {
        self.send("once", Duration::ZERO).await;
        let message = self.receive_one(4, 20).await;
        assert_eq!((&message.body[..], message.receive_count), (&b"once"[..], 1));
        self.assert_none_for(0).await;
        self.queue.delete(&message.receipt).await.expect("delete");
        self.assert_none_for(6).await;
        self.queue.delete(&message.receipt).await.expect("deleting again succeeds");
    }

    async fn delays_are_kept(&self) {
        let start_ns = self.clock.monotonic_ns();
        self.send("delayed", self.units(4)).await;
        self.assert_none_for(0).await;
        let message = self.receive_one(20, 40).await;
        let waited = Duration::from_nanos(self.clock.monotonic_ns() - start_ns);
        assert!(waited >= self.units(4), "delivered after {waited:?}");
        self.queue.delete(&message.receipt).await.expect("delete");
    }

    async fn a_waiting_receiver_is_woken(&self) {
        let start_ns = self.clock.monotonic_ns();
        let send_later = async {
            self.clock.sleep(self.units(2)).await;
            self.send("at last", Duration::ZERO).await;
        };
        let (message, ()) = join(self.receive_one(100, 100), send_later).await;
        let waited = Duration::from_nanos(self.clock.monotonic_ns() - start_ns);
        assert!(waited < self.units(50), "waited {waited:?} for a message sent after 2 units");
        self.queue.delete(&message.receipt).await.expect("delete");
    }

    async fn a_message_that_is_not_deleted_comes_again(&self) {
        self.send("again", Duration::ZERO).await;
        let first = self.receive_one(3, 20).await;
        let start_ns = self.clock.monotonic_ns();
        let second = self.receive_one(40, 40).await;
        let hidden = Duration::from_nanos(self.clock.monotonic_ns() - start_ns);
        // The first delivery's time began before its answer was here.
        assert!(hidden >= self.units(1), "hidden for only {hidden:?}");
        assert_eq!((&second.body[..], second.receive_count), (&b"again"[..], 2));
        assert_ne!(first.receipt, second.receipt, "a receipt is of one delivery");
        self.queue.delete(&first.receipt).await.expect("an outdated receipt is no error");
        self.queue.delete(&second.receipt).await.expect("delete");
        self.assert_none_for(2).await;
    }

    async fn batches_are_bounded_and_nothing_is_left_out(&self) {
        let bodies = ["a", "b", "c", "d", "e"];
        for body in bodies {
            self.send(body, Duration::ZERO).await;
        }
        assert_eq!(self.receive(0, self.units(1), Duration::ZERO).await, []);
        let mut received = BTreeSet::new();
        while received.len() < bodies.len() {
            let messages = self.receive(2, self.units(100), self.units(20)).await;
            assert!(!messages.is_empty(), "only {received:?} came");
            for message in messages {
                assert!(received.insert(message.body), "a hidden message came again");
                self.queue.delete(&message.receipt).await.expect("delete");
            }
        }
        assert_eq!(received, bodies.map(Bytes::from_static_str).into());
        self.assert_none_for(0).await;
    }

    async fn a_message_that_nobody_can_handle_is_given_up(&self) {
        self.send("poison", Duration::ZERO).await;
        for count in 1..=self.timing.receives_max {
            assert_eq!(self.receive_one(1, 20).await.receive_count, count);
        }
        self.assert_none_for(4).await;
    }

    async fn bodies_and_delays_are_bounded(&self) {
        let largest = Bytes::from(vec![b'x'; MESSAGE_BYTES_MAX]);
        self.queue.send(largest.clone(), Duration::ZERO).await.expect("the largest body");
        let message = self.receive_one(100, 20).await;
        assert_eq!(message.body, largest);
        self.queue.delete(&message.receipt).await.expect("delete");
        for (bytes, delay) in
            [(MESSAGE_BYTES_MAX + 1, Duration::ZERO), (1, MESSAGE_DELAY_MAX + Duration::from_secs(1))]
        {
            let refused = self.queue.send(Bytes::from(vec![b'x'; bytes]), delay).await;
            assert!(matches!(refused, Err(PlatformError::Invalid { .. })), "{refused:?}");
        }
    }
}

/// `Bytes` of a literal, as a function to map with.
trait FromStaticStr {
    fn from_static_str(text: &'static str) -> Self;
}

impl FromStaticStr for Bytes {
    fn from_static_str(text: &'static str) -> Self {
        Self::from_static(text.as_bytes())
    }
}
