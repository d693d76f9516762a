//! `chitram-stack demo`: the main job in one command.
//!
//! Start the platform on free ports in a temporary folder, make and seed pictures, let `chitram-chaos` run the three
//! experiments (it starts the load itself), name the report, draw the boards where a Prometheus was found, stop everything, remove everything temporary. Every step is a
//! program that people can also run by themselves.

mod boards;
mod home;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::alerts::Alerts;
use crate::console;
use crate::error::{Error, exit};
use crate::folder::Folder;
use crate::interrupt::Interrupts;
use crate::platform::{Platform, Ports, Setup, Take};
use crate::process::{Output, Signal, Spec};
use crate::server::find;
use crate::up::print_addresses;
use home::Home;

/// The shortest baseline and fault that experiments can be judged by, in seconds.
pub const SHORTEST: u32 = 12;

/// The experiments, in their order.
const EXPERIMENTS: [&str; 3] = ["control.toml", "store-slow.toml", "store-blackhole.toml"];
/// How long chaos may take to roll back after Ctrl-C; and after a second one.
const ROLLBACK_DEADLINE: Duration = Duration::from_mins(2);
const HURRIED_ROLLBACK_DEADLINE: Duration = Duration::from_secs(15);

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// Stay in the foreground afterwards, with everything running.
    pub keep: bool,
    /// The person's own pictures.
    pub photos: Option<PathBuf>,
    /// Baseline and fault of each experiment, in seconds: at least [`SHORTEST`].
    pub seconds: u32,
    /// Where the HTML report goes.
    pub report: PathBuf,
    /// Where the results go, as JSON.
    pub result: PathBuf,
    /// The stack's folder; a temporary one when `None`.
    pub dir: Option<PathBuf>,
}

/// The command that runs such a demo again.
fn again(options: &Options) -> String {
    let photos = options.photos.as_ref();
    let photos = photos.map(|photos| format!(" --photos {}", photos.display()));
    match (options.seconds, photos) {
        (SHORTEST, None) => "make demo".to_owned(),
        (seconds, photos) => {
            format!(
                "make demo ARGS=\"--seconds {seconds}{}\"",
                photos.unwrap_or_default()
            )
        }
    }
}

/// Runs the demo. The exit code is that of `chitram-chaos run`.
pub async fn demo(options: &Options, interrupts: &Interrupts) -> Result<u8, Error> {
    let began = Instant::now();
    let inputs = Inputs::find(options)?;
    let home = Home::create(options.dir.as_deref())?;
    let folder = Folder::claim(home.path()).await?;
    step(began, "starting the platform");
    // The log may go with the temporary folder, so its end is shown.
    let setup = Setup {
        take: Take::Embedded,
        without: Vec::new(),
        metrics: Take::Found,
        ports: Ports::default(),
        alerts: Alerts::shipped(),
    };
    let platform = Platform::start(folder, &setup, interrupts)
        .await
        .inspect_err(show_log)?;
    let result = run(&platform, options, &inputs, began, interrupts).await;
    if result.is_ok() && options.keep && !interrupts.stop.is_cancelled() {
        print_addresses(&platform);
        interrupts.stop.cancelled().await;
    }
    step(began, "stopping everything");
    platform.stop(&interrupts.hurry).await;
    result
}

/// What the demo reads, found before anything is started.
struct Inputs {
    experiments: Vec<PathBuf>,
    photos: Vec<PathBuf>,
}

impl Inputs {
    fn find(options: &Options) -> Result<Self, Error> {
        let mut photos = Vec::new();
        if let Some(folder) = &options.photos {
            if !folder.is_dir() {
                let sentence = format!(
                    "--photos {} is not a folder: give one that holds pictures",
                    folder.display()
                );
                return Err(Error::Usage(sentence));
            }
            photos.push(folder.clone());
        }
        photos.extend(
            find::cache()
                .map(|cache| cache.join("photos"))
                .filter(|folder| holds_something(folder)),
        );
        Ok(Self {
            experiments: find_experiments()?,
            photos,
        })
    }
}

fn holds_something(folder: &Path) -> bool {
    folder
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
}

/// A folder of the repository: in the current folder, else in the workspace that this program was built from.
fn repository(folder: &str) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
    let places = [PathBuf::from(folder), built.join(folder)];
    places.into_iter().find(|place| place.is_dir())
}

fn find_experiments() -> Result<Vec<PathBuf>, Error> {
    let folder = repository("chaos/experiments").unwrap_or_else(|| "chaos/experiments".into());
    let files: Vec<PathBuf> = EXPERIMENTS.iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !file.is_file()) {
        None => Ok(files),
        Some(missing) => {
            let sentence = format!(
                "{} does not exist: run the demo in the project's folder",
                missing.display()
            );
            Err(Error::Unavailable(sentence))
        }
    }
}

