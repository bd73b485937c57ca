//! Beside the reference: recipes for those who use brooklet, a chapter on testing what they make of it, and, for those who want to trust
//! brooklet or work on it, how it is built and what its files are.

pub mod recipes;

#[doc = include_str!("testing.md")]
///
/// ---
///
/// Used here: [`Cluster`](crate::Cluster), [`ClusterBuilder`](crate::ClusterBuilder), [`Cluster::run_until`](crate::Cluster::run_until),
/// [`Cluster::has_converged`](crate::Cluster::has_converged), [`ApiKey`](crate::ApiKey), [`Intercept`](crate::Intercept),
/// [`ClusterTrace`](crate::ClusterTrace), [`seeds`](crate::seeds()). More of it: [`recipes::leader_killed`],
/// [`recipes::injected_errors`]; for one broker: [`recipes::time_in_tests`], [`recipes::crash_test`].
pub mod testing {}

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("format.md")]
pub mod format {}
