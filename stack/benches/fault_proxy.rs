//! What a fault proxy costs when it injects nothing: a client talks to an echo server directly, through the stand-in,
//! and through the real Toxiproxy if this machine has it. The three take turns in one run, so the machine's mood hits
//! all alike and only ratios mean anything.
//!
//! `cargo bench -p stack --bench fault_proxy`
//!
//! The stand-in runs in a process of its own, as the real server does: this program starts itself again with `serve`.
#![forbid(unsafe_code)]

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use stack::{
    net::{self, loopback},
    server::{self, Found, Source},
    standin,
};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Turns each route takes.
const ROUNDS: usize = 8;

/// Round trips in a turn, and bytes of each way.
const PINGS: usize = 4000;
const PING: usize = 64;

/// Bytes sent in a turn, and by one write.
const BULK: usize = 256 << 20;
const BLOCK: usize = 256 << 10;

/// No read or write may take longer.
const DEADLINE: Duration = Duration::from_mins(1);

/// A way from the client to the server, and what was measured on it.
struct Route {
    name: &'static str,
    /// To the server that echoes, and to the one that only reads.
    echo: SocketAddr,
    sink: SocketAddr,
    /// Pid of the proxy between them.
    process: Option<u32>,
    pings: Vec<Duration>,
    rates: Vec<f64>,
    cpu: f64,
}

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let (echo, sink) = (echo_server()?, sink_server()?);
    let stand_in = Process::start(Command::new(std::env::current_exe()?).arg("serve"))?;
    let real = real()?;
    let mut routes = vec![
        Route::direct(echo, sink),
        Route::through("stand-in", &stand_in, echo, sink)?,
    ];
    match &real {
        Some(real) => routes.push(Route::through("real", real, echo, sink)?),
        None => println!("not measured: the real Toxiproxy, which is not on this machine"),
    }
    for _ in 0..ROUNDS {
        for route in &mut routes {
            route.ping()?;
        }
        for route in &mut routes {
            route.bulk()?;
        }
    }
    print(&routes);
    Ok(())
}

fn print(routes: &[Route]) {
    println!(
        "64-byte round trips: {} in {ROUNDS} turns; one-way stream: {ROUNDS} turns of {} MiB",
        ROUNDS * PINGS,
        BULK >> 20
    );
    println!(
        "{:<10}{:>10}{:>10}{:>14}{:>18}",
        "route", "p50 us", "p99 us", "median MB/s", "proxy CPU s/GiB"
    );
    for route in routes {
        let mut pings = route.pings.clone();
        pings.sort_unstable();
        let at =
            |share: f64| pings[((pings.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        let mut rates = route.rates.clone();
        rates.sort_by(f64::total_cmp);
        let cpu = if route.process.is_some() {
            format!(
                "{:.2}",
                route.cpu / ((ROUNDS * BULK) as f64 / f64::from(1 << 30))
            )
        } else {
            "-".to_owned()
        };
        println!(
            "{:<10}{:>10.1}{:>10.1}{:>14.0}{cpu:>18}",
            route.name,
            at(0.5),
            at(0.99),
            rates[rates.len() / 2]
        );
    }
}

impl Route {
    fn direct(echo: SocketAddr, sink: SocketAddr) -> Self {
        Self {
            name: "direct",
            echo,
            sink,
            process: None,
            pings: Vec::new(),
            rates: Vec::new(),
            cpu: 0.0,
        }
    }

    fn through(
        name: &'static str,
        proxy: &Process,
        echo: SocketAddr,
        sink: SocketAddr,
    ) -> Outcome<Self> {
        let (echo, sink) = (proxy.front("echo", echo)?, proxy.front("sink", sink)?);
        Ok(Self {
            name,
            process: Some(proxy.child.id()),
            ..Self::direct(echo, sink)
        })
    }

    fn ping(&mut self) -> Outcome<()> {
        let mut stream = connect(self.echo)?;
        let mut data = [7; PING];
        for _ in 0..PINGS {
            let start = Instant::now();
            stream.write_all(&data)?;
            stream.read_exact(&mut data)?;
            self.pings.push(start.elapsed());
        }
        Ok(())
    }

    fn bulk(&mut self) -> Outcome<()> {
        let mut stream = connect(self.sink)?;
        let block = vec![7; BLOCK];
        let (start, cpu) = (Instant::now(), self.cpu_seconds());
        for _ in 0..BULK / BLOCK {
            stream.write_all(&block)?;
        }
        // The server confirms the last byte.
        stream.read_exact(&mut [0])?;
        self.rates
            .push(BULK as f64 / 1e6 / start.elapsed().as_secs_f64());
        self.cpu += self.cpu_seconds() - cpu;
        Ok(())
    }

    /// User and system time of the proxy: fields 14 and 15 of its `stat`, in hundredths of a second.
    fn cpu_seconds(&self) -> f64 {
        let stat = self
            .process
            .and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let Some(stat) = stat else { return 0.0 };
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / 100.0
    }
}

/// A fault proxy in a process of its own, ended with this value.
struct Process {
    child: Child,
    api: SocketAddr,
}

impl Process {
    /// Starts a program whose first line on stdout is the address of its API.
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        Ok(Self {
            child,
            api: line.trim().parse()?,
        })
    }

    /// A proxy in front of `upstream`: where it listens.
    fn front(&self, name: &str, upstream: SocketAddr) -> Outcome<SocketAddr> {
        let body = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream}).to_string();
        let mut stream = connect(self.api)?;
        let head = format!(
            "POST /proxies HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .ok_or("the API answers nothing")?;
        let proxy: serde_json::Value = serde_json::from_str(body)?;
        Ok(proxy["listen"].as_str().ok_or(answer)?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The stand-in as a program: prints its address, serves until it is killed.
fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(loopback(0)).await?;
        println!("{}", listener.local_addr()?);
        Ok(standin::toxiproxy::serve(listener, CancellationToken::new()).await?)
    })
}

fn real() -> Outcome<Option<Process>> {
    let Some(Found {
        source: Source::Program(program),
        ..
    }) = server::toxiproxy::find().found
    else {
        return Ok(None);
    };
    let port = net::free_port()?;
    let mut command = Command::new(program);
    command
        .args(["-host", "127.0.0.1", "-port", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Process {
        child: command.spawn()?,
        api: loopback(port),
    };
    let start = Instant::now();
    while TcpStream::connect(process.api).is_err() {
        if start.elapsed() > DEADLINE {
            return Err("the real Toxiproxy does not answer".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(process))
}

fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address)?;
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))
}

/// Sends back what it reads.
fn echo_server() -> Outcome<SocketAddr> {
    for_each_client(|mut stream| {
        let mut data = [0; PING];
        while stream.read_exact(&mut data).is_ok() && stream.write_all(&data).is_ok() {}
    })
}

/// Reads a turn's bytes and answers with one.
fn sink_server() -> Outcome<SocketAddr> {
    for_each_client(|mut stream| {
        let (mut block, mut left) = (vec![0; BLOCK], BULK);
        while left > 0 {
            match stream.read(&mut block) {
                Ok(length) if length > 0 => left -= length,
                _ => return,
            }
        }
        // A client that is gone has failed already.
        let _ = stream.write_all(&[0]);
    })
}

fn for_each_client(serve: fn(TcpStream)) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(loopback(0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if prepare(&stream).is_ok() {
                thread::spawn(move || serve(stream));
            }
        }
    });
    Ok(address)
}
