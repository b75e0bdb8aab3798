//! What is to be met, and whether it was.
//!
//! Comes in: each goal with what was measured. Goes out: a table at the end. It must never call a goal
//! met that was not measured.

/// The goals that were measured so far.
#[derive(Default)]
pub struct Goals(Vec<(String, String, bool)>);

impl Goals {
    /// One goal, what was measured, and whether that meets it.
    pub fn tell(&mut self, goal: &str, measured: String, is_met: bool) {
        self.0.push((goal.to_owned(), measured, is_met));
    }

    /// Prints all of them.
    pub fn print(&self) {
        for (goal, measured, is_met) in &self.0 {
            let word = if *is_met { "met" } else { "MISSED" };
            println!("{word:7} {goal}: {measured}");
        }
    }
}
