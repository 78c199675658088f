//! How a handler runs on Lambda: settings from the environment, events in, answers out.
