//! Which of the machine's runs this is: what was written and not flushed is there until the machine itself goes down.

use crate::sync::OnceLock;
use std::time::{Duration, SystemTime};

static BOOT: OnceLock<u64> = OnceLock::new();

/// A number that is another one after each start of the machine; where the system has none to tell, of this process.
pub(crate) fn boot() -> u64 {
    *BOOT.get_or_init(|| of_machine().unwrap_or_else(of_process))
}

#[cfg(target_os = "linux")]
fn of_machine() -> Option<u64> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    parse(&uuid)
}

#[cfg(not(target_os = "linux"))]
fn of_machine() -> Option<u64> {
    None
}

/// The first half of a UUID.
#[cfg(any(test, target_os = "linux"))]
fn parse(uuid: &str) -> Option<u64> {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    if digits.len() == 16 { u64::from_str_radix(&digits, 16).ok() } else { None }
}

/// A process that nobody can tell from one before a crash of the machine must not be taken for it.
fn of_process() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.unwrap_or(Duration::ZERO).as_nanos() as u64;
    nanos ^ (u64::from(std::process::id()) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_told_by_its_uuid() {
        assert_eq!(parse("01234567-89ab-cdef-8000-00000000000f\n"), Some(0x0123_4567_89ab_cdef));
        assert_eq!(parse("0123"), None);
        assert_eq!(boot(), boot());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_which_boot_it_is() {
        assert_eq!(of_machine(), Some(boot()));
    }
}
