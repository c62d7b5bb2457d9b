//! The one task that writes.
//!
//! Sixteen tenants that are applied at once ask for sixteen small transactions, and each of them would wait for the disk.
//! The writer takes every request that waits into one transaction instead and answers them all when it is durable. A
//! request that is refused ([`StoreError::Locked`], [`StoreError::LeaseLost`]) is refused before it has written
//! anything, so the others go through without savepoints. If the transaction fails as a whole, each request is tried
//! again on its own, so that one that the database cannot take does not fail the others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use tenantry_core::model::address::Owner;

use crate::changes::Changes;
use crate::connection::{Link, Purpose, Work};
use crate::contract::{Fence, FencingToken, Holder, Lock, RunId, StoreError};
use crate::journal::{self, Draft, Line, Tip, number};
use crate::locks::{self, list};
use crate::records::{Records, check_end, put_phases, put_targets};
use crate::{rows, statements};

/// The most requests of one transaction: well above the number of tenants that are applied at once, and low enough that
/// nobody waits long for its end.
const GROUP: usize = 256;

/// Something to be written.
pub enum Command {
    /// Entries, with what they do to the tables; nothing at all once the fence has fallen.
    Append {
        fence: Option<Fence>,
        drafts: Vec<Draft>,
    },
    /// The entry of a run that gets its number now.
    BeginRun(Draft),
    Lock {
        owners: Vec<Owner>,
        holder: Holder,
        now: Timestamp,
        expires: Timestamp,
    },
    Renew {
        holder: String,
        now: Timestamp,
        until: Timestamp,
    },
    Release {
        holder: String,
    },
    Unlock {
        owners: Vec<Owner>,
        holder: Option<String>,
        at: Timestamp,
        actor: String,
    },
    /// Records of another store, into a scope that holds nothing.
    Import(Box<Records>),
}

/// What a [`Command`] answers; each fills what it has.
#[derive(Default)]
pub struct Reply {
    pub run: RunId,
    pub tokens: BTreeMap<Owner, FencingToken>,
    pub removed: Vec<Lock>,
}

/// Hands commands to the writer's task.
pub struct Writer {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Reply, StoreError>>,
}

/// The counters of the store.
struct Head {
    tip: Tip,
    token: i64,
    run: i64,
}

impl Writer {
    /// Starts the task. It ends when the writer is dropped.
    pub fn start(link: Link) -> Self {
        let (requests, waiting) = mpsc::channel(GROUP);
        tokio::spawn(serve(link, waiting));
        Self { requests }
    }

    /// Has a command done. It is durable when this returns. Nothing if the task has ended.
    pub async fn submit(&self, command: Command) -> Option<Result<Reply, StoreError>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { command, answer }).await.ok()?;
        answered.await.ok()
    }
}

async fn serve(mut link: Link, mut waiting: mpsc::Receiver<Request>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (commands, answers): (Vec<_>, Vec<_>) =
            group.drain(..).map(|Request { command, answer }| (command, answer)).unzip();
        let replies = match together(&mut link, &commands).await {
            Ok(replies) => replies,
            Err(Failure { error, committing }) if committing || commands.len() == 1 => {
                commands.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => {
                let mut replies = Vec::with_capacity(commands.len());
                for command in commands.chunks(1) {
                    let reply = together(&mut link, command).await;
                    replies.extend(reply.unwrap_or_else(|Failure { error, .. }| vec![Err(error)]));
                }
                replies
            }
        };
        for (answer, reply) in answers.into_iter().zip(replies) {
            // Whoever asked may have been cancelled meanwhile.
            let _ = answer.send(reply);
        }
    }
}

/// A transaction that came to nothing.
struct Failure {
    error: StoreError,
    /// It failed at its very end, so that it may have been written after all and must not be repeated.
    committing: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, committing: false }
    }
}

/// Does all commands in one transaction. If it fails its connection goes with it, so that no server waits for its end
/// and keeps every other writer out.
async fn together(link: &mut Link, commands: &[Command]) -> Result<Vec<Result<Reply, StoreError>>, Failure> {
    let done = transaction(link, commands).await;
    if done.is_err() {
        link.reset();
    }
    done
}

async fn transaction(link: &mut Link, commands: &[Command]) -> Result<Vec<Result<Reply, StoreError>>, Failure> {
    let mut work = link.begin(Purpose::Write).await?;
    let mut head = Head::read(&mut work).await?;
    let mut replies = Vec::with_capacity(commands.len());
    // Neighbours that append are one statement.
    let both_append = |a: &Command, b: &Command| matches!((a, b), (Command::Append { .. }, Command::Append { .. }));
    for commands in commands.chunk_by(both_append) {
        let [command] = commands else {
            replies.extend(append(&mut work, &mut head, commands).await?);
            continue;
        };
        match single(&mut work, &mut head, command).await {
            Err(error @ (StoreError::Locked(_) | StoreError::LeaseLost(_) | StoreError::NotEmpty { .. })) => {
                replies.push(Err(error));
            }
            reply => replies.push(Ok(reply?)),
        }
    }
    head.write(&mut work).await?;
    work.commit().await.map_err(|error| Failure { error, committing: true })?;
    Ok(replies)
}

