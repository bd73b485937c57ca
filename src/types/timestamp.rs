//! The two times: what the calendar says, and what only ever goes on.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A span in whole milliseconds, at most `i64::MAX` of them.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Shown as RFC 3339, in UTC:
///
/// ```
/// use brooklet::Timestamp;
/// use std::time::Duration;
/// let takeoff = Timestamp::from_millis(1_357_034_400_000);
/// assert_eq!((takeoff + Duration::from_millis(1_500)).to_string(), "2013-01-01T10:00:01.500Z");
/// assert_eq!("2013-01-01T10:00:00Z".parse(), Ok(takeoff));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `ms` milliseconds after 1970 began.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00Z");
    /// ```
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970 began.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(Timestamp::from_millis(7).as_millis(), 7);
    /// ```
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

/// Saturates at the ends of the range.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

/// Saturates at the ends of the range.
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            Err(before) => Self(0) - before.duration(),
        }
    }
}

/// A time that [`SystemTime`] cannot hold becomes 1970.
impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let span = Duration::from_millis(at.0.unsigned_abs());
        let time = if at.0 >= 0 { UNIX_EPOCH.checked_add(span) } else { UNIX_EPOCH.checked_sub(span) };
        time.unwrap_or(UNIX_EPOCH)
    }
}

const DAY_MS: i64 = 86_400_000;

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * month_from_march + 2) / 5 + 1)
}

/// The day, counted from 1970-01-01, of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if ms % 1000 != 0 {
            write!(f, ".{:03}", ms % 1000)?;
        }
        f.write_str("Z")
    }
}

/// Says that a text is not a time of the form `2013-01-01T10:00:00Z` or `2013-01-01T10:00:00.123Z`.
///
/// ```
/// # use brooklet::*;
/// assert!("yesterday".parse::<Timestamp>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a UTC time such as 2013-01-01T10:00:00Z")]
pub struct ParseTimestampError(String);

/// Reads `2013-01-01T10:00:00Z`, with up to three digits of a second's fraction; years 0000 to 9999, UTC only.
impl std::str::FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |digits: &str, len: usize| -> Option<i64> {
        let whole = digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit());
        whole.then(|| digits.parse().ok()).flatten()
    };
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) =
        (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    let scale = [100, 10, 1].get(fraction.len().checked_sub(1)?).copied()?;
    let ms = number(fraction, fraction.len())? * scale;
    let date = days(year, month, day);
    let legal = (1..=12).contains(&month)
        && civil(date) == (year, month, day)
        && hour < 24
        && minute < 60
        && second < 60;
    legal.then_some(Timestamp(date * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms))
}

/// A point on a clock that only goes on: nanoseconds since the clock was made. For timers, never for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Instant(u64);

impl Instant {
    /// Never.
    pub(crate) const MAX: Self = Self(u64::MAX);

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Saturates: `Duration::MAX` from now is never.
    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to here; zero if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_what_they_show() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.999Z",
            "1969-12-31T23:59:59.001Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()).as_deref(), Ok(text));
        }
        let all = (-800_000..800_000).step_by(97);
        assert!(all.clone().all(|day| {
            let (y, m, d) = civil(day);
            days(y, m, d) == day
        }));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "Z",
            "2013-01-01",
            "2013-02-29T00:00:00Z",
            "2013-13-01T00:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-1-01T00:00:00Z",
            "2013-01-01T00:00:00.1234Z",
            "2013-01-01T00:00:00.Z",
            "2013-01-01T00:00:00+01:00",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_shown_and_saturate() {
        let end = Timestamp::from_millis(i64::MAX);
        assert!(end.to_string().starts_with("292278994-"));
        assert!(Timestamp::from_millis(i64::MIN).to_string().ends_with('Z'));
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::from_nanos(5).plus(Duration::MAX), Instant::MAX);
    }
}
