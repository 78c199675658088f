//! A queue in the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use platform::{Message, PlatformError, PlatformFuture, Queue, Receipt, check_message};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::blocking::lock;

/// How many dead letters are kept for inspection; older ones are only counted.
const DEAD_LETTERS_KEPT: usize = 1_000;

/// Longer ones are cut to this, which is what SQS allows.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 3600);

/// Longer ones are cut to this, so that no sum of times overflows.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// How often a message is delivered before it becomes a dead letter.
    pub receives_max: u32,
    /// How many messages it holds; more are throttled.
    pub messages_max: usize,
}

impl Default for QueueLimits {
    /// Five deliveries, 100,000 messages.
    fn default() -> Self {
        Self { receives_max: 5, messages_max: 100_000 }
    }
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Due now.
    pub ready: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
    /// Delivered, and neither deleted nor visible again.
    pub in_flight: usize,
    /// Given up since the process started.
    pub dead_letters: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What was sent.
    pub body: Bytes,
    /// How often it had been delivered.
    pub receive_count: u32,
}

/// A queue in memory: its messages are lost with the process, so whoever sends must send again at the next start.
#[derive(Debug)]
pub struct LocalQueue {
    limits: QueueLimits,
    state: Mutex<State>,
    /// Rung at every send, so that waiting receivers look again.
    sent: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    messages: BTreeMap<u64, Stored>,
    /// When each message can be delivered next: after its delay, or when its visibility ends.
    due: BTreeSet<(Instant, u64)>,
    dead: VecDeque<DeadLetter>,
    dead_count: u64,
}

#[derive(Debug)]
struct Stored {
    body: Bytes,
    receive_count: u32,
    due: Instant,
}

impl LocalQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), sent: Notify::new() }
    }

    /// How many messages it holds now.
    #[must_use]
    pub fn depth(&self) -> QueueDepth {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.bury(now, self.limits.receives_max);
        let mut depth = QueueDepth { dead_letters: state.dead_count, ..QueueDepth::default() };
        for message in state.messages.values() {
            let count = if message.due <= now {
                &mut depth.ready
            } else if message.receive_count == 0 {
                &mut depth.delayed
            } else {
                &mut depth.in_flight
            };
            *count += 1;
        }
        depth
    }

    /// The latest dead letters, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut state = lock(&self.state);
        state.bury(Instant::now(), self.limits.receives_max);
        state.dead.iter().cloned().collect()
    }

    async fn receive_within(&self, max: usize, visibility: Duration, wait: Duration) -> Vec<Message> {
        let visibility = visibility.min(VISIBILITY_MAX);
        let until = Instant::now() + wait.min(WAIT_MAX);
        loop {
            // Listen before looking: what is sent in between must ring.
            let sent = self.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            let now = Instant::now();
            let next = {
                let mut state = lock(&self.state);
                let messages = state.take(now, max, visibility, self.limits.receives_max);
                if !messages.is_empty() || now >= until || max == 0 {
                    return messages;
                }
                state.due.first().map_or(until, |(due, _)| until.min(*due))
            };
            tokio::select! {
                () = sent => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }
}

impl State {
    /// Moves what was delivered as often as allowed, and is due again, to the dead letters.
    fn bury(&mut self, now: Instant, receives_max: u32) {
        let spent =
            |id: &u64| self.messages.get(id).is_some_and(|stored| stored.receive_count >= receives_max);
        let buried: Vec<(Instant, u64)> =
            self.due.iter().take_while(|(due, _)| *due <= now).filter(|(_, id)| spent(id)).copied().collect();
        for key in buried {
            self.due.remove(&key);
            self.bury_one(key.1);
        }
    }

    fn bury_one(&mut self, id: u64) {
        let Some(stored) = self.messages.remove(&id) else { return };
        self.dead_count += 1;
        if self.dead.len() == DEAD_LETTERS_KEPT {
            self.dead.pop_front();
        }
        tracing::warn!(receive_count = stored.receive_count, "message moved to the dead letters");
        self.dead.push_back(DeadLetter { body: stored.body, receive_count: stored.receive_count });
    }

    /// Delivers up to `max` messages that are due, longest due first, and buries the spent ones that it meets.
    fn take(&mut self, now: Instant, max: usize, visibility: Duration, receives_max: u32) -> Vec<Message> {
        let mut messages = Vec::new();
        // Hidden only afterwards, or one that is not hidden at all would be met again.
        let mut hidden = Vec::new();
        while messages.len() < max {
            let Some((_, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) else { break };
            self.due.pop_first();
            let Some(stored) = self.messages.get_mut(&id) else { continue };
            if stored.receive_count >= receives_max {
                self.bury_one(id);
                continue;
            }
            stored.receive_count += 1;
            stored.due = now + visibility;
            hidden.push((stored.due, id));
            messages.push(Message {
                body: stored.body.clone(),
                receipt: receipt(id, stored.receive_count),
                receive_count: stored.receive_count,
            });
        }
        self.due.extend(hidden);
        messages
    }

    /// Removes the message that `wanted` was the latest delivery of.
    fn delete(&mut self, wanted: &Receipt) {
        let id = wanted.0.split_once('-').and_then(|(id, _)| id.parse::<u64>().ok());
        let Some((id, stored)) = id.and_then(|id| self.messages.get(&id).map(|stored| (id, stored))) else {
            return;
        };
        if receipt(id, stored.receive_count) == *wanted {
            self.due.remove(&(stored.due, id));
            self.messages.remove(&id);
        }
    }
}

impl Queue for LocalQueue {
    fn send(&self, body: Bytes, delay: Duration) -> PlatformFuture<'_, ()> {
        Box::pin(async move {
            check_message("send", body.len(), delay)?;
            {
                let mut state = lock(&self.state);
                if state.messages.len() >= self.limits.messages_max {
                    return Err(PlatformError::Throttled { operation: "send".to_owned() });
                }
                let id = state.next_id;
                state.next_id += 1;
                let due = Instant::now() + delay;
                state.messages.insert(id, Stored { body, receive_count: 0, due });
                state.due.insert((due, id));
            }
            self.sent.notify_waiters();
            Ok(())
        })
    }

    fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> PlatformFuture<'_, Vec<Message>> {
        Box::pin(async move { Ok(self.receive_within(max, visibility, wait).await) })
    }

    fn delete<'a>(&'a self, receipt: &'a Receipt) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            lock(&self.state).delete(receipt);
            Ok(())
        })
    }
}

