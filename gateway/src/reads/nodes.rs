//! The machines: nodes and managers, as the leader sees them.

use assay_answers::cluster::Cluster;
use assay_answers::facts::Answer;
use assay_answers::fleet::NodeStep;
use assay_answers::node::{Held, Node, NodeDetail, NodeList};
use assay_answers::{Problem, Reader, Told};
use assay_model::task::TaskState;
use assay_store::port::RunFilter;

use super::LIVE;
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{Miss, no};
use crate::rights::Action;

/// Unfinished runs whose tasks are looked at for what a node holds.
const RUNS: u32 = 50;

impl Api {
    /// The cluster as its leader sees it, whoever asks.
    pub(crate) async fn standing_of_cluster(&self) -> Result<Found<Cluster>, Problem> {
        let managers = self.parts.managers.clone();
        let load = async move {
            match managers.status().await {
                Ok(status) => Ok(convert::cluster(status)),
                Err(problem) if problem.status == 503 => Err(Miss::Away(problem.detail)),
                Err(problem) => Err(problem.into()),
            }
        };
        let key = Key::about_all("cluster");
        self.memory
            .answer(Source::Managers, key, Good::For(LIVE), load)
            .await
    }

    /// The cluster.
    pub(crate) async fn cluster_of(&self, who: &Reader) -> Answer<Cluster> {
        self.may_cluster(who, Action::Look)?;
        Ok(self.standing_of_cluster().await?.told())
    }

    /// The nodes.
    pub(crate) async fn node_list(&self, who: &Reader) -> Answer<NodeList> {
        let told = self.cluster_of(who).await?;
        Ok(told.map(|cluster| NodeList {
            items: cluster.nodes,
            next_cursor: None,
            desired: cluster.nodes_desired,
            departed: cluster.departed,
            departed_more: cluster.departed_more,
            unknown: cluster.unknown,
        }))
    }

    /// One node, with the tasks that it holds.
    pub(crate) async fn node_detail(&self, who: &Reader, id: &str) -> Answer<NodeDetail> {
        let told = self.cluster_of(who).await?;
        let (as_of, stale_s) = (told.as_of, told.stale_s);
        let all = told.it.nodes.into_iter().chain(told.it.departed);
        let node = all.into_iter().find(|node| node.id == id);
        let it = node.ok_or_else(|| no("node", id))?;
        let holds = self.held(who, id).await?;
        let history = self.steps(&it.id).await?;
        let node = Told { it, as_of, stale_s };
        Ok(detail(node, holds, history))
    }

    async fn held(&self, who: &Reader, node: &str) -> Answer<Vec<Held>> {
        let filter = RunFilter {
            unfinished: true,
            limit: RUNS,
            ..RunFilter::default()
        };
        let runs = self.run_rows(&filter).await?;
        let mut held = Told {
            it: Vec::new(),
            as_of: runs.as_of,
            stale_s: runs.stale_s,
        };
        for run in runs.it.iter() {
            if !self.reads(who, &run.dataset).await? {
                continue;
            }
            let snapshot = self.snapshot(&run.id).await?;
            let at_work = snapshot.it.tasks.iter().filter(|task| {
                matches!(task.state, TaskState::Assigned | TaskState::Running)
                    && (task.node == node
                        || task
                            .tries
                            .iter()
                            .any(|one| one.node == node && one.ended_at.is_none()))
            });
            held.it.extend(at_work.map(|task| Held {
                run_id: run.id.clone(),
                dataset: run.dataset.clone(),
                no: task.no,
                kind: task.kind.to_string(),
                partition: task.partition.clone(),
                state: task.state.to_string(),
                assigned_at: task.assigned_at,
            }));
            held = held.beside(&Told {
                it: (),
                as_of: snapshot.as_of,
                stale_s: snapshot.stale_s,
            });
        }
        Ok(held)
    }
}

/// A node with what the store has of it: as old as the oldest of what it is made of.
fn detail(
    node: Told<Node>,
    holds: Told<Vec<Held>>,
    history: Told<Vec<NodeStep>>,
) -> Told<NodeDetail> {
    node.beside(&holds).beside(&history).map(|node| NodeDetail {
        node,
        holds: holds.it,
        history: history.it,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_old_as_the_oldest_of_what_is_told_of_it() {
        let node = Node {
            id: "n1".to_owned(),
            incarnation: 1,
            state: "live".to_owned(),
            slots: 4,
            slots_used: 0,
            cpu: 0.0,
            memory_bytes: 1,
            memory_used_bytes: 0,
            zone: String::new(),
            silent_ms: 0,
            reason: None,
            since: None,
            version: None,
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let before = now - jiff::SignedDuration::from_secs(9);
        // The leader answers, and the store is away.
        for (held, steps) in [
            ((before, Some(9)), (now, None)),
            ((now, None), (before, Some(9))),
        ] {
            let old = |(as_of, stale_s)| Told {
                it: (),
                as_of,
                stale_s,
            };
            let holds = old(held).map(|()| Vec::new());
            let history = old(steps).map(|()| Vec::new());
            let told = detail(Told::fresh(node.clone(), now), holds, history);
            assert_eq!((told.as_of, told.stale_s), (before, Some(9)));
        }
    }
}
