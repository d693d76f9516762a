//! The threads of the CPU pool. Admission keeps the queue in front of them short, so it needs no bound of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use imaging::Scratch;
use tokio::sync::oneshot;

use super::RenderError;

type Work = Box<dyn FnOnce(&mut Scratch) + Send>;

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

    /// Runs `work` on a thread of the pool, unless the caller has left before it begins.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Result<T, RenderError> {
        let (answer, answered) = oneshot::channel();
        let task = move |scratch: &mut Scratch| {
            if !answer.is_closed() {
                // The caller may leave while the work runs; then nobody wants the answer.
                let _ = answer.send(work(scratch));
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
