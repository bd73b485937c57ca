//! Programs as users write them, run as tests: they use what they would use, in the way that they would. Most of them
//! are recipes, which are run as tests too.
//!
//! | program | where |
//! |---|---|
//! | the first one | `programs/read.rs` |
//! | a to-do list whose state is its history | `programs/read.rs` |
//! | an outbox | `src/docs/recipes/outbox.md` |
//! | workers with a stop signal | `src/docs/recipes/worker.md`; `examples/groups.rs` |
//! | a test past a session timeout | `src/docs/recipes/time_in_tests.md` |
//! | work on many threads, done in any order | `src/docs/recipes/any_order.md` |
//! | a pipeline, at least once | `src/docs/recipes/pipeline.md`; `programs/pipeline.rs` under power cuts |
//! | a replay from yesterday on, a group set back | `src/docs/recipes/replay.md` |
//! | a tail | `programs/read.rs`; `examples/tail.rs` |
//! | a power cut at every operation, a flush that fails | `src/docs/recipes/crash_test.md` |
//! | JSON that borrows from the records | `programs/json.rs` |
//! | dead letters, and a database that is away | `src/docs/recipes/dead_letters.md` |
//! | a status page | `src/docs/recipes/status.md`; `examples/stats.rs` |
//! | leaders that die | `src/docs/recipes/leader_killed.md`; `examples/failover.rs` |
//! | requests that fail | `src/docs/recipes/injected_errors.md` |
//! | a move from rust-rdkafka | `src/docs/recipes/rdkafka.md` |
//! | records shared across threads | `programs/read.rs` |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "programs/json.rs"]
mod json;
#[path = "programs/pipeline.rs"]
mod pipeline;
#[path = "programs/read.rs"]
mod read;
