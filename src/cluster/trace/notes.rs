//! What whoever uses a cluster has to say.

use super::Fact;
use crate::cluster::Cluster;
use std::fmt::Display;

impl Cluster {
    /// Puts a line of the caller's own into the [trace](Self::trace).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().start()?;
    /// cluster.note("now the shop opens");
    /// assert!(cluster.trace().lines().last().is_some_and(|line| line.ends_with("now the shop opens")));
    /// # Ok(()) }
    /// ```
    pub fn note(&self, what: impl Display) {
        self.inner.world.log(Fact::Note(what.to_string()));
    }

    /// Puts into the [trace](Self::trace) that a check of the caller's own does not hold: its [page](crate::ClusterTrace::to_html) marks
    /// it, as it does a broken [invariant](crate::ClusterBuilder::check_invariants).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let there = cluster.high_watermark("orders", 0)?;
    /// if there != 1 {
    ///     cluster.note_failure(format_args!("{there} orders instead of one"));
    ///     std::fs::write(std::env::temp_dir().join("orders.html"), cluster.trace().to_html())?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn note_failure(&self, what: impl Display) {
        self.inner.world.log(Fact::Failed(what.to_string()));
    }
}
