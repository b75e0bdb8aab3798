//! Who speaks to this manager under which name, so that two processes under one name are told apart
//! from one that begins anew.
//!
//! Comes in: the words of open streams, and the names of those who want in. Goes out: whether
//! somebody else is at work under a name. It must never hold up one that nobody speaks for: a process
//! that was killed, stopped or cut off leaves its name at once, or after a moment of silence.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_model::ids::NodeId;
use tokio::sync::watch;

/// Who says nothing for so long does not count: more than two heartbeats, and less than a node waits
/// for its admission.
const SPEAKS_WITHIN: Duration = Duration::from_millis(2_500);

/// What a process that is gone has said may still arrive for so long.
const IN_FLIGHT: Duration = Duration::from_millis(300);

/// The open streams by the names of their nodes.
#[derive(Default)]
pub(crate) struct Speakers {
    open: Mutex<BTreeMap<NodeId, Open>>,
}

struct Open {
    stream: u64,
    address: Option<SocketAddr>,
    /// Words so far.
    words: watch::Sender<u64>,
}

impl Speakers {
    /// Notes an open stream of a node; an earlier one of that name counts no more.
    pub(crate) fn opened(
        self: &Arc<Self>,
        node: &NodeId,
        stream: u64,
        address: Option<SocketAddr>,
    ) -> Speaker {
        let words = watch::Sender::new(0);
        let open = Open {
            stream,
            address,
            words: words.clone(),
        };
        self.open().insert(node.clone(), open);
        Speaker {
            all: Arc::clone(self),
            node: node.clone(),
            stream,
            words,
        }
    }

    /// Whether somebody is at work under this name: where, if that is known. Waits for a word of it,
    /// or for its stream's end.
    pub(crate) async fn at_work(&self, node: &NodeId) -> Option<String> {
        let (mut words, address) = {
            let open = self.open();
            let open = open.get(node)?;
            (open.words.subscribe(), open.address)
        };
        let ends = async { while words.changed().await.is_ok() {} };
        if tokio::time::timeout(IN_FLIGHT, ends).await.is_ok() {
            return None;
        }
        let word = tokio::time::timeout(SPEAKS_WITHIN, words.changed()).await;
        let speaks = matches!(word, Ok(Ok(())));
        speaks.then(|| address.map_or_else(|| "this process".to_owned(), |a| a.to_string()))
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<NodeId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream; its end is the end of this.
pub(crate) struct Speaker {
    all: Arc<Speakers>,
    node: NodeId,
    stream: u64,
    words: watch::Sender<u64>,
}

impl Speaker {
    /// It has said something.
    pub(crate) fn said(&self) {
        self.words.send_modify(|words| *words += 1);
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let mut open = self.all.open();
        if open
            .get(&self.node)
            .is_some_and(|present| present.stream == self.stream)
        {
            open.remove(&self.node);
        }
    }
}
