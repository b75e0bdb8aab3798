//! What is written of nodes that go: why, and how many tasks they gave back.

use super::*;

#[test]
fn a_death_says_how_many_tasks_it_gave_back() {
    for (held, says) in [
        (3, "; 3 tasks were given back"),
        (1, "; 1 task was given back"),
    ] {
        let mut bench = Bench::new();
        let incarnation = bench.node("a", "", 4);
        bench.planned(held);
        bench.tell(Event::NodeDisconnected {
            node: NodeId::new("a"),
            incarnation,
            refused: true,
        });
        let why = &bench.reasons[&NodeId::new("a")];
        assert!(why.ends_with(says) && why.contains("refused"), "{why}");
    }
    let mut bench = Bench::new();
    bench.node("idle", "", 4);
    bench.wait(60_000);
    let why = &bench.reasons[&NodeId::new("idle")];
    assert!(why.contains("silent") && !why.contains("given"), "{why}");
}

#[test]
fn a_drain_keeps_its_reason_until_the_node_has_left() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let node = NodeId::new("a");
    let run = bench.submit("orders", "one");
    bench.tell(Event::DrainNode {
        node: node.clone(),
        reason: "new disks".to_owned(),
    });
    assert_eq!(bench.reasons[&node], "new disks");
    let token = bench.token(run, 0);
    bench.tell(Event::TaskDropped { token });
    assert_eq!(bench.store.nodes[&node].state, NodeState::Gone);
    assert_eq!(bench.reasons[&node], "drained: new disks");
}