async fn run(
    platform: &Platform,
    options: &Options,
    inputs: &Inputs,
    began: Instant,
    interrupts: &Interrupts,
) -> Result<u8, Error> {
    let pictures = platform.folder().data().join("pictures");
    step(began, "making pictures");
    finish(platform, make_pictures(platform, &pictures), interrupts)
        .await
        .and_then(succeeded("chitram-load pictures"))?;
    step(began, "seeding pictures through the API");
    finish(
        platform,
        seed(platform, &pictures, &inputs.photos)?,
        interrupts,
    )
    .await
    .and_then(succeeded("chitram-load seed"))?;
    step(began, "running the experiments");
    let status = finish(
        platform,
        experiments(platform, options, inputs, &pictures)?,
        interrupts,
    )
    .await?;
    let code = judge(platform, status).await?;
    step(began, "drawing the boards");
    let boards = boards::draw(platform, &options.report, began.elapsed(), interrupts).await?;
    let took = began.elapsed().as_secs();
    // The report's path was printed by chaos. A closed pipe is no reason to change the exit code.
    let _ = writeln!(
        std::io::stdout(),
        "boards: {boards}\nthe demo took {} min {:02} s",
        took / 60,
        took % 60
    );
    Ok(code)
}

/// Runs a program to its end, or stops it when the person interrupts.
async fn finish(
    platform: &Platform,
    spec: Spec,
    interrupts: &Interrupts,
) -> Result<ExitStatus, Error> {
    let child = platform.spawn(&spec)?;
    tokio::select! {
        biased;
        () = interrupts.stop.cancelled() => {
            child.stop(&interrupts.hurry).await;
            Err(Error::Interrupted)
        }
        status = child.wait() => Ok(status),
    }
}

fn make_pictures(platform: &Platform, folder: &Path) -> Spec {
    talking(platform, "pictures", &platform.programs().load)
        .args(["pictures".as_ref(), folder.as_os_str()])
}

fn seed(platform: &Platform, pictures: &Path, photos: &[PathBuf]) -> Result<Spec, Error> {
    let target = api(platform)?;
    let spec = talking(platform, "seed", &platform.programs().load)
        .args(["seed".as_ref(), pictures.as_os_str()]);
    Ok(spec.args(photos).args(["--target", &target]))
}

fn experiments(
    platform: &Platform,
    options: &Options,
    inputs: &Inputs,
    pictures: &Path,
) -> Result<Spec, Error> {
    let mut args: Vec<OsString> = vec!["run".into()];
    args.extend(inputs.experiments.iter().map(OsString::from));
    for (option, value) in [
        ("--dir", platform.folder().path().as_os_str()),
        ("--seconds", options.seconds.to_string().as_ref()),
        ("--report", writable(&options.report)?.as_os_str()),
        ("--result", writable(&options.result)?.as_os_str()),
        ("--pictures", pictures.as_os_str()),
    ] {
        args.extend([option.into(), value.to_owned()]);
    }
    args.push("--repeat-inconclusive".into());
    let mut spec = talking(platform, "chaos", &platform.programs().chaos)
        .args(args)
        .env("CHITRAM_COMMAND", again(options));
    // Ctrl-C as a person gives it: chaos rolls back, and answers 130.
    spec.stop_signal = Signal::INT;
    spec.death_signal = Signal::TERM;
    spec.grace = ROLLBACK_DEADLINE;
    spec.hurried_grace = HURRIED_ROLLBACK_DEADLINE;
    Ok(spec)
}

/// A program that talks to the person itself.
fn talking(platform: &Platform, name: &str, program: &Path) -> Spec {
    let mut spec = Spec::new(name, program, &platform.folder().logs());
    spec.output = Output::Inherit;
    spec
}

fn api(platform: &Platform) -> Result<String, Error> {
    let missing =
        || Error::Unavailable("the platform has no API address: its log says why".to_owned());
    platform.state().endpoints.api.ok_or_else(missing)
}

/// The file's path, with its folder made.
fn writable(file: &Path) -> Result<&Path, Error> {
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    Ok(file)
}

fn succeeded(what: &'static str) -> impl FnOnce(ExitStatus) -> Result<(), Error> {
    move |status| {
        let what = what.to_owned();
        if status.success() {
            Ok(())
        } else {
            Err(Error::Failed { what, status })
        }
    }
}

/// Chaos's own exit code; when it was killed, its fault is rolled back first.
async fn judge(platform: &Platform, status: ExitStatus) -> Result<u8, Error> {
    if let Some(signal) = status.signal() {
        platform.recover().await;
        let what = format!("chitram-chaos (its fault was rolled back after signal {signal})");
        return Err(Error::Failed { what, status });
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(exit::INTERRUPTED) => Err(Error::Interrupted),
        Some(code) => Ok(code),
        None => Err(Error::Failed {
            what: "chitram-chaos".to_owned(),
            status,
        }),
    }
}

fn step(began: Instant, what: &str) {
    console::note(&format!(
        "demo {:>5.1} s  {what}",
        began.elapsed().as_secs_f64()
    ));
}

fn show_log(error: &Error) {
    let Error::NotReady { name, log, .. } = error else {
        return;
    };
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(10)..] {
        console::note(&format!("{name}: {line}"));
    }
}
