//! A trace as a page for a browser.

use super::ClusterTrace;

/// The page's frame, with a place for each of the others.
const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

impl ClusterTrace {
    /// The trace as one page of HTML to look at in a browser. It holds all that it needs, and asks nothing of the network.
    ///
    /// Over the time that has passed it draws a lane for each broker (whether it runs, serves or is the controller, and which requests
    /// of clients came to it), one for each partition (who leads, who is in sync, and the high watermark), and what went wrong; where
    /// an invariant is [broken](crate::ClusterBuilder::check_invariants), or a check [fails](crate::Cluster::note_failure), a red line with why. The
    /// wheel zooms, a drag moves, and what the pointer is over tells more.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new().replication_factor(3)).start()?;
    /// cluster.kill(cluster.leader("orders", 0)?)?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// std::fs::write(std::env::temp_dir().join("trace.html"), cluster.trace().to_html())?;
    /// # Ok(()) }
    /// ```
    pub fn to_html(&self) -> String {
        // What is within a script must not look like its end. In JSON a `<` is within a string.
        let data = self.told.json().join(",\n").replace('<', "\\u003c");
        // The data comes last: nothing is looked for in it.
        let page = FRAME.replacen("/* style */", STYLE, 1).replacen("/* script */", SCRIPT, 1);
        page.replacen("/* data */", &data, 1)
    }
}
