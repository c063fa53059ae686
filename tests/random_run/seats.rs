//! The managers of the run: one or two for each way to reach the host. Another manager replaces each one that ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::board::Board;
use crate::control::Control;
use crate::dice::Dice;
use crate::stage::{Stage, Way};

const WAYS: [Way; 5] = [Way::Shared, Way::Bare, Way::Alone, Way::Alone, Way::Local];

/// How a manager ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagerEnd {
    Kill,
    Detach,
}

pub struct Seats<'a> {
    stage: &'a Stage,
    board: Arc<Board>,
    next: AtomicUsize,
    managers: Vec<Mutex<Arc<Control>>>,
}

impl<'a> Seats<'a> {
    pub fn new(stage: &'a Stage, board: &Arc<Board>) -> Seats<'a> {
        let mut seats = Seats {
            stage,
            board: Arc::clone(board),
            next: AtomicUsize::new(1),
            managers: Vec::with_capacity(WAYS.len()),
        };
        seats.managers = WAYS.map(|way| Mutex::new(seats.start(way))).into();
        seats
    }

    pub fn start(&self, way: Way) -> Arc<Control> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Control::start(self.stage, &self.board, number, way))
    }

    pub fn all(&self) -> Vec<Arc<Control>> {
        self.managers.iter().map(|manager| Arc::clone(&manager.lock().unwrap())).collect()
    }

    pub fn pick(&self, dice: &mut Dice) -> Arc<Control> {
        Arc::clone(&self.managers[dice.below(self.managers.len())].lock().unwrap())
    }

    /// Puts another manager in the place of this one, and ends this one. Does nothing if another lane has replaced it
    /// already.
    pub fn replace(&self, manager: &Control, end: ManagerEnd) -> Result<(), String> {
        let seat = self.managers.iter().find(|seat| seat.lock().unwrap().number == manager.number);
        let Some(seat) = seat else { return Ok(()) };
        let next = self.start(manager.way);
        {
            let mut seat = seat.lock().unwrap();
            if seat.number != manager.number {
                drop(seat);
                return next.detach();
            }
            *seat = next;
        }
        match end {
            ManagerEnd::Kill => {
                manager.kill();
                Ok(())
            }
            ManagerEnd::Detach => manager.detach(),
        }
    }
}
