//! In which order a fault can be taken out of a *real* Toxiproxy without hanging it: every toxic, on both streams, with
//! every kind of client, in every order of calls. ADR 22 holds the table and says which order was chosen.
//!
//! `make toxiproxy-orders`, or `cargo run --release -p stack --example toxiproxy_orders`
//!
//! Each cell has a server of its own, since a cell may leave its server hanging; loopback only, free ports.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    error::Error,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stack::{
    net::{free_port, loopback},
    server::{self, Found, Source},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Cells that run at once.
const AT_ONCE: usize = 8;
/// A call that takes longer hangs. The server itself gives up after 25 s.
const CALL: Duration = Duration::from_secs(6);
/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_mins(1);
/// How long an answer or a round trip may take afterwards.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long connections are used before the fault, or stuffed in it.
const SETTLING: Duration = Duration::from_millis(500);
/// How long the fault acts.
const FAULT: Duration = Duration::from_millis(900);
/// The wait of the orders that wait.
const WAIT: Duration = Duration::from_millis(1500);
/// Connections of a cell.
const CLIENTS: usize = 8;
/// A busy client gives up on an answer after this, closes its connection and opens another.
const IMPATIENT: Duration = Duration::from_millis(700);
const ANSWER: usize = 96 << 10;
const BLOCK: usize = 32 << 10;
/// The first byte of a request: what the server is to do.
const ASK: u8 = b'?';
const FLOOD: u8 = b'!';
const DEAF: u8 = b'-';

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Idle,
    Busy,
    DoesNotRead,
    HalfClosed,
    UpstreamDoesNotRead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// `DELETE` of the toxic, nothing else.
    Delete,
    /// Disable, delete at once, enable.
    DisableDelete,
    /// Disable, wait 1.5 s, delete, enable.
    DisableWaitDelete,
    /// Make the toxic harmless, then delete it.
    SoftenDelete,
    /// Disable, make the toxic harmless, wait 1.5 s, delete, enable.
    DisableSoftenDelete,
    /// `DELETE`, again when it takes longer than 2 s.
    DeleteAgain,
    /// Remove the proxy, make it again.
    Remake,
    /// Disable, remove the proxy, make it again.
    DisableRemake,
}

const CLIENT_KINDS: [Client; 5] = [
    Client::Idle,
    Client::Busy,
    Client::DoesNotRead,
    Client::HalfClosed,
    Client::UpstreamDoesNotRead,
];
const ORDERS: [Order; 8] = [
    Order::Delete,
    Order::DisableDelete,
    Order::DisableWaitDelete,
    Order::SoftenDelete,
    Order::DisableSoftenDelete,
    Order::DeleteAgain,
    Order::Remake,
    Order::DisableRemake,
];

/// Name in the table, type, attributes, attributes that make it harmless.
fn toxics() -> Vec<(&'static str, &'static str, Value, Value)> {
    vec![
        (
            "latency 0.4 s",
            "latency",
            json!({"latency": 400, "jitter": 50}),
            json!({"latency": 0, "jitter": 0}),
        ),
        (
            "latency 4 s",
            "latency",
            json!({"latency": 4000}),
            json!({"latency": 0}),
        ),
        (
            "timeout 0",
            "timeout",
            json!({"timeout": 0}),
            json!({"timeout": 0}),
        ),
        (
            "reset_peer 0",
            "reset_peer",
            json!({"timeout": 0}),
            json!({"timeout": 0}),
        ),
        (
            "reset_peer 8 s",
            "reset_peer",
            json!({"timeout": 8000}),
            json!({"timeout": 0}),
        ),
        (
            "bandwidth 20 KB/s",
            "bandwidth",
            json!({"rate": 20}),
            json!({"rate": 1_000_000}),
        ),
        (
            "bandwidth 0",
            "bandwidth",
            json!({"rate": 0}),
            json!({"rate": 1_000_000}),
        ),
        (
            "slow_close 4 s",
            "slow_close",
            json!({"delay": 4000}),
            json!({"delay": 0}),
        ),
        (
            "slicer",
            "slicer",
            json!({"average_size": 1000, "size_variation": 100, "delay": 1000}),
            json!({"average_size": 1_000_000, "size_variation": 1, "delay": 0}),
        ),
        (
            "limit_data 40 KB",
            "limit_data",
            json!({"bytes": 40_000}),
            json!({"bytes": 1_000_000_000}),
        ),
    ]
}

