//! libvips, in a worker process: `vips_worker.c` says what it answers.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use imaging::OutputFormat;

use crate::{Result, pixels::Pixels, task::Task};

/// A running worker; ends when dropped.
pub(crate) struct Worker {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The compiled `vips_worker.c`.
#[derive(Debug, Clone)]
pub(crate) struct Program(pub PathBuf);

/// What some repeats of one task came to.
pub(crate) struct Measured {
    /// Bytes of the result.
    pub bytes: usize,
    /// The most that libvips had allocated since the worker started, in bytes; what its codecs allocate is not in it.
    pub heap: usize,
    /// By how much the worker's peak resident memory grew, in bytes.
    pub resident: usize,
    /// CPU time of one repeat in milliseconds, the mean.
    pub milliseconds: f64,
}

impl Program {
    /// Starts a worker.
    pub(crate) fn start(&self) -> Result<Worker> {
        let mut command = Command::new(&self.0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| {
            let worker = self.0.display();
            format!("{worker} does not start ({error}): scripts/bench-imaging compiles it")
        })?;
        let requests = process.stdin.take();
        let answers = process.stdout.take().ok_or("the worker has no stdout")?;
        Ok(Worker {
            process,
            requests,
            answers: BufReader::new(answers),
        })
    }
}

impl Worker {
    /// The version of libvips.
    pub(crate) fn version(&mut self) -> Result<String> {
        Ok(self.ask(&["version"])?.join(" "))
    }

    /// Renders `input` some times; the first result goes into the file `output`.
    pub(crate) fn thumbnail(
        &mut self,
        input: &Path,
        task: &Task,
        repeats: usize,
        output: Option<&Path>,
    ) -> Result<Measured> {
        let answer = self.ask(&[
            "thumbnail",
            text(input)?,
            &task.size.width.to_string(),
            &task.size.height.to_string(),
            suffix(task.output),
            &repeats.to_string(),
            output.map_or(Ok("-"), text)?,
        ])?;
        let &[bytes, heap, resident, ref times @ ..] = &numbers(&answer)?[..] else {
            return Err(format!("the libvips worker answered {answer:?}").into());
        };
        Ok(Measured {
            bytes,
            heap,
            resident: resident * 1024,
            milliseconds: times.iter().sum::<usize>() as f64 / times.len() as f64 / 1e6,
        })
    }

    /// Decodes the whole picture, by way of the file `raw`.
    pub(crate) fn decode(&mut self, input: &Path, raw: &Path) -> Result<Pixels> {
        let answer = self.ask(&["decode", text(input)?, text(raw)?])?;
        let &[width, height, channels] = &numbers(&answer)?[..] else {
            return Err(format!("the libvips worker answered {answer:?}").into());
        };
        Pixels::new(width, height, channels, std::fs::read(raw)?)
    }

    /// Shrinks and cuts a photograph to `width` x `height` and writes it; `options` are libvips' for the format of `output`.
    pub(crate) fn make(
        &mut self,
        photo: &Path,
        (width, height): (u32, u32),
        output: &Path,
        options: &str,
    ) -> Result<()> {
        let output = format!("{}[{options}]", text(output)?);
        let size = [width.to_string(), height.to_string()];
        self.ask(&["make", text(photo)?, &size[0], &size[1], &output])?;
        Ok(())
    }

    fn ask(&mut self, fields: &[&str]) -> Result<Vec<String>> {
        let requests = self.requests.as_mut().ok_or("the worker has no stdin")?;
        writeln!(requests, "{}", fields.join("\t"))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut answer = line.trim_end().split('\t').map(str::to_owned);
        match answer.next().as_deref() {
            Some("ok") => Ok(answer.collect()),
            Some("error") => {
                let why = answer.fold(String::new(), |mut text, part| {
                    let _ = write!(text, " {part}");
                    text
                });
                Err(format!("libvips, asked for {fields:?}:{why}").into())
            }
            _ => Err(format!("the libvips worker ended, asked for {fields:?}").into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.process.wait();
    }
}

/// Format and options, the counterparts of ours: no metadata, 4:2:0 below quality 90, standard Huffman tables. How hard PNG and WebP
/// try is each side's own choice; the bytes tell.
fn suffix(output: OutputFormat) -> &'static str {
    match output {
        OutputFormat::Jpeg => ".jpg[Q=80,strip]",
        OutputFormat::Png => ".png[strip]",
        OutputFormat::Webp => ".webp[Q=80,strip]",
    }
}

fn text(path: &Path) -> Result<&str> {
    let text = path.to_str().filter(|text| !text.contains(['\t', '\n']));
    text.ok_or_else(|| format!("{}: a path the worker can't be told", path.display()).into())
}

fn numbers(answer: &[String]) -> Result<Vec<usize>> {
    let parsed: std::result::Result<_, _> = answer.iter().map(|field| field.parse()).collect();
    parsed.map_err(|_| format!("the libvips worker answered {answer:?}").into())
}
