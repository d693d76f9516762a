//! The threads of the CPU pool. Admission keeps the queue in front of them short, so it needs no bound of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use imaging::{Cancel, Meter, Scratch};
use tokio::sync::oneshot;

use super::RenderError;

type Work = Box<dyn FnOnce(&mut Scratch) + Send>;

/// Cancels work when the future that waits for it is dropped.
#[derive(Default)]
pub(super) struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    /// The meter of that work.
    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.0.clone())
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        // Work that has ended already does not mind.
        self.0.cancel();
    }
}

/// Threads that take work from one queue. They end when the pool is dropped and the queue is empty.
pub(super) struct Pool(mpsc::Sender<Work>);

impl Pool {
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Work>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name(format!("cpu-{number}"))
                .spawn(move || serve(&receiver))?;
        }
        Ok(Self(sender))
    }

    /// Runs `work` on a thread of the pool, unless the caller has left before it begins. If the caller leaves later, its
    /// meter ends it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Scratch, &Meter) -> T + Send + 'static,
    ) -> Result<T, RenderError> {
        let (answer, answered) = oneshot::channel();
        let waiting = CancelOnDrop::default();
        let meter = waiting.meter();
        let task = move |scratch: &mut Scratch| {
            if !answer.is_closed() {
                // The caller may leave while the work runs; then nobody wants the answer.
                let _ = answer.send(work(scratch, &meter));
            }
        };
        self.0
            .send(Box::new(task))
            .map_err(|_| RenderError::Lost("no thread is left"))?;
        answered
            .await
            .map_err(|_| RenderError::Lost("its thread is gone"))
    }
}

fn serve(queue: &Mutex<mpsc::Receiver<Work>>) {
    let mut scratch = Scratch::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => work(&mut scratch),
            Err(mpsc::RecvError) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_whose_caller_left_is_not_begun() {
        let pool = Pool::start(1).expect("a thread");
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (began, busy) = oneshot::channel();
        let blocking = pool.run(move |_, _| {
            let _ = began.send(());
            held.recv()
        });
        let mut blocking = std::pin::pin!(blocking);
        assert!(futures::poll!(&mut blocking).is_pending());
        busy.await.expect("the thread is busy");

        let mark = Arc::new(());
        let seen = Arc::clone(&mark);
        {
            let abandoned = pool.run(move |_, _| Arc::strong_count(&seen));
            let mut abandoned = std::pin::pin!(abandoned);
            assert!(futures::poll!(&mut abandoned).is_pending());
        }
        release.send(()).expect("the thread waits");
        assert!(matches!(blocking.await, Ok(Ok(()))));
        // Work is done in order, so the abandoned one has been passed over by now.
        let last = pool.run(|_, _| ()).await;
        assert!(last.is_ok() && Arc::strong_count(&mark) == 1);
    }
}
