//! `assay dev`: keeps the embedded cluster running.
//!
//! Comes in: a folder of definitions, watched, and the data they name, looked at every few seconds.
//! Goes out: runs — the past of a new dataset, the slots of its schedule, and what has changed of a
//! dataset that has none. Everything it knows is in the store or in the definitions: it may be
//! killed at any moment, and goes on where it was.

mod settings;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use assay_contract::render_plain;
use assay_gateway::Settings;
use assay_manager::ManagerHandle;
use assay_model::dataset::{Dataset, DatasetStatus, Location};
use assay_model::ids::DatasetId;
use assay_model::partition::PartitionVersion;
use assay_model::run::{Selection, Trigger};
use assay_registry::{Change, Registry, watch};
use assay_scan::ScanError;
use assay_scan::object::Objects;
use assay_scheduler::{Budget, Failure, Reason, tick};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_128;

use crate::args::{DevArgs, NodeRange};
use crate::commands::doctor::port::{Port, look_at};
use crate::context::Context;
use crate::dev::{Embedded, EmbeddedConfig, manager_port, open_registry};
use crate::exit::{Exit, OrExit};
use crate::lock::{DataLock, Lock, hold};
use crate::schedule::{Here, StoreAgenda};
use crate::show::say;
use crate::show::text::safe;
use crate::sources;
use crate::stop::Stop;
use settings::in_force;

/// Between two looks at files, unless it is set.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);
/// The same for what is not on this machine: a listing of a bucket takes its time, and its price.
const LOOK_AT_REMOTE: Duration = Duration::from_secs(60);
/// Between two looks at the folder of definitions.
const LOOK_AT_DEFINITIONS: Duration = Duration::from_secs(1);
/// How long asking for what is due may take.
const TICK_MAX: Duration = Duration::from_secs(30);
/// How long Ctrl-C lets running tasks go on.
const GRACE: Duration = Duration::from_secs(60);

/// Runs the command.
pub async fn run(args: DevArgs, cx: &Context) -> Result<Exit> {
    let mut stop = Stop::listen()?;
    let data_dir = cx.data_dir();
    let mut lock = take_lock(&data_dir)?;
    let folder = args.dir.clone().unwrap_or_else(|| cx.registry_dir());
    let base = std::path::absolute(&folder)?;
    let registry = open_registry(&folder, &base)?;
    let nodes = cx.nodes(args.nodes)?;
    let slots = chosen(args.slots, "dev.slots", cx)?.unwrap_or(1);
    let (manager, api) = bound(&args, cx).await?;
    let address = manager.local_addr()?;
    let http = api.as_ref().map(TcpListener::local_addr).transpose()?;
    let poll_s: Option<u64> = chosen(args.poll_s, "dev.poll_s", cx)?;
    let poll = poll_s.map(|seconds| Duration::from_secs(seconds.max(1)));
    let config = EmbeddedConfig {
        data_dir: (!args.ephemeral).then(|| data_dir.clone()),
        nodes,
        slots: slots.max(1),
        memory_bytes: cx.memory_bytes(None)?,
        storage: cx.storage()?,
        address: Some(address),
    };
    let embedded = begun(config, manager, cx).await?;
    lock.publish(&format!("http://{address}"))?;
    let shown = Shown {
        grpc: address,
        http,
        folder: &folder,
        data_dir: (!args.ephemeral).then_some(data_dir.as_path()),
        nodes,
        slots,
    };
    shown.banner(cx);
    let web = match api {
        Some(listener) => {
            let settings = in_force(&args, cx, (address, http));
            Some(Web::begin(&embedded, registry.clone(), settings, listener)?)
        }
        None => None,
    };
    let changes = watch(registry.clone(), LOOK_AT_DEFINITIONS);
    let fleet = tokio::spawn({
        let embedded = embedded.clone();
        async move { embedded.follow_the_load().await }
    });
    let told = tokio::spawn(tell_ends(embedded.manager.clone()));
    let mut keeper = Keeper {
        embedded: embedded.clone(),
        agenda: StoreAgenda::new(registry.clone(), Some(embedded.metrics.clone())),
        datasets: BTreeMap::new(),
        remote: poll.unwrap_or(LOOK_AT_REMOTE),
    };
    tokio::select! {
        () = keeper.keep(changes, poll.unwrap_or(LOOK_AT_FILES)) => {}
        _ = stop.asked() => {}
    }
    drop(keeper);
    for task in [fleet, told] {
        task.abort();
        // It holds a clone until it has ended.
        let _ = task.await;
    }
    if let Some(web) = web {
        web.end().await;
    }
    drain(embedded, &mut stop, cx).await;
    drop(lock);
    Ok(Exit::Ok)
}

