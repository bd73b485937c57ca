//! What moves a cluster's time on: whoever waits, if it is virtual; a thread of its own, by the wall clock.

use super::{post::Post, world::World};
use crate::{
    env::{Clock, Driver, ManualClock, Monitor, Slot},
    error::{Error, Result},
    node::forget_partitions,
    sync::spawn,
    types::{Instant, Timestamp},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

#[derive(Debug)]
pub(super) enum Time {
    Virtual(ManualClock),
    Wall(Arc<Wall>),
}

/// The time passes by itself, in a thread that ends with the world: clients that outlive the cluster's handles are answered too.
#[derive(Debug)]
pub(super) struct Wall {
    post: Arc<Post>,
    /// How often everything that was due has happened.
    rounds: Monitor<u64>,
}

impl Time {
    /// The clock of the world that is to be driven by it.
    pub(super) fn clock(manual: Option<&ManualClock>) -> Clock {
        manual.map_or_else(Clock::system, |manual| Clock::Manual(manual.clone()))
    }

    /// Has the time of a world pass from now on.
    pub(super) fn start(world: &Arc<World>) -> Result<Self> {
        if let Clock::Manual(clock) = world.post.clock() {
            let driver: Weak<dyn Driver> = Arc::<World>::downgrade(world) as Weak<dyn Driver>;
            clock.attach(driver);
            return Ok(Self::Virtual(clock.clone()));
        }
        let wall = Arc::new(Wall { post: Arc::clone(&world.post), rounds: Monitor::new(0) });
        let (driver, driven) = (Arc::clone(&wall), Arc::downgrade(world));
        let thread = spawn("brooklet-cluster", move || driver.drive(&driven));
        drop(thread.map_err(|error| Error::Other(Arc::new(error)))?);
        Ok(Self::Wall(wall))
    }

    /// Lets time pass.
    pub(super) fn advance(&self, by: Duration) {
        match self {
            Self::Virtual(clock) => clock.advance(by),
            Self::Wall(wall) => {
                let clock = wall.post.clock();
                Slot::<()>::new().wait(clock, clock.now().plus(by));
            }
        }
    }

    /// Lets time pass until something holds; `false`: it does not within that time.
    pub(super) fn run_until(&self, within: Duration, holds: impl FnMut() -> bool) -> bool {
        match self {
            Self::Virtual(clock) => clock.run_until(within, holds),
            Self::Wall(wall) => wall.holds_within(within, holds),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::Virtual(clock) => clock.now(),
            Self::Wall(wall) => wall.post.clock().wall(),
        }
    }
}

impl Wall {
    fn drive(&self, world: &Weak<World>) {
        loop {
            self.post.sleep();
            let Some(world) = world.upgrade() else { return };
            let now = self.post.clock().now();
            // Whoever waits for it does so in another thread.
            if catch_unwind(AssertUnwindSafe(|| world.fire(now))).is_err() {
                world.give_up();
            }
            if world.check_open().is_err() {
                forget_partitions();
            }
            *self.rounds.lock() += 1;
            self.rounds.notify();
        }
    }

    fn holds_within(&self, within: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let clock = self.post.clock();
        let deadline: Instant = clock.now().plus(within);
        loop {
            let seen = *self.rounds.lock();
            if holds() {
                return true;
            }
            let mut rounds = self.rounds.lock();
            while *rounds == seen {
                if !self.rounds.wait(&mut rounds, clock, deadline) {
                    drop(rounds);
                    return holds();
                }
            }
        }
    }
}