async fn single(work: &mut Work<'_>, head: &mut Head, command: &Command) -> Result<Reply, StoreError> {
    match command {
        Command::Append { .. } => {
            let replies = append(work, head, std::slice::from_ref(command)).await?;
            replies.into_iter().next().unwrap_or_else(|| Ok(Reply::default()))
        }
        Command::BeginRun(draft) => {
            check_end(work, "looking at the end of the journal", &head.tip).await?;
            head.run += 1;
            let line = head.tip.append(draft, Some(head.run));
            insert(work, &[line]).await?;
            Ok(Reply { run: RunId(number(head.run)), ..Reply::default() })
        }
        Command::Lock { owners, holder, now, expires } => {
            let tokens = locks::take(work, &mut head.token, owners, holder, *now, *expires).await?;
            Ok(Reply { tokens, ..Reply::default() })
        }
        Command::Renew { holder, now, until } => {
            locks::renew(work, holder, *now, *until).await?;
            Ok(Reply::default())
        }
        Command::Release { holder } => {
            locks::release(work, holder).await?;
            Ok(Reply::default())
        }
        Command::Unlock { owners, holder, at, actor } => {
            let removed = locks::remove(work, owners, holder.as_deref()).await?;
            let mut lines = Vec::with_capacity(removed.len());
            for lock in &removed {
                let draft = journal::unlocked(lock, *at, actor).map_err(|error| work.failed("unlocking", error))?;
                lines.push(head.tip.append(&draft, None));
            }
            insert(work, &lines).await?;
            Ok(Reply { removed, ..Reply::default() })
        }
        Command::Import(records) => {
            let held = Records::read(work, records.scope().clone()).await?;
            if held != (Records { token: held.token, ..Records::empty(held.scope.clone()) }) {
                let (location, scope) = (work.location(), Box::new(held.scope));
                return Err(StoreError::NotEmpty { location, scope });
            }
            // Tokens only grow, also where one was given out here before.
            let records = Records { token: records.token.max(held.token), ..Records::clone(records) };
            records.write(work).await?;
            *head = Head { tip: records.tip(), token: records.token, run: records.run };
            Ok(Reply::default())
        }
    }
}

/// Appends the entries of all commands whose fence stands, and brings the tables up to date.
async fn append(
    work: &mut Work<'_>,
    head: &mut Head,
    commands: &[Command],
) -> Result<Vec<Result<Reply, StoreError>>, StoreError> {
    let attempted = "journalling";
    let appends = commands.iter().filter_map(|command| match command {
        Command::Append { fence, drafts } => Some((fence.as_ref(), drafts)),
        _ => None,
    });
    let fences = appends.clone().filter_map(|(fence, _)| fence);
    let mut fallen = locks::fallen(work, fences).await?.into_iter();
    let mut changes = Changes::default();
    let mut lines = Vec::new();
    let mut replies = Vec::with_capacity(commands.len());
    for (fence, drafts) in appends {
        if let Some(fence) = fence
            && fallen.next().unwrap_or(true)
        {
            replies.push(Err(StoreError::LeaseLost(fence.owner.clone())));
            continue;
        }
        for draft in drafts {
            let run =
                draft.run.map(|run| i64::try_from(run.0)).transpose().map_err(|error| work.failed(attempted, error))?;
            let line = head.tip.append(draft, run);
            if let Some(effect) = &draft.effect {
                changes.add(line.sequence, effect);
            }
            lines.push(line);
        }
        replies.push(Ok(Reply::default()));
    }
    insert(work, &lines).await?;
    apply(work, &changes).await?;
    Ok(replies)
}

async fn insert(work: &mut Work<'_>, lines: &[Line]) -> Result<(), StoreError> {
    work.put("journalling", &rows::JOURNAL, &lines.iter().map(Line::cells).collect::<Vec<_>>()).await
}

async fn apply(work: &mut Work<'_>, changes: &Changes) -> Result<(), StoreError> {
    let statements = work.statements();
    let opened = changes.opened().map(|(address, sequence, step)| [address.into(), sequence.into(), step.into()]);
    work.put("noting open steps", &rows::OPEN_STEPS, &opened.collect::<Vec<_>>()).await?;
    remove(work, "closing steps", statements.close_steps, &changes.closed()).await?;
    let kept = changes.kept();
    let kept: Vec<_> = kept.iter().map(|(sequence, kept)| kept.cells(*sequence)).collect();
    work.put("writing the inventory", &rows::INVENTORY, &kept).await?;
    remove(work, "writing the inventory", statements.forget_applied, &changes.forgotten()).await?;
    put_phases(work, "noting phases", changes.phases()).await?;
    put_targets(work, "noting targets", changes.targets()).await
}

/// Removes the rows that a list of keys names.
async fn remove(
    work: &mut Work<'_>,
    attempted: &'static str,
    sql: &'static str,
    keys: &[[&str; 1]],
) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let list = list(work, attempted, keys)?;
    work.execute(attempted, sql, [list, work.scope()]).await
}

impl Head {
    async fn read(work: &mut Work<'_>) -> Result<Self, StoreError> {
        let attempted = "reading the end of the journal";
        let (sql, parameters) = (work.statements().head, [work.scope()]);
        let heads = work
            .fetch(attempted, sql, parameters, |row| {
                let tip = Tip { sequence: row.integer(0)?, hash: row.text(1)?.to_owned() };
                Ok(Self { tip, token: row.integer(2)?, run: row.integer(3)? })
            })
            .await?;
        heads.into_iter().next().ok_or_else(|| work.failed(attempted, "the store has lost its counters"))
    }

    async fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let Self { tip: Tip { sequence, hash }, token, run } = self;
        let parameters = [work.scope(), (*sequence).into(), hash.as_str().into(), (*token).into(), (*run).into()];
        work.execute("writing the end of the journal", statements::SET_HEAD, parameters).await
    }
}