/// The places where the manager and the HTTP API listen: before anything is begun on them.
async fn bound(args: &DevArgs, cx: &Context) -> Result<(TcpListener, Option<TcpListener>)> {
    let port = chosen(args.grpc_port, "dev.grpc_port", cx)?.unwrap_or(8081);
    let manager = manager_port(port).await?;
    let api = match args.headless {
        true => None,
        false => Some(listen(args, port, cx).await?),
    };
    Ok((manager, api))
}

/// The cluster, begun: it tells people and lineage as the settings say.
async fn begun(
    config: EmbeddedConfig,
    listener: TcpListener,
    cx: &Context,
) -> Result<Arc<Embedded>> {
    let lineage = cx.lineage()?;
    let file = cx.settings.text("notify.file");
    let file = file.filter(|file| !file.is_empty()).map(str::to_owned);
    let embedded = Arc::new(Embedded::start(config).await?);
    if let Some(lineage) = lineage {
        embedded.manager.tell_lineage(lineage);
    }
    embedded.tell(file.as_deref()).await?;
    embedded.serve(listener);
    Ok(embedded)
}

/// The gateway over the cluster while it is served.
struct Web {
    served: JoinHandle<std::io::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Web {
    fn begin(
        embedded: &Embedded,
        registry: Arc<dyn Registry>,
        settings: Arc<dyn Settings>,
        listener: TcpListener,
    ) -> Result<Self> {
        let (stop, stops) = oneshot::channel::<()>();
        let gateway = embedded.gateway(registry, settings)?;
        let stopped = async move { drop(stops.await) };
        let served = tokio::spawn(gateway.serve(listener, stopped));
        Ok(Self { served, stop })
    }

    /// Ends it: what is being answered is answered, within the gateway's own bound.
    async fn end(self) {
        drop(self.stop);
        if let Ok(Err(error)) = self.served.await {
            tracing::warn!(%error, "the HTTP API was not served");
        }
    }
}

/// What a flag says, else the setting.
fn chosen<T: FromStr>(flag: Option<T>, key: &str, cx: &Context) -> Result<Option<T>> {
    match flag {
        Some(value) => Ok(Some(value)),
        None => cx.settings.parse(key),
    }
}

fn take_lock(data_dir: &Path) -> Result<DataLock> {
    match hold(data_dir, "dev")? {
        Lock::Held(lock) => Ok(lock),
        Lock::Taken(holder) => {
            let at = holder
                .address
                .map(|address| format!(" at {address}"))
                .unwrap_or_default();
            Err::<DataLock, _>(anyhow::anyhow!(
                "the data folder {} is in use by assay {} (pid {}){at}\n  \
                 use that one (assay run list), stop it, or take another folder: --data-dir DIR",
                data_dir.display(),
                holder.command,
                holder.pid
            ))
            .or_exit(Exit::NotEvaluated)
        }
    }
}

/// The listener of the HTTP API.
async fn listen(args: &DevArgs, grpc_port: u16, cx: &Context) -> Result<TcpListener> {
    let port = match args.port {
        // Whoever takes any port takes any port.
        None if grpc_port == 0 => 0,
        port => chosen(port, "dev.port", cx)?.unwrap_or(8080),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.with_context(|| {
        let who = match look_at(port) {
            Port::Taken(Some((pid, name))) => format!(" (pid {pid}, {name})"),
            _ => String::new(),
        };
        format!(
            "cannot listen on 127.0.0.1:{port}; is the port in use?{who}\n  \
             try --port {}, or --port 0 (any free port), or --headless (no HTTP API)",
            port.saturating_add(10)
        )
    })
}

/// What is shown when the cluster is up.
struct Shown<'a> {
    grpc: SocketAddr,
    http: Option<SocketAddr>,
    folder: &'a Path,
    /// `None`: the store is in memory.
    data_dir: Option<&'a Path>,
    nodes: NodeRange,
    slots: u32,
}

impl Shown<'_> {
    fn banner(&self, cx: &Context) {
        let store = match self.data_dir {
            None => "in memory, gone at the end".to_owned(),
            Some(folder) => format!("{}  kept between starts", folder.display()),
        };
        let NodeRange { min, max } = self.nodes;
        let nodes = if min == max {
            format!("{min}")
        } else {
            format!("{min} to {max}, by load")
        };
        let http = self.http.map_or_else(String::new, |at| {
            format!(
                "Web pages  http://{at}/\n  \
                 HTTP API   http://{at}/api/v1     metrics: http://{at}/metrics\n  "
            )
        });
        cx.screen.note(&format!(
            "assay {}  development cluster: loopback only, no log-in, not for production\n\n  \
             {http}\
             gRPC       {}\n  \
             Registry   {}  watched for changes\n  \
             Store      {store}\n  \
             Nodes      {nodes}, {} task slots each\n\n  \
             Next       assay run list     assay run start DATASET --watch\n  \
             Stop       Ctrl-C (finishes running tasks; twice to stop now)\n",
            env!("CARGO_PKG_VERSION"),
            self.grpc,
            self.folder.display(),
            self.slots,
        ));
    }
}

