//! What a scrape gives, end to end but for the network: scripted targets on a clock that only moves when all wait.

mod batches;
mod captures;
mod rules;
mod world;
