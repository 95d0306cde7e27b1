//! epoll with a timer that is finer than its milliseconds: an open loop has to send in time.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

/// The number of the timer's own events; clients have smaller ones.
const TIMER: u64 = u64::MAX;

/// Events taken at a time.
const EVENTS_MAX: usize = 1024;

/// How long to wait at most: the end of a run is looked for this often.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(20);

/// What a connection can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// Which one.
    pub(super) client: usize,
    /// It has bytes, its end, or an error.
    pub(super) read: bool,
    /// It takes bytes.
    pub(super) write: bool,
}

pub(super) struct Poller {
    epoll: rustix::fd::OwnedFd,
    timer: rustix::fd::OwnedFd,
    is_armed: bool,
    events: Vec<epoll::Event>,
}

fn interest(write: bool) -> epoll::EventFlags {
    if write { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN }
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Self { epoll, timer, is_armed: false, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a client's socket until it is closed.
    pub(super) fn add(&self, socket: impl AsFd, client: usize, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(client as u64), interest(write))?)
    }

    /// Whether to tell when the socket takes bytes.
    pub(super) fn set_write(&self, socket: impl AsFd, client: usize, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(client as u64), interest(write))?)
    }

    /// Waits for events, for `due_in` or a moment that the driver's own checks need.
    pub(super) fn wait(&mut self, due_in: Option<Duration>) -> io::Result<()> {
        let is_due = due_in.is_some_and(|due| due.is_zero());
        self.arm(due_in.filter(|due| !due.is_zero() && *due < WAIT_MAX))?;
        let wait = if is_due { Duration::ZERO } else { WAIT_MAX };
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn arm(&mut self, due_in: Option<Duration>) -> io::Result<()> {
        if due_in.is_none() && !self.is_armed {
            return Ok(());
        }
        // Zero takes the timer back.
        let due_in = due_in.unwrap_or_default();
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: 0, tv_nsec: i64::from(due_in.subsec_nanos()) };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        self.is_armed = !due_in.is_zero();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Event number `at` of the last wait; `None` for the timer's.
    pub(super) fn ready(&self, at: usize) -> Option<Ready> {
        let event = self.events[at];
        let (data, flags) = (event.data, event.flags);
        (data.u64() != TIMER).then(|| Ready {
            client: data.u64() as usize,
            read: flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::ERR | epoll::EventFlags::HUP),
            write: flags.contains(epoll::EventFlags::OUT),
        })
    }
}
