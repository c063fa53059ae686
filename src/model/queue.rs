//! The receiving end of a queue between threads, with the errors of [`std::sync::mpsc`], so that the crate that
//! implements it is not part of the API.

use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crossbeam_channel as channel;

/// The receiving end of a queue between threads. Any number of threads can receive at a time.
#[derive(Debug)]
pub(crate) struct Queue<T>(channel::Receiver<T>);

impl<T> From<channel::Receiver<T>> for Queue<T> {
    fn from(receiver: channel::Receiver<T>) -> Queue<T> {
        Queue(receiver)
    }
}

impl<T> Queue<T> {
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.0.recv().map_err(|channel::RecvError| RecvError)
    }

    pub(crate) fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(timeout).map_err(|error| match error {
            channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv().map_err(|error| match error {
            channel::TryRecvError::Empty => TryRecvError::Empty,
            channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the receiver, for `select!`.
    pub(crate) fn receiver(&self) -> &channel::Receiver<T> {
        &self.0
    }
}
