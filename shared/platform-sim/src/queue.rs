//! Queues in memory: at least once, in no order, with duplicates where the fault plan has them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use platform::{Message, PlatformFuture, Queue, Receipt, check_message};

use crate::stores::{QueueState, StoredMessage, Stores};
use crate::world::{Moment, nanos};
use crate::{Handle, Operation, Random};

/// One of a world's two queues.
#[derive(Clone, Debug)]
pub struct SimQueue {
    world: Handle,
    index: usize,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimQueueDepth {
    /// Waiting, delayed or in flight.
    pub messages: usize,
    /// Given up.
    pub dead_letters: usize,
}

const NAMES: [&str; 2] = ["scrape", "rule"];

impl SimQueue {
    pub(crate) fn new(world: Handle, index: usize) -> Self {
        Self { world, index: index & 1 }
    }

    /// How many messages it holds now.
    #[must_use]
    pub fn depth(&self) -> SimQueueDepth {
        let state = self.world.lock();
        let queue = &state.stores.queues[self.index];
        SimQueueDepth { messages: queue.messages.len(), dead_letters: queue.dead.len() }
    }

    /// The bodies of what was given up, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Bytes> {
        self.world.lock().stores.queues[self.index].dead.clone()
    }

    /// Sends every dead letter again, as an operator does.
    pub fn redrive(&self) {
        let mut state = self.world.lock();
        let due_ns = state.now_ns;
        let queue = &mut state.stores.queues[self.index];
        for body in std::mem::take(&mut queue.dead) {
            queue.send(body, due_ns);
        }
        for waker in queue.waiting.drain(..) {
            waker.wake();
        }
    }

    /// Waits until a message may be due, or the time has come.
    async fn wait_for_message(&self, until_ns: u64) {
        loop {
            let next_ns = {
                let state = self.world.lock();
                let due =
                    state.stores.queues[self.index].messages.values().map(|message| message.due_ns).min();
                let next_ns = due.unwrap_or(u64::MAX).min(until_ns);
                if next_ns <= state.now_ns {
                    return;
                }
                next_ns
            };
            let mut listening = false;
            let rung = poll_fn(|context| {
                if listening {
                    return Poll::Ready(());
                }
                listening = true;
                let waiting = &mut self.world.lock().stores.queues[self.index].waiting;
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            });
            match select(pin!(rung), pin!(self.world.sleep_until(next_ns))).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }

    fn draw_delivery(&self) -> (Random, bool) {
        let mut guard = self.world.lock();
        let state = &mut *guard;
        let (streams, _) = state.actors.current_streams();
        let duplicate = state.faults.duplicate(&mut streams.faults);
        (Random::new(streams.queue.next_u64()), duplicate)
    }
}

impl Queue for SimQueue {
    fn send(&self, body: Bytes, delay: Duration) -> PlatformFuture<'_, ()> {
        Box::pin(async move {
            check_message("send", body.len(), delay)?;
            let index = self.index;
            let change = move |stores: &mut Stores, moment: Moment| {
                stores.queues[index].send(body, moment.now_ns.saturating_add(nanos(delay)));
            };
            self.world.effect(Operation::QueueSend, NAMES[index], change).await
        })
    }

    fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> PlatformFuture<'_, Vec<Message>> {
        Box::pin(async move {
            let index = self.index;
            let until_ns = self.world.lock().now_ns.saturating_add(nanos(wait));
            loop {
                self.wait_for_message(until_ns).await;
                let (random, duplicate) = self.draw_delivery();
                let receives_max = self.world.inner.options.receives_max;
                let visibility_ns = if duplicate { 0 } else { nanos(visibility) };
                let change = move |stores: &mut Stores, moment: Moment| {
                    stores.queues[index].receive(moment.now_ns, max, visibility_ns, receives_max, random)
                };
                let messages = self.world.effect(Operation::QueueReceive, NAMES[index], change).await?;
                if duplicate && !messages.is_empty() {
                    self.world.lock().trace.counters.duplicates += 1;
                }
                if !messages.is_empty() || max == 0 || self.world.lock().now_ns >= until_ns {
                    return Ok(messages);
                }
            }
        })
    }

    fn delete<'a>(&'a self, receipt: &'a Receipt) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            let (index, owned) = (self.index, receipt.clone());
            let change = move |stores: &mut Stores, _| stores.queues[index].delete(&owned);
            self.world.effect(Operation::QueueDelete, NAMES[index], change).await
        })
    }
}

impl QueueState {
    fn send(&mut self, body: Bytes, due_ns: u64) {
        let id = self.next_id;
        self.next_id += 1;
        self.messages.insert(id, StoredMessage { body, receive_count: 0, due_ns });
        self.rung = true;
    }

    /// Delivers up to `max` messages that are due, drawn at random; those delivered often enough become dead letters.
    fn receive(
        &mut self,
        now_ns: u64,
        max: usize,
        visibility_ns: u64,
        receives_max: u32,
        mut random: Random,
    ) -> Vec<Message> {
        let due = |message: &StoredMessage| message.due_ns <= now_ns;
        let spent: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| due(message) && message.receive_count >= receives_max)
            .map(|(id, _)| *id)
            .collect();
        let dead = spent.iter().filter_map(|id| self.messages.remove(id)).map(|message| message.body);
        self.dead.extend(dead);
        let mut ids: Vec<u64> =
            self.messages.iter().filter(|(_, message)| due(message)).map(|(id, _)| *id).collect();
        let mut messages = Vec::new();
        while messages.len() < max && !ids.is_empty() {
            let drawn = usize::try_from(random.below(ids.len() as u64)).unwrap_or(0);
            let id = ids.swap_remove(drawn);
            let Some(message) = self.messages.get_mut(&id) else { continue };
            message.receive_count += 1;
            message.due_ns = now_ns.saturating_add(visibility_ns);
            messages.push(Message {
                body: message.body.clone(),
                receipt: receipt(id, message.receive_count),
                receive_count: message.receive_count,
            });
        }
        messages
    }

    /// Removes the message that `wanted` was the latest delivery of.
    fn delete(&mut self, wanted: &Receipt) {
        let id = wanted.0.split_once('-').and_then(|(id, _)| id.parse::<u64>().ok());
        let Some(id) = id else { return };
        if self.messages.get(&id).is_some_and(|message| receipt(id, message.receive_count) == *wanted) {
            self.messages.remove(&id);
        }
    }
}

fn receipt(id: u64, receive_count: u32) -> Receipt {
    Receipt(format!("{id}-{receive_count}"))
}
