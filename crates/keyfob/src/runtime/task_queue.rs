//! A limit on the tasks that run at once. The others wait in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::lock::{Mutex, lock};

/// Starts at most a number of tasks at once, first come, first served.
///
/// A task that waits is only a closure: it needs no thread and no timer. A task that ends starts the next one.
#[derive(Clone)]
pub(crate) struct TaskQueue(Arc<State>);

struct State {
    limits: Limits,
    tasks: Mutex<Tasks>,
}

/// How many tasks run at once, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

#[derive(Default)]
struct Tasks {
    /// The tasks that run.
    running: Vec<Running>,
    started: u64,
    waiting: VecDeque<Start>,
    /// A thread takes tasks from the queue and starts them.
    starting: bool,
}

/// A task that runs, and how to tell that nothing runs it any more.
struct Running {
    number: u64,
    is_lost: Option<IsLost>,
}

/// Whether nothing runs a task any more, at this time of the clock.
type IsLost = Box<dyn Fn(Duration) -> bool + Send>;

/// Starts a task, which drops its place when it ends.
pub(crate) type Start = Box<dyn FnOnce(Place) + Send>;

/// The place of a task that runs. The next task starts when it is dropped, or was taken back.
pub(crate) struct Place {
    queue: TaskQueue,
    number: u64,
}

/// How many tasks run and wait now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

impl TaskQueue {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(State {
            limits,
            tasks: Mutex::default(),
        }))
    }

    /// Starts the task now, or when its turn comes.
    pub(crate) fn run(&self, start: Start) {
        let mut tasks = lock(&self.0.tasks);
        if tasks.running.len() < self.0.limits.running && tasks.waiting.is_empty() {
            let place = self.place(&mut tasks);
            drop(tasks);
            return start(place);
        }
        tasks.waiting.push_back(start);
        drop(tasks);
        self.start_waiting();
    }

    /// Whether one more task would have to wait, and may not.
    pub(crate) fn is_full(&self) -> bool {
        let load = self.load();
        load.running >= self.0.limits.running && load.waiting >= self.0.limits.waiting
    }

    pub(crate) fn load(&self) -> Load {
        let tasks = lock(&self.0.tasks);
        Load {
            running: tasks.running.len(),
            waiting: tasks.waiting.len(),
        }
    }

    /// Takes back the places of tasks that nothing runs any more, and starts others.
    pub(crate) fn take_back(&self, now: Duration) {
        let mut tasks = lock(&self.0.tasks);
        let is_lost = |task: &Running| task.is_lost.as_ref().is_some_and(|is_lost| is_lost(now));
        tasks.running.retain(|task| !is_lost(task));
        drop(tasks);
        self.start_waiting();
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Starts tasks while there are places.
    ///
    /// A runtime that has stopped drops a task at once, and its place with it. That place starts nothing itself, because a
    /// queue of 100,000 tasks would then end in as many nested calls: the loop that runs already does.
    fn start_waiting(&self) {
        while let Some((start, place)) = self.take() {
            let _starting = Starting(self);
            start(place);
        }
    }

    /// Takes the next task, if there is a place and no other thread is starting one.
    fn take(&self) -> Option<(Start, Place)> {
        let mut tasks = lock(&self.0.tasks);
        if tasks.starting || tasks.running.len() >= self.0.limits.running {
            return None;
        }
        let start = tasks.waiting.pop_front()?;
        tasks.starting = true;
        Some((start, self.place(&mut tasks)))
    }

    fn place(&self, tasks: &mut Tasks) -> Place {
        tasks.started += 1;
        let number = tasks.started;
        tasks.running.push(Running {
            number,
            is_lost: None,
        });
        let queue = self.clone();
        Place { queue, number }
    }
}

/// Ends the start of a task, even if the runtime panics.
struct Starting<'a>(&'a TaskQueue);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        lock(&self.0.0.tasks).starting = false;
    }
}

impl Place {
    /// Sets when the place can be [taken back](TaskQueue::take_back), because the task cannot give it back itself.
    pub(crate) fn lost_if(&self, is_lost: impl Fn(Duration) -> bool + Send + 'static) {
        let mut tasks = lock(&self.queue.0.tasks);
        let task = tasks.running.iter_mut();
        if let Some(task) = task.rev().find(|task| task.number == self.number) {
            task.is_lost = Some(Box::new(is_lost));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tasks = lock(&self.queue.0.tasks);
        tasks.running.retain(|task| task.number != self.number);
        drop(tasks);
        self.queue.start_waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Places = Arc<Mutex<Vec<(usize, Place)>>>;

    fn queue(running: usize) -> TaskQueue {
        TaskQueue::new(Limits {
            running,
            waiting: 3,
        })
    }

    /// Runs a task that keeps its place until the test takes it.
    fn run(queue: &TaskQueue, number: usize, places: &Places) {
        let places = Arc::clone(places);
        queue.run(Box::new(move |place| lock(&places).push((number, place))));
    }

    fn running(places: &Places) -> Vec<usize> {
        lock(places).iter().map(|(number, _)| *number).collect()
    }

    fn end_first(places: &Places) {
        let ended = lock(places).remove(0);
        drop(ended);
    }

    #[test]
    fn tasks_start_in_the_order_in_which_they_came() {
        let (queue, places) = (queue(2), Places::default());
        for number in 0..5 {
            run(&queue, number, &places);
        }
        assert_eq!(running(&places), [0, 1]);
        assert!(queue.is_full());
        end_first(&places);
        assert_eq!(running(&places), [1, 2]);
        assert!(!queue.is_full());
        for _ in 0..4 {
            end_first(&places);
        }
        let nothing = Load {
            running: 0,
            waiting: 0,
        };
        assert_eq!(queue.load(), nothing);
    }

    #[test]
    fn a_runtime_that_drops_every_task_empties_a_long_queue_without_deep_calls() {
        let (queue, places) = (queue(1), Places::default());
        run(&queue, 0, &places);
        let started = Arc::new(Mutex::new(0));
        for _ in 0..100_000 {
            let started = Arc::clone(&started);
            queue.run(Box::new(move |_dropped_at_once| *lock(&started) += 1));
        }
        end_first(&places);
        assert_eq!(*lock(&started), 100_000);
        assert_eq!(queue.load().running, 0);
    }

    #[test]
    fn a_start_that_panics_frees_its_place() {
        let queue = queue(1);
        let start = || queue.run(Box::new(|_place| panic!("no runtime")));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(start));
        assert!(panicked.is_err());
        let places = Places::default();
        run(&queue, 1, &places);
        assert_eq!(running(&places), [1]);
    }
}