async fn drain(embedded: Arc<Embedded>, stop: &mut Stop, cx: &Context) {
    cx.screen
        .note("stopping: running tasks finish (again to stop now; nothing is lost)");
    let Some(embedded) = Arc::into_inner(embedded) else {
        return;
    };
    stop.or_now(embedded.shutdown(GRACE)).await;
}

/// One line per run that ends.
async fn tell_ends(manager: ManagerHandle) {
    let mut updates = manager.updates();
    loop {
        match updates.recv().await {
            Ok(update) if update.state.is_terminal() => {
                let reason = update.reason.map(|r| format!(": {r}")).unwrap_or_default();
                line(&format!("{} {}{reason}", update.run, update.state));
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// A line of what goes on, with the time of day.
fn line(what: &str) {
    let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
    say(&format!("{now}  {}\n", safe(what, false)));
}

/// Keeps every dataset up to date.
struct Keeper {
    embedded: Arc<Embedded>,
    agenda: StoreAgenda,
    datasets: BTreeMap<DatasetId, Kept>,
    /// Between two looks at a dataset beyond this machine's files that does not say it itself.
    remote: Duration,
}

/// What is known of one dataset between two looks.
struct Kept {
    dataset: Arc<Dataset>,
    /// What its objects were at the last look; `None` before the first.
    seen: Option<u128>,
    /// When it was looked at last; `None` before the first time.
    looked: Option<Instant>,
}

impl Kept {
    /// Whether it is time to look at it again.
    fn is_due(&self, remote: Duration) -> bool {
        let every = match self.dataset.source.location {
            Location::Local { .. } => Duration::ZERO,
            Location::Bucket(_) | Location::Database(_) => {
                self.dataset.run.poll_s.map_or(remote, Duration::from_secs)
            }
        };
        self.looked.is_none_or(|looked| looked.elapsed() >= every)
    }
}

impl Keeper {
    async fn keep(
        &mut self,
        mut changes: tokio::sync::mpsc::Receiver<Vec<Change>>,
        every: Duration,
    ) {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = changes.recv() => match batch {
                    Some(batch) => {
                        for change in batch {
                            self.change(change).await;
                        }
                        // What is new is asked for first, and then what it has missed.
                        self.tick().await;
                        self.look().await;
                    }
                    None => return,
                },
                _ = tick.tick() => self.look().await,
            }
        }
    }

    async fn change(&mut self, change: Change) {
        match change {
            Change::Defined(definition) => {
                let dataset = definition.dataset;
                let (id, version) = (&dataset.id, &dataset.version);
                line(&format!("{id} {version}  {}", definition.origin));
                if let Some(why) = dataset.status.not_by_itself() {
                    line(&format!("{id}  {why}"));
                }
                if let Err(error) = self.embedded.manager.register((*dataset).clone()).await {
                    line(&format!("{}: {error}", dataset.id));
                    return;
                }
                let kept = Kept {
                    dataset: dataset.clone(),
                    seen: None,
                    looked: None,
                };
                self.datasets.insert(dataset.id.clone(), kept);
            }
            Change::Removed(id) => {
                self.datasets.remove(&id);
                line(&format!("{id}  no longer defined; its history stays"));
            }
            Change::Invalid(file) => {
                let kept = file
                    .kept
                    .as_ref()
                    .map(|(id, since)| {
                        let zone = jiff::tz::TimeZone::system();
                        let since = since.to_zoned(zone).strftime("%H:%M").to_string();
                        format!(", kept the version of {id} from {since}")
                    })
                    .unwrap_or_default();
                line(&format!("{}  invalid{kept}", file.origin));
                say(&safe(&render_plain(&file.diagnostics), false));
            }
            Change::Mended { origin } => line(&format!("{origin}  valid again")),
        }
    }

    /// Asks for every run that is due, as the scheduled function of a cluster does.
    async fn tick(&self) {
        let here = Here {
            manager: &self.embedded.manager,
            say: line,
        };
        let budget = Budget::of(TICK_MAX);
        match tick(&self.agenda, &here, Timestamp::now(), budget).await {
            Ok(report) => {
                for detail in report.details.iter().filter(|detail| is_told(&detail.what)) {
                    line(&format!("{}  not run: {}", detail.dataset, detail.why));
                }
            }
            Err(error) => line(&format!("the definitions cannot be read: {error}")),
        }
    }

    async fn look(&mut self) {
        self.tick().await;
        let ids: Vec<DatasetId> = self.datasets.keys().cloned().collect();
        for id in ids {
            self.look_at(&id).await;
        }
    }

    async fn look_at(&mut self, id: &DatasetId) {
        let Some(kept) = self.datasets.get(id) else {
            return;
        };
        let dataset = kept.dataset.clone();
        if !is_looked_at(&dataset) || !kept.is_due(self.remote) {
            return;
        }
        if let Some(kept) = self.datasets.get_mut(id) {
            kept.looked = Some(Instant::now());
        }
        if let Err(error) = self.advance(id, &dataset).await {
            line(&format!("{id}: {error:#}"));
        }
    }

    async fn advance(&mut self, id: &DatasetId, dataset: &Arc<Dataset>) -> Result<()> {
        let Some(kept) = self.datasets.get(id) else {
            return Ok(());
        };
        let before = kept.seen;
        let now = Timestamp::now();
        let seen = fingerprint(dataset.clone(), now).await?;
        if before != Some(seen) {
            let first = before.is_none();
            self.submit(dataset).await?;
            if let Some(kept) = self.datasets.get_mut(id) {
                kept.seen = Some(seen);
            }
            if !first {
                line(&format!("{id}  its data has changed"));
            }
        }
        Ok(())
    }

    async fn submit(&self, dataset: &Arc<Dataset>) -> Result<()> {
        let asked = self.embedded.manager.submit(
            (**dataset).clone(),
            Trigger::Arrival,
            Selection::default(),
            None,
        );
        let submitted = asked.await?;
        line(&format!(
            "{}  {} {}",
            dataset.id,
            Trigger::Arrival,
            submitted.run
        ));
        Ok(())
    }
}

/// Whether the data of a dataset is looked at for what is new.
fn is_looked_at(dataset: &Dataset) -> bool {
    let in_force = matches!(
        dataset.status,
        DatasetStatus::Active | DatasetStatus::Deprecated
    );
    in_force && !dataset.run.paused && dataset.run.schedule.is_none()
}

/// Whether something that was not run is told of: not what its owner wants so, nor what the watched
/// folder has told already.
fn is_told(what: &str) -> bool {
    let told = [
        Reason::NotAllowed.word(),
        Reason::BadSchedule.word(),
        Reason::Missed.word(),
        Failure::Refused.word(),
        Failure::Away.word(),
        Failure::Registry.word(),
    ];
    told.contains(&what)
}

/// What the objects of a dataset are, in one number: another one means something to look at. The
/// hour is a part of it, since a partition is sealed, or missing, when time passes.
async fn fingerprint(dataset: Arc<Dataset>, now: Timestamp) -> Result<u128> {
    let context = sources::context(&[&dataset.source]).await?;
    let listed = tokio::task::spawn_blocking(move || -> Result<u128> {
        let mut sum: u128 = u128::from((now.as_second() / 3600).unsigned_abs());
        if let Location::Database(database) = &dataset.source.location {
            let reach = context.reach(&database.address())?;
            let table = reach.table(&dataset.source)?;
            for seen in table.partitions(&dataset, now, &context)? {
                let key = seen.key.partition.key.as_str();
                let text = format!("{key}\u{0}{}", seen.version().as_str());
                sum = sum.wrapping_add(xxh3_128(text.as_bytes()));
            }
            return Ok(sum);
        }
        let objects = Objects::open(&dataset.source, &context)?;
        for object in objects.walk("") {
            let part = match object {
                Ok(object) => {
                    let version = PartitionVersion::of_objects(&[object]);
                    u128::from_str_radix(version.as_str(), 16).unwrap_or_default()
                }
                // The run tells of it.
                Err(ScanError::Refused { path, .. }) => xxh3_128(path.as_bytes()),
                Err(error) => return Err(error.into()),
            };
            // A sum does not depend on the order of the listing.
            sum = sum.wrapping_add(part);
        }
        Ok(sum)
    })
    .await;
    match listed {
        Ok(result) => result.context("its data cannot be listed"),
        Err(error) => bail!("its data cannot be listed: {error}"),
    }
}
