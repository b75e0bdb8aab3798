//! Which node takes a task: a pure choice over loads.
//!
//! What comes in: the free capacity of every node that may take work, and one demand at a time, in
//! the order of fairness. What goes out: the place of a node, or none. It must never see an id, a
//! clock or a task.
//!
//! The policy is the order of the fields of `Score`; the smallest score wins. A demand is placed
//! by what was placed before it and by nothing that comes after: adding demands at the end never
//! moves an earlier one, and equal problems have equal solutions. Nodes are numbered in the order
//! of their names, and the number is the last field, so no tie is left to chance.

/// What a node can take.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Supply {
    /// Slots.
    pub slots: u32,
    /// Slots in use, planned ones included.
    pub held: u32,
    /// Bytes of the tasks that it holds, not yet read.
    pub bytes: u64,
    /// Memory in use, in thousandths of what it has.
    pub memory_permille: u32,
    /// CPU in use, in percent.
    pub cpu_percent: u32,
    /// Whether it holds a task that has crashed a process before.
    pub has_suspect: bool,
}

/// What a task needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demand {
    /// Bytes that it will read, with the overhead of any task.
    pub bytes: u64,
    /// Whether it has crashed a process before: at most one such task per node.
    pub suspect: bool,
    /// Nodes where it failed before, by place: taken only when there is no other.
    pub failed_on: Vec<usize>,
}

/// Why one node is better than another; fields in the order of their weight.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    failed_here: bool,
    short_of_memory: bool,
    busy_cpu: bool,
    /// Slots in use, in thousandths.
    fill_permille: u64,
    bytes_per_slot: u64,
    cpu_percent: u32,
    place: usize,
}

/// Memory in use from which a node is taken only when there is no other, in thousandths.
const MEMORY_SHORT_PERMILLE: u32 = 850;
/// CPU in use from which a node is taken only when there is no other, in percent.
const CPU_BUSY_PERCENT: u32 = 95;

/// The nodes of one round of assignment.
#[derive(Debug, Clone, Default)]
pub struct Solver {
    nodes: Vec<Supply>,
}

impl Solver {
    /// A round over `nodes`, in the order of their names.
    #[must_use]
    pub const fn new(nodes: Vec<Supply>) -> Self {
        Self { nodes }
    }

    /// Slots that are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.nodes
            .iter()
            .map(|n| n.slots.saturating_sub(n.held))
            .sum()
    }

    /// Places one task; `None` when no node can take it.
    pub fn place(&mut self, demand: &Demand) -> Option<usize> {
        let place = (0..self.nodes.len())
            .filter(|&place| self.can_take(place, demand))
            .min_by_key(|&place| self.score(place, demand))?;
        let node = &mut self.nodes[place];
        node.held += 1;
        node.bytes = node.bytes.saturating_add(demand.bytes);
        node.has_suspect |= demand.suspect;
        debug_assert!(node.held <= node.slots, "A3: more tasks than slots");
        Some(place)
    }

    fn can_take(&self, place: usize, demand: &Demand) -> bool {
        let node = &self.nodes[place];
        node.held < node.slots && !(demand.suspect && node.has_suspect)
    }

    fn score(&self, place: usize, demand: &Demand) -> Score {
        let node = &self.nodes[place];
        let slots = u64::from(node.slots.max(1));
        Score {
            failed_here: demand.failed_on.contains(&place),
            short_of_memory: node.memory_permille >= MEMORY_SHORT_PERMILLE,
            busy_cpu: node.cpu_percent >= CPU_BUSY_PERCENT,
            fill_permille: u64::from(node.held) * 1_000 / slots,
            bytes_per_slot: node.bytes / slots,
            cpu_percent: node.cpu_percent,
            place,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(slots: u32, held: u32, bytes: u64) -> Supply {
        Supply {
            slots,
            held,
            bytes,
            ..Supply::default()
        }
    }

    fn task(bytes: u64) -> Demand {
        Demand {
            bytes,
            ..Demand::default()
        }
    }

    #[test]
    fn the_emptier_node_takes_the_task() {
        let mut solver = Solver::new(vec![node(4, 2, 0), node(4, 1, 900), node(4, 1, 100)]);
        assert_eq!(solver.place(&task(10)), Some(2));
    }

    #[test]
    fn a_suspect_task_never_meets_another_suspect() {
        let suspect = Demand {
            suspect: true,
            ..task(1)
        };
        let mut solver = Solver::new(vec![node(4, 0, 0), node(4, 0, 0)]);
        assert_eq!(solver.place(&suspect), Some(0));
        assert_eq!(solver.place(&suspect), Some(1));
        assert_eq!(solver.place(&suspect), None);
        assert!(solver.place(&task(1)).is_some());
    }

    #[test]
    fn a_task_goes_elsewhere_after_a_failure_if_there_is_an_elsewhere() {
        let again = Demand {
            failed_on: vec![0],
            ..task(1)
        };
        let mut two = Solver::new(vec![node(4, 0, 0), node(4, 3, 9_999)]);
        assert_eq!(two.place(&again), Some(1));
        let mut one = Solver::new(vec![node(4, 0, 0)]);
        assert_eq!(one.place(&again), Some(0));
    }

    fn any_supply() -> impl Strategy<Value = Supply> {
        (1_u32..5, 0_u32..5, 0_u64..1_000, 0_u32..1_000, 0_u32..101).prop_map(
            |(slots, held, bytes, memory_permille, cpu_percent)| Supply {
                slots,
                held: held.min(slots),
                bytes,
                memory_permille,
                cpu_percent,
                has_suspect: false,
            },
        )
    }

    proptest! {
        #[test]
        fn no_slot_is_given_twice_and_none_is_left_while_tasks_wait(
            nodes in prop::collection::vec(any_supply(), 0..6),
            bytes in prop::collection::vec(0_u64..1_000, 0..30),
        ) {
            let mut solver = Solver::new(nodes.clone());
            let free = solver.free() as usize;
            let placed: Vec<_> = bytes.iter().filter_map(|b| solver.place(&task(*b))).collect();
            prop_assert_eq!(placed.len(), free.min(bytes.len()));
            for (place, node) in nodes.iter().enumerate() {
                let given = placed.iter().filter(|p| **p == place).count();
                prop_assert!(given <= (node.slots - node.held) as usize);
            }
        }

        #[test]
        fn later_tasks_never_move_earlier_ones(
            nodes in prop::collection::vec(any_supply(), 0..6),
            bytes in prop::collection::vec(0_u64..1_000, 0..20),
            more in prop::collection::vec(0_u64..1_000, 0..20),
        ) {
            let place = |list: &[u64]| {
                let mut solver = Solver::new(nodes.clone());
                list.iter().map(|b| solver.place(&task(*b))).collect::<Vec<_>>()
            };
            let all: Vec<u64> = bytes.iter().chain(&more).copied().collect();
            prop_assert_eq!(place(&bytes), place(&all)[..bytes.len()].to_vec());
        }
    }
}
