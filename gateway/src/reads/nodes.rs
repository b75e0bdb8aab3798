//! The machines: nodes and managers, as the leader sees them.

use assay_answers::cluster::Cluster;
use assay_answers::facts::Answer;
use assay_answers::node::{Held, NodeDetail, NodeList};
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
        let all = told.it.nodes.into_iter().chain(told.it.departed);
        let node = all.into_iter().find(|node| node.id == id);
        let node = node.ok_or_else(|| no("node", id))?;
        let holds = self.held(who, id).await?;
        let history = self.steps(&node.id).await?;
        Ok(Told {
            it: NodeDetail {
                node,
                holds,
                history,
            },
            as_of: told.as_of,
            stale_s: told.stale_s,
        })
    }

    async fn held(&self, who: &Reader, node: &str) -> Result<Vec<Held>, Problem> {
        let filter = RunFilter {
            unfinished: true,
            limit: RUNS,
            ..RunFilter::default()
        };
        let runs = self.run_rows(&filter).await?;
        let mut held = Vec::new();
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
            held.extend(at_work.map(|task| Held {
                run_id: run.id.clone(),
                dataset: run.dataset.clone(),
                no: task.no,
                kind: task.kind.to_string(),
                partition: task.partition.clone(),
                state: task.state.to_string(),
                assigned_at: task.assigned_at,
            }));
        }
        Ok(held)
    }
}
