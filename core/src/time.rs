//! Wall-clock time as the wire shows it: whole seconds, UTC, `YYYY-MM-DDTHH:MM:SSZ`.
//!
//! The clock itself is the shell's; here time is only ever an argument.

use core::fmt;

const DAY_SECONDS: u64 = 86_400;
/// The last second that four digits of a year can name: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// A moment, in whole seconds since 1970-01-01T00:00:00Z; at most the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// A moment taken apart for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, 1970 to 9999.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u64,
    /// Day of the month, 1 to 31.
    pub day: u64,
    /// Hour, minute and second.
    pub time: [u64; 3],
    /// Day of the week, 0 for Sunday.
    pub weekday: u64,
}

impl Timestamp {
    /// The moment `seconds` after the epoch; later than the year 9999 counts as its last second.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        if seconds > LAST_SECOND { Self(LAST_SECOND) } else { Self(seconds) }
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// This moment `days` later.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        Self::from_seconds(self.0.saturating_add((days as u64).saturating_mul(DAY_SECONDS)))
    }

    /// Reads the text that [`Timestamp`] is written as; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = *bytes
        else {
            return None;
        };
        let year = number(&[y1, y2, y3, y4])?;
        let [month, day] = [number(&[m1, m2])?, number(&[d1, d2])?];
        let [hour, minute, second] = [number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?];
        if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day)?;
        let time_of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        let seconds = days.checked_mul(DAY_SECONDS)?.checked_add(time_of_day)?;
        let moment = Self::from_seconds(seconds);
        // A day that the month does not have comes back as another date.
        (moment.civil().day == day).then_some(moment)
    }

    /// The calendar date and time of day (Howard Hinnant's `civil_from_days`).
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "bounded by LAST_SECOND, which the constructor enforces")]
    pub const fn civil(self) -> Civil {
        let days = self.0 / DAY_SECONDS;
        let second = self.0 % DAY_SECONDS;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Civil {
            year: year_of_era + era * 400 + (month <= 2) as u64,
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            time: [second / 3600, second / 60 % 60, second % 60],
            weekday: (days + 4) % 7,
        }
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "month is 1 to 12, day two digits, year 1970 to 9999")]
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let year_of_era = year % 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (year / 400 * 146_097 + day_of_era).checked_sub(719_468)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, time: [hour, minute, second], .. } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn known_moments_are_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_409_311_189, "2014-08-29T11:19:49Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST_SECOND, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp(seconds)));
        }
        assert_eq!(Timestamp::from_seconds(u64::MAX).seconds(), LAST_SECOND);
        assert_eq!(Timestamp::from_seconds(0).civil().weekday, 4);
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let mut day = 0;
        while day < 146_097 * 2 {
            let moment = Timestamp::from_seconds(day * DAY_SECONDS);
            assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
            day += if cfg!(miri) { 9_973 } else { 1 };
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2014-08-29T11:19:49",
            "2014-08-29 11:19:49Z",
            "2014-13-01T00:00:00Z",
            "2014-02-29T00:00:00Z",
            "2014-00-01T00:00:00Z",
            "2014-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2014-01-01T24:00:00Z",
            "2014-01-01T00:60:00Z",
            "2014-01-01T00:00:60Z",
            "+014-01-01T00:00:00Z",
            "2014-01-32T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