/// What became of one cell.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one thing that was tried afterwards"
)]
struct Cell {
    took: Duration,
    /// A call was not answered in time, or with a failure.
    hung: bool,
    /// Afterwards this proxy, another one, or the list could not be read.
    this_hangs: bool,
    others_hang: bool,
    list_hangs: bool,
    /// Afterwards no round trip through the proxy succeeded.
    no_traffic: bool,
    /// Requests of busy clients that failed from the first call on.
    errors: usize,
}

impl Cell {
    fn is_well(self) -> bool {
        !(self.hung || self.this_hangs || self.others_hang || self.list_hangs || self.no_traffic)
    }

    fn words(self, is_busy: bool) -> String {
        let mut words = vec![if self.hung {
            "**hangs**".to_owned()
        } else {
            format!("{:.2}", self.took.as_secs_f64())
        }];
        for (is, what) in [
            (self.this_hangs, "proxy"),
            (self.others_hang, "others"),
            (self.list_hangs, "list"),
            (self.no_traffic, "traffic"),
        ] {
            if is {
                words.push(format!("!{what}"));
            }
        }
        if is_busy {
            words.push(format!("({})", self.errors));
        }
        words.join(" ")
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let Some(Found {
        source: Source::Program(program),
        version,
    }) = server::toxiproxy::find().found
    else {
        println!("not measured: needs toxiproxy-server (scripts/backends)");
        return Ok(());
    };
    // An argument narrows the toxics: `timeout`.
    let only = std::env::args().nth(1).unwrap_or_default();
    let upstream = upstream().await?;
    let mut cells = Vec::new();
    for (label, kind, attributes, harmless) in toxics() {
        for stream in ["downstream", "upstream"] {
            for client in CLIENT_KINDS {
                for order in ORDERS {
                    if label.contains(&only) {
                        cells.push((
                            label,
                            kind,
                            attributes.clone(),
                            harmless.clone(),
                            stream,
                            client,
                            order,
                        ));
                    }
                }
            }
        }
    }
    let all = cells.len();
    let measured = futures::stream::iter(cells)
        .map(|(label, kind, attributes, harmless, stream, client, order)| {
            let program = program.clone();
            async move {
                let toxic = json!({"name": "ours", "type": kind, "stream": stream, "attributes": attributes});
                let cell = cell(&program, upstream, &toxic, &harmless, client, order).await;
                ((label, stream, client, order), cell)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut table = BTreeMap::new();
    for (key, cell) in measured {
        match cell {
            Ok(cell) => drop(table.insert(key, cell)),
            Err(error) => println!("not measured: {key:?}: {error}"),
        }
    }
    println!("Toxiproxy {version}: {all} cells of {CLIENTS} connections\n");
    print_orders(&table);
    print_cells(&table);
    Ok(())
}

type Key = (&'static str, &'static str, Client, Order);

fn print_orders(table: &BTreeMap<Key, Cell>) {
    println!(
        "| order | cells | unwell | hang | then this proxy hangs | others | the list | no traffic | slowest answer | failed requests of busy clients |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for order in ORDERS {
        let of: Vec<(&Key, &Cell)> = table.iter().filter(|(key, _)| key.3 == order).collect();
        let count = |is: fn(&Cell) -> bool| of.iter().filter(|(_, cell)| is(cell)).count();
        let slowest = of
            .iter()
            .filter(|(_, cell)| !cell.hung)
            .map(|(_, cell)| cell.took)
            .max()
            .unwrap_or_default();
        let errors: usize = of
            .iter()
            .filter(|(key, _)| key.2 == Client::Busy)
            .map(|(_, cell)| cell.errors)
            .sum();
        println!(
            "| {order:?} | {} | {} | {} | {} | {} | {} | {} | {:.2} s | {errors} |",
            of.len(),
            count(|cell| !cell.is_well()),
            count(|cell| cell.hung),
            count(|cell| cell.this_hangs),
            count(|cell| cell.others_hang),
            count(|cell| cell.list_hangs),
            count(|cell| cell.no_traffic),
            slowest.as_secs_f64()
        );
    }
    println!();
}

fn print_cells(table: &BTreeMap<Key, Cell>) {
    print!("| toxic | stream | client |");
    for order in ORDERS {
        print!(" {order:?} |");
    }
    println!("\n|---|---|---|{}", "---|".repeat(ORDERS.len()));
    let mut rows: Vec<(&str, &str, Client)> =
        table.keys().map(|key| (key.0, key.1, key.2)).collect();
    rows.dedup();
    for (label, stream, client) in rows {
        print!("| {label} | {stream} | {client:?} |");
        for order in ORDERS {
            let cell = table.get(&(label, stream, client, order));
            let words = cell.map_or("not measured".to_owned(), |cell| {
                cell.words(client == Client::Busy)
            });
            print!(" {words} |");
        }
        println!();
    }
}

/// One server, one fault, one order of calls.
async fn cell(
    program: &std::path::Path,
    upstream: SocketAddr,
    toxic: &Value,
    harmless: &Value,
    client: Client,
    order: Order,
) -> Outcome<Cell> {
    let api = Api::start(program).await?;
    let listen: SocketAddr = api.make("ours", loopback(0), upstream).await?;
    api.make("other", loopback(0), upstream).await?;
    let errors = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let add = async || {
        let added = api
            .call(Method::POST, "/proxies/ours/toxics", Some(toxic))
            .await;
        added.map_err(|()| "the toxic was not added")
    };
    // A toxic can't even be added while a connection is stuffed: that waits for it too.
    let is_stuffed = matches!(client, Client::DoesNotRead | Client::UpstreamDoesNotRead);
    if is_stuffed {
        add().await?;
    }
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(listen).await?;
        clients.spawn(play(client, stream, listen, Arc::clone(&errors)));
    }
    sleep(SETTLING).await;
    if !is_stuffed {
        add().await?;
    }
    sleep(FAULT).await;

    let before = errors.load(Ordering::Relaxed);
    let begun = Instant::now();
    let lifted = api.lift(order, harmless, listen, upstream).await;
    let took = begun.elapsed();
    let reads = async |path: &str| {
        timeout(AFTERWARDS, api.call(Method::GET, path, None))
            .await
            .is_ok_and(|answer| answer.is_ok())
    };
    let (this, other, list) = tokio::join!(
        reads("/proxies/ours"),
        reads("/proxies/other"),
        reads("/proxies")
    );
    let traffic = timeout(AFTERWARDS, round_trip(listen))
        .await
        .is_ok_and(|done| done.is_ok());
    Ok(Cell {
        took,
        hung: lifted.is_err(),
        this_hangs: !this,
        others_hang: !other,
        list_hangs: !list,
        no_traffic: !traffic,
        errors: errors.load(Ordering::Relaxed) - before,
    })
}

struct Api {
    http: reqwest::Client,
    url: String,
    _server: Child,
}

impl Api {
    async fn start(program: &std::path::Path) -> Outcome<Self> {
        let port = free_port()?;
        let server = Command::new(program)
            .args(["-host", "127.0.0.1", "-port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()?;
        let api = Self {
            http,
            url: format!("http://127.0.0.1:{port}"),
            _server: server,
        };
        let begun = Instant::now();
        while api.call(Method::GET, "/version", None).await.is_err() {
            if begun.elapsed() > START {
                return Err("Toxiproxy does not start".into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(api)
    }

    async fn make(
        &self,
        name: &str,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Outcome<SocketAddr> {
        let body = json!({"name": name, "listen": listen, "upstream": upstream});
        let made = self
            .call(Method::POST, "/proxies", Some(&body))
            .await
            .map_err(|()| "no proxy")?;
        Ok(made["listen"].as_str().ok_or("no address")?.parse()?)
    }

    async fn enable(&self, enabled: bool) -> Result<(), ()> {
        self.call(
            Method::POST,
            "/proxies/ours",
            Some(&json!({"enabled": enabled})),
        )
        .await
        .map(drop)
    }

    async fn delete(&self, path: &str) -> Result<(), ()> {
        self.call(Method::DELETE, path, None).await.map(drop)
    }

    async fn lift(
        &self,
        order: Order,
        harmless: &Value,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<(), ()> {
        const TOXIC: &str = "/proxies/ours/toxics/ours";
        let soft = json!({"attributes": harmless, "toxicity": 0.0});
        match order {
            Order::Delete => self.delete(TOXIC).await,
            Order::DisableDelete => {
                self.enable(false).await?;
                self.delete(TOXIC).await?;
                self.enable(true).await
            }
            Order::DisableWaitDelete => {
                self.enable(false).await?;
                sleep(WAIT).await;
                self.delete(TOXIC).await?;
                self.enable(true).await
            }
            Order::SoftenDelete => {
                self.call(Method::POST, TOXIC, Some(&soft)).await?;
                self.delete(TOXIC).await
            }
            Order::DisableSoftenDelete => {
                self.enable(false).await?;
                self.call(Method::POST, TOXIC, Some(&soft)).await?;
                sleep(WAIT).await;
                self.delete(TOXIC).await?;
                self.enable(true).await
            }
            Order::DeleteAgain => {
                for _ in 0..3 {
                    match timeout(Duration::from_secs(2), self.delete(TOXIC)).await {
                        Ok(Ok(())) => return Ok(()),
                        // Removed by the attempt before.
                        Ok(Err(())) if self.call(Method::GET, TOXIC, None).await.is_err() => {}
                        _ => {}
                    }
                }
                Err(())
            }
            Order::Remake | Order::DisableRemake => {
                if order == Order::DisableRemake {
                    self.enable(false).await?;
                }
                self.delete("/proxies/ours").await?;
                self.make("ours", listen, upstream)
                    .await
                    .map(drop)
                    .map_err(drop)
            }
        }
    }

    /// The answer's JSON; a failure is an answer that is late or not a success.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ()> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = async {
            let answer = request.send().await.map_err(drop)?;
            let status: StatusCode = answer.status();
            let text = answer.text().await.map_err(drop)?;
            if status.is_success() {
                Ok(serde_json::from_str(&text).unwrap_or_default())
            } else {
                Err(())
            }
        };
        timeout(CALL, answer).await.map_err(drop)?
    }
}

/// One connection, until it is cut off; a busy one opens another then.
async fn play(
    client: Client,
    mut stream: TcpStream,
    address: SocketAddr,
    errors: Arc<AtomicUsize>,
) {
    let hold = async |mut stream: TcpStream| {
        let mut rest = vec![0; BLOCK];
        while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    };
    match client {
        Client::Idle => {
            let _ = ask(&mut stream).await;
            hold(stream).await;
        }
        Client::Busy => loop {
            if !matches!(timeout(IMPATIENT, ask(&mut stream)).await, Ok(Ok(()))) {
                errors.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(5)).await;
                if let Ok(new) = TcpStream::connect(address).await {
                    stream = new;
                }
            }
        },
        Client::DoesNotRead => {
            let _ = stream.write_all(&[FLOOD]).await;
            sleep(Duration::from_mins(2)).await;
        }
        Client::HalfClosed => {
            // The answer is on its way, and nothing more will be sent.
            let _ = stream.write_all(&[FLOOD]).await;
            let _ = stream.shutdown().await;
            hold(stream).await;
        }
        Client::UpstreamDoesNotRead => {
            let block = vec![DEAF; BLOCK];
            while stream.write_all(&block).await.is_ok() {}
        }
    }
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&[ASK; 512]).await?;
    stream.read_exact(&mut vec![0; ANSWER]).await.map(drop)
}

async fn round_trip(address: SocketAddr) -> std::io::Result<()> {
    loop {
        let mut stream = TcpStream::connect(address).await?;
        if ask(&mut stream).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Answers, floods or goes deaf, as the first byte says.
async fn upstream() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(loopback(0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 512];
                let block = vec![0; BLOCK];
                match stream.read_u8().await {
                    Ok(FLOOD) => while stream.write_all(&block).await.is_ok() {},
                    Ok(DEAF) => sleep(Duration::from_mins(2)).await,
                    Ok(ASK) => {
                        // The byte that was read belongs to the first request.
                        let mut left = request.len() - 1;
                        while stream.read_exact(&mut request[..left]).await.is_ok()
                            && stream.write_all(&vec![0; ANSWER]).await.is_ok()
                        {
                            left = request.len();
                        }
                    }
                    _ => {}
                }
            });
        }
    });
    Ok(address)
}