fn receipt(id: u64, receive_count: u32) -> Receipt {
    Receipt(format!("{id}-{receive_count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(receives_max: u32) -> LocalQueue {
        LocalQueue::new(QueueLimits { receives_max, messages_max: 3 })
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_receiver_gets_a_delayed_message_when_it_is_due() {
        let queue = queue(5);
        let start = Instant::now();
        let (received, sent) = tokio::join!(queue.receive(10, SECOND, 20 * SECOND), async {
            tokio::time::sleep(SECOND).await;
            queue.send(Bytes::from_static(b"late"), 9 * SECOND).await?;
            queue.send(Bytes::from_static(b"soon"), 2 * SECOND).await
        });
        sent.unwrap();
        assert_eq!(received.unwrap()[0].body, "soon");
        // The timer's grain is a millisecond.
        let waited = start.elapsed();
        assert!(waited >= 3 * SECOND && waited < 3 * SECOND + Duration::from_millis(5), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn depths_follow_a_message_from_sent_to_dead() {
        let queue = queue(2);
        queue.send(Bytes::from_static(b"poison"), SECOND).await.unwrap();
        let depth =
            |ready, delayed, in_flight, dead_letters| QueueDepth { ready, delayed, in_flight, dead_letters };
        assert_eq!(queue.depth(), depth(0, 1, 0, 0));
        tokio::time::sleep(SECOND).await;
        assert_eq!(queue.depth(), depth(1, 0, 0, 0));
        for count in 1..=2 {
            let received = queue.receive(1, SECOND, Duration::ZERO).await.unwrap();
            assert_eq!(received[0].receive_count, count);
            assert_eq!(queue.depth(), depth(0, 0, 1, 0));
            tokio::time::sleep(SECOND).await;
        }
        assert_eq!(queue.receive(1, SECOND, Duration::ZERO).await.unwrap(), []);
        assert_eq!(queue.depth(), depth(0, 0, 0, 1));
        assert_eq!(
            queue.dead_letters(),
            [DeadLetter { body: Bytes::from_static(b"poison"), receive_count: 2 }]
        );
    }

    #[tokio::test]
    async fn a_full_queue_throttles() {
        let queue = queue(5);
        for _ in 0..3 {
            queue.send(Bytes::new(), Duration::ZERO).await.unwrap();
        }
        let refused = queue.send(Bytes::new(), Duration::ZERO).await;
        assert!(matches!(refused, Err(PlatformError::Throttled { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_receipt_does_not_delete_a_new_delivery() {
        let queue = queue(5);
        queue.send(Bytes::new(), Duration::ZERO).await.unwrap();
        let first = queue.receive(1, SECOND, Duration::ZERO).await.unwrap();
        tokio::time::sleep(SECOND).await;
        let second = queue.receive(1, SECOND, Duration::ZERO).await.unwrap();
        queue.delete(&first[0].receipt).await.unwrap();
        assert_eq!(queue.depth().in_flight, 1);
        queue.delete(&second[0].receipt).await.unwrap();
        assert_eq!(queue.depth(), QueueDepth::default());
        queue.delete(&Receipt("nonsense".to_owned())).await.unwrap();
    }
}
